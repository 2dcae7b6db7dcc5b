"""The demo's runs under way, as the exporter sees them."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from demo import mlflow_training
from demo.mlflow import open_store
from ml_monitoring.exporter.sources.mlflow import MlflowSettings, MlflowSource

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def test_one_gets_on_one_hangs_and_one_has_lost_its_loss(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/demo.db"
    client = open_store(uri)
    assert mlflow_training.write(client, seed=7, now=NOW)
    assert not mlflow_training.write(client, seed=7, now=NOW)
    later = NOW + timedelta(minutes=1)
    mlflow_training.Trainings(client, seed=7).step(later)
    settings = MlflowSettings.model_validate({"uri": uri})
    with contextlib.closing(MlflowSource(settings, now=later.timestamp)) as source:
        families = source.collect()

    def of(name: str) -> dict[tuple[str, ...], object]:
        return dict(families[f"mlflow_training_{name}"].samples)

    experiment = (mlflow_training.TRAINING,)
    assert of("last_metric_timestamp_seconds") == {experiment: (NOW - timedelta(hours=3)).timestamp()}
    assert of("runs_not_finite") == {experiment: 1}
    assert of("gpu_lowest_utilization_ratio")[experiment] == pytest.approx(0.02, abs=0.01)
    assert {node for node, _resource in of("node_utilization_ratio")} == {f"gpu-node-{number}" for number in (1, 2, 3)}
    assert of("user_runs") == {(user,): 1 for user in ("ana", "bo", "chidi")}
    assert of("source_runs") == {("pretrain.py",): 2, ("notebooks/convnext.ipynb",): 1}


def test_while_it_is_calm_all_get_on(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/demo.db"
    client = open_store(uri)
    assert mlflow_training.write(client, seed=7, now=NOW, calm=True)
    with contextlib.closing(MlflowSource(MlflowSettings.model_validate({"uri": uri}), now=NOW.timestamp)) as source:
        families = source.collect()

    def of(name: str) -> object:
        return dict(families[f"mlflow_training_{name}"].samples)[(mlflow_training.TRAINING,)]

    assert of("last_metric_timestamp_seconds") == NOW.timestamp()
    assert of("runs_not_finite") == 0
    assert of("gpu_lowest_utilization_ratio") == pytest.approx(0.88, abs=0.1)
