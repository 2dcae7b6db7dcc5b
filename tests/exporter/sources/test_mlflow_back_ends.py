"""One history, read from SQLite, PostgreSQL, MariaDB and a tracking server: every family is the same.

What differs is listed with its reason, here and in the table of `docs/mlflow.md`; an entry that is not needed any more
fails.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ml_monitoring.exporter.catalog import METRICS
from tests.support.files import ROOT
from tests.support.mlflow_history import History
from tests.support.mlflow_server import MlflowServer
from tests.support.serving import ExporterProcess, serving
from tools.mariadb import MariadbServer
from tools.postgres import PostgresServer

_BACK_ENDS = ("sqlite", "postgresql", "mariadb", "server")
# Families that are not the same everywhere: how they differ, and why.
DIFFERENCES = {
    "mlflow_store_rows": (
        "estimates of each database's own; of a server only experiments, model versions and runs",
        "databases estimate in different ways, and a server does not tell how many rows its tables have",
    ),
}
# So many refreshes take all turns of a round over REST, and two passes through a small store.
_ROUNDS = 20
_SETTINGS = """
web: {port: 0}
sources:
  mlflow:
"""
_SOURCE = (
    "    {name}: {{uri: '{uri}', interval: 200ms, reconcile: 1s, trace_window: 1h, count_tags: [team],"
    " cost_tags: [cost], {more}}}\n"
)
Sample = tuple[str, tuple[tuple[str, str], ...], float]


@pytest.fixture(scope="module")
def families(
    postgres_server: PostgresServer, mariadb_server: MariadbServer, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Mapping[str, list[Sample]]]:
    """Return what one exporter shows of the history: by family and back end."""
    folder = tmp_path_factory.mktemp("back_ends")
    uris = {
        "sqlite": f"sqlite:///{folder}/mlflow.db",
        "postgresql": postgres_server.create_database("back_ends"),
        "mariadb": mariadb_server.create_database("back_ends"),
    }
    began = int(time.time())
    histories = [History(uri, began) for uri in uris.values()]
    for history in histories:
        history.write_before()
    with MlflowServer(uris["postgresql"].replace("postgresql:", "postgresql+psycopg2:"), folder) as server:
        more = {"server": "requests_per_minute: 6000"}
        sources = {**uris, "server": server.url}
        config = folder / "ml-monitoring.yml"
        config.write_text(
            _SETTINGS
            + "".join(_SOURCE.format(name=name, uri=uri, more=more.get(name, "")) for name, uri in sources.items())
        )
        with serving(config) as exporter:
            for name in _BACK_ENDS:
                exporter.wait_for(f'ml_monitoring_source_up{{source="mlflow/{name}"}}', 1, timeout=60)
            for history in histories:
                history.write_while()
            _wait_for_refreshes(exporter)
            text = exporter.get("/metrics").text
    found: dict[str, dict[str, list[Sample]]] = defaultdict(lambda: {name: [] for name in _BACK_ENDS})
    for family, store, sample in _samples(text):
        found[family][store].append(sample)
    return found


def _wait_for_refreshes(exporter: ExporterProcess) -> None:
    counts = [f'ml_monitoring_source_refresh_duration_seconds_count{{source="mlflow/{name}"}}' for name in _BACK_ENDS]
    before = exporter.samples()
    deadline = time.monotonic() + 300
    while True:
        now = exporter.samples()
        assert all(now[f'ml_monitoring_source_up{{source="mlflow/{name}"}}'] == 1 for name in _BACK_ENDS)
        if all(now[count] >= before[count] + _ROUNDS for count in counts):
            return
        assert time.monotonic() < deadline, now
        time.sleep(0.1)


def _samples(text: str) -> Iterator[tuple[str, str, Sample]]:
    declared = {metric.name.removesuffix("_total"): metric.name for metric in METRICS}
    for family in text_string_to_metric_families(text):
        if family.name.startswith("mlflow_"):
            for sample in family.samples:
                labels = dict(sample.labels)
                store = labels.pop("store")
                yield declared[family.name], store, (sample.name, tuple(sorted(labels.items())), sample.value)


def test_every_family_is_exercised(families: Mapping[str, Mapping[str, list[Sample]]]) -> None:
    assert set(families) == {metric.name for metric in METRICS if metric.name.startswith("mlflow_")}


@pytest.mark.parametrize("family", [metric.name for metric in METRICS if metric.name.startswith("mlflow_")])
def test_a_family_is_the_same_on_each_back_end_unless_its_difference_is_listed(
    family: str, families: Mapping[str, Mapping[str, list[Sample]]]
) -> None:
    shown = {name: sorted(samples) for name, samples in families[family].items()}
    reference = shown["sqlite"]
    differ = {name: sorted(set(reference) ^ set(samples)) for name, samples in shown.items() if samples != reference}
    assert bool(differ) is (family in DIFFERENCES), differ or f"{family} is listed, and does not differ"


def test_prompts_are_no_models(families: Mapping[str, Mapping[str, list[Sample]]]) -> None:
    models = {dict(labels)["model"] for _name, labels, _value in families["mlflow_model_versions"]["sqlite"]}
    assert models == {"churn-model", "late-model", 'modèle 検 "q"\\\n'}


def test_the_docs_list_the_differences() -> None:
    text = (ROOT / "docs" / "mlflow.md").read_text(encoding="utf-8")
    listed = re.findall(r"(?m)^\| `(mlflow_\w+)` \| (.*) \| (.*) \|$", text)
    assert listed == [(family, *words) for family, words in DIFFERENCES.items()]
