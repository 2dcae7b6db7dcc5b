"""Several exporters that share one MLflow store: together they expose what one alone would, and nothing twice."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from ml_monitoring.exporter.config import load
from ml_monitoring.exporter.exposition import render_text
from ml_monitoring.exporter.shard import Shard
from ml_monitoring.exporter.sources.mlflow import MlflowSettings, MlflowSource
from tests.support.mlflow_store import reference_client


def _series(uri: str, *, rows: bool = False, **settings: Any) -> Counter[str]:
    """Return each line of the exposition; with row estimates of the database's own statistics only when asked for."""
    source = MlflowSource(MlflowSettings(uri=uri, **settings))
    try:
        text = render_text(source.collect()).decode()
    finally:
        source.close()
    left_out = ("#",) if rows else ("#", "mlflow_store_rows{")
    return Counter(line for line in text.splitlines() if not line.startswith(left_out))


@pytest.fixture
def many_experiments_uri(store_uri: str) -> str:
    client = reference_client(store_uri)
    for number in range(12):
        client.create_experiment(f"shard-{number}")
    return store_uri


def test_shards_expose_exactly_the_union_and_nothing_twice(many_experiments_uri: str) -> None:
    whole = _series(many_experiments_uri)
    for count in (2, 3):
        shards = [_series(many_experiments_uri, shard={"index": index, "count": count}) for index in range(count)]
        assert sum(shards, Counter[str]()) == whole
        assert set(whole.values()) == {1}
        # The work is shared: no exporter has none of it.
        assert all(any(line.startswith("mlflow_runs{") for line in shard) for shard in shards)


def test_totals_of_the_store_are_exposed_by_the_first_shard(store_uri: str) -> None:
    shards = [_series(store_uri, shard={"index": index, "count": 2}, rows=True) for index in range(2)]
    for name in ("mlflow_experiments{", "mlflow_store_rows{"):
        assert [any(line.startswith(name) for line in shard) for shard in shards] == [True, False]


def test_a_name_belongs_to_one_of_the_shards_and_always_to_the_same() -> None:
    names = [f"experiment {number}" for number in range(1000)]
    owners = [[index for index in range(4) if Shard(index=index, count=4).owns(name)] for name in names]
    assert {len(of_name) for of_name in owners} == {1}
    shares = Counter(index for (index,) in owners)
    assert all(200 < share < 300 for share in shares.values())
    # CRC-32 of the UTF-8 bytes, which other programs can reckon too: 0xCBF43926 for these digits.
    assert Shard(index=0xCBF43926 % 5, count=5).owns("123456789")


@pytest.mark.parametrize("shard", [{"index": 2, "count": 2}, {"index": -1, "count": 2}, {"count": 0}])
def test_a_shard_that_does_not_exist_is_refused(shard: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        Shard(**shard)


def test_shards_can_be_set_by_environment() -> None:
    settings = load(
        environ={
            "ML_MONITORING_SOURCES__MLFLOW__URI": "sqlite:///mlflow.db",
            "ML_MONITORING_SOURCES__MLFLOW__SHARD__INDEX": "1",
            "ML_MONITORING_SOURCES__MLFLOW__SHARD__COUNT": "3",
        }
    )
    section = settings.enabled_sources()["mlflow"]
    assert isinstance(section, MlflowSettings)
    assert section.shard == Shard(index=1, count=3)
