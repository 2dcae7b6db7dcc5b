"""The `mlflow` source on stores that the real MLflow client wrote."""

from __future__ import annotations

import contextlib
import math
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from ml_monitoring.exporter.exposition import render_text
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.mlflow import MlflowSettings, MlflowSource
from tests.support.mlflow_store import CHURN, EPOCH, VISION, reference_client
from tests.support.serving import serving
from tools.postgres import PostgresServer

_GOLDEN = Path("tests/golden/mlflow.txt")
_STORED_INFINITY = 1.7976931348623157e308


def _collect(uri: str, **settings: Any) -> FamilySet:
    source = MlflowSource(MlflowSettings(uri=uri, **settings))
    try:
        return source.collect()
    finally:
        source.close()


def _samples(families: FamilySet, name: str) -> dict[tuple[str, ...], Any]:
    return dict(families[name].samples)


def test_metrics_equal_the_golden_text(store_uri: str, write_config: Callable[..., Path]) -> None:
    with serving(write_config(store_uri)) as exporter:
        exporter.wait_for('ml_monitoring_source_up{source="mlflow"}', 1)
        text = exporter.get("/metrics").text
    start = text.index("# HELP mlflow_")
    # Row estimates come from the database's own statistics, which differ by kind.
    shown = text[start:].partition("# HELP mlflow_store_rows")[0]
    # MLflow's client takes no time of creation for a version.
    shown = re.sub(r"(?m)^(mlflow_model_aliased_version_timestamp_seconds{.*}) 1\.[0-9.e+]+$", r"\1 NOW", shown)
    assert shown == _GOLDEN.read_text(encoding="utf-8")


def test_values_equal_what_the_mlflow_client_reports(store_uri: str) -> None:
    families = _collect(store_uri)
    client = reference_client(store_uri)
    experiments = client.search_experiments(view_type=ViewType.ALL)
    assert _samples(families, "mlflow_experiments") == {
        (stage,): float(count) for stage, count in Counter(e.lifecycle_stage for e in experiments).items()
    }
    runs = {
        experiment.name: client.search_runs([experiment.experiment_id], run_view_type=ViewType.ACTIVE_ONLY)
        for experiment in experiments
        if experiment.lifecycle_stage == "active"
    }
    assert sum(map(len, runs.values())) == 15
    counts = _samples(families, "mlflow_runs")
    assert {key: count for key, count in counts.items() if count} == {
        (name, status): float(count)
        for name, found in runs.items()
        for status, count in Counter(run.info.status for run in found).items()
    }
    assert _samples(families, "mlflow_metric_latest") == _latest_by_client(runs)
    assert _samples(families, "mlflow_metric_best") == _best_by_client(runs)
    assert _samples(families, "mlflow_model_metric") == _model_metrics_by_client(client)


def _latest_by_client(runs: Mapping[str, Sequence[Run]]) -> dict[tuple[str, ...], float]:
    latest: dict[tuple[str, ...], Run] = {}
    for experiment, found in runs.items():
        for run in found:
            if run.info.status != "FINISHED":
                continue
            variant = run.data.params.get("model_variant") or run.data.tags.get("model_variant", "")
            key = (experiment, variant)
            if key not in latest or _age_key(run) > _age_key(latest[key]):
                latest[key] = run
    return {
        (experiment, variant, metric): _stored(value)
        for (experiment, variant), run in latest.items()
        for metric, value in run.data.metrics.items()
        if not math.isnan(value)
    }


def _age_key(run: Run) -> tuple[int, int]:
    return run.info.end_time, run.info.start_time


def _best_by_client(runs: Mapping[str, Sequence[Run]]) -> dict[tuple[str, ...], float]:
    values: dict[tuple[str, str], list[float]] = {}
    for experiment, found in runs.items():
        for run in found:
            if run.info.status == "FINISHED":
                for metric, value in run.data.metrics.items():
                    if not math.isnan(value) and abs(value) < _STORED_INFINITY:
                        values.setdefault((experiment, metric), []).append(value)
    lower = {"val_loss", "loss/train: top-5", "rmse"}
    return {key: min(found) if key[1] in lower else max(found) for key, found in values.items()}


def _model_metrics_by_client(client: MlflowClient) -> dict[tuple[str, ...], float]:
    return {
        (model.name, alias, metric): _stored(value)
        for model in client.search_registered_models()
        for alias, version in model.aliases.items()
        if (run_id := client.get_model_version(model.name, version).run_id)
        for metric, value in client.get_run(run_id).data.metrics.items()
        if not math.isnan(value)
    }


def _stored(value: float) -> float:
    return math.copysign(math.inf, value) if abs(value) >= _STORED_INFINITY else value


def test_row_estimates_come_from_the_database(postgres_server: PostgresServer, postgres_store: str) -> None:
    rows = _samples(_collect(postgres_server.uri(database=postgres_store)), "mlflow_store_rows")
    assert rows[("runs",)] == 18
    assert rows[("metrics",)] == 39
    assert set(rows) == {
        *(
            (table,)
            for table in ("experiments", "latest_metrics", "metrics", "model_versions", "params", "runs", "tags")
        ),
        *((table,) for table in ("datasets", "logged_models", "trace_info")),
    }


def test_a_change_is_seen_at_the_next_refresh(store_uri: str) -> None:
    client = reference_client(store_uri)
    source = MlflowSource(MlflowSettings(uri=store_uri))
    experiment = client.get_experiment_by_name(CHURN)
    assert experiment is not None
    before = _samples(source.collect(), "mlflow_runs")
    run = client.create_run(experiment.experiment_id, start_time=(EPOCH + 9000) * 1000)
    client.log_param(run.info.run_id, "model_variant", "model_new")
    client.log_metric(run.info.run_id, "accuracy", 0.5)
    running = _samples(source.collect(), "mlflow_runs")
    client.set_terminated(run.info.run_id, "FINISHED", end_time=(EPOCH + 9100) * 1000)
    finished = source.collect()
    client.delete_run(run.info.run_id)
    deleted = _samples(source.collect(), "mlflow_runs")
    source.close()
    assert running[(CHURN, "RUNNING")] == before[(CHURN, "RUNNING")] + 1
    assert _samples(finished, "mlflow_runs")[(CHURN, "FINISHED")] == before[(CHURN, "FINISHED")] + 1
    assert _samples(finished, "mlflow_metric_latest")[(CHURN, "model_new", "accuracy")] == 0.5
    assert deleted == before


def test_experiments_and_metrics_are_chosen_by_patterns(store_uri: str) -> None:
    families = _collect(
        store_uri,
        experiments={"include": "churn,vision*", "exclude": "*nothing*"},
        metrics={"include": ["acc*", "rmse", "val_loss"], "exclude": ["rmse"]},
    )
    assert {experiment for experiment, _status in _samples(families, "mlflow_runs")} == {CHURN, VISION}
    assert {metric for *_labels, metric in _samples(families, "mlflow_metric_best")} == {"accuracy", "val_loss"}
    assert {metric for *_labels, metric in _samples(families, "mlflow_model_metric")} == {"accuracy", "val_loss"}


def test_lower_is_better_is_a_setting(store_uri: str) -> None:
    best = _samples(_collect(store_uri, metrics={"lower_is_better": ["acc*"]}), "mlflow_metric_best")
    assert best[(CHURN, "accuracy")] == 0.5
    assert best[(CHURN, "val_loss")] == 0.6


def test_params_and_tags_become_labels(store_uri: str) -> None:
    families = _collect(store_uri, labels={"team": "tag:team", "size": ["param:nope", "param:test_size"]})
    assert families["mlflow_metric_latest"].labels == ("experiment", "model_variant", "metric", "team", "size")
    assert _samples(families, "mlflow_metric_latest")[(CHURN, "model_d", "accuracy", "mlops", "0.2")] == 0.85
    swapped = _collect(store_uri, labels={"model_variant": ["tag:model_variant", "param:model_variant"]})
    assert _samples(swapped, "mlflow_metric_latest")[(CHURN, "ignored", "accuracy")] == 0.85


def test_the_cap_cuts_the_experiments_that_were_not_used_for_longest(store_uri: str) -> None:
    families = _collect(store_uri, max_series=10)
    assert {experiment for experiment, _status in _samples(families, "mlflow_runs")} == {VISION, CHURN}
    assert families["mlflow_runs"].dropped == 20


def test_latest_runs_beyond_the_cap_are_counted_and_their_metrics_never_read(sqlite_store: Path) -> None:
    with contextlib.closing(sqlite3.connect(sqlite_store)) as connection, connection:
        connection.execute("delete from registered_model_aliases")
        connection.execute("update params set value = value || run_uuid where key = 'model_variant'")
    uri = f"sqlite:///{sqlite_store}"
    all_of_them = len({labels[:2] for labels in _samples(_collect(uri), "mlflow_metric_latest")})
    with contextlib.closing(MlflowSource(MlflowSettings(uri=uri, max_series=2))) as source:
        families = source.collect()
        assert len(source._store.latest._metrics) == 2
    assert all_of_them > 3
    assert families["mlflow_metric_latest"].dropped >= all_of_them - 2
    assert len(families["mlflow_metric_latest"].samples) == 2


def test_workspaces_are_distinguished(sqlite_store: Path) -> None:
    with contextlib.closing(sqlite3.connect(sqlite_store)) as connection, connection:
        connection.execute("update experiments set workspace = 'blue' where name = ?", [CHURN])
    counts = _samples(_collect(f"sqlite:///{sqlite_store}"), "mlflow_runs")
    assert counts[("blue/churn", "FINISHED")] == 7
    assert (CHURN, "FINISHED") not in counts


def test_a_store_of_mlflow_2_has_no_workspaces_and_maybe_no_aliases(sqlite_store: Path) -> None:
    expected = _text(sqlite_store)
    with contextlib.closing(sqlite3.connect(sqlite_store)) as connection, connection:
        _drop_workspaces(connection)
    assert _text(sqlite_store) == expected
    with contextlib.closing(sqlite3.connect(sqlite_store)) as connection, connection:
        connection.execute("drop table registered_model_aliases")
    versions = _samples(_collect(f"sqlite:///{sqlite_store}"), "mlflow_model_version_info")
    assert {alias for _model, _version, alias, _status in versions} == {""}
    assert len(versions) == 6


def _text(store: Path) -> bytes:
    """Return what is exposed but for the row estimates, which are the ids of rows here."""
    return render_text(_collect(f"sqlite:///{store}")).partition(b"# HELP mlflow_store_rows")[0]


def _drop_workspaces(connection: sqlite3.Connection) -> None:
    """Make copies of all tables with a workspace, without it; constraints do not matter to a reader."""
    connection.execute("pragma foreign_keys = off")
    tables = connection.execute("select name from sqlite_master where type = 'table' and sql like '%workspace%'")
    for (table,) in tables.fetchall():
        columns = [row[1] for row in connection.execute(f"pragma table_info({table})") if row[1] != "workspace"]
        connection.execute(f"create table copy as select {', '.join(columns)} from {table}")
        connection.execute(f"drop table {table}")
        connection.execute(f"alter table copy rename to {table}")


def test_nothing_is_ever_written(postgres_server: PostgresServer, postgres_store: str) -> None:
    role = f"reader_{postgres_store}"
    postgres_server.execute(
        f"CREATE ROLE {role} LOGIN PASSWORD 'p:@/ w%'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
        postgres_store,
    )
    uri = postgres_server.uri(role, "p:@/ w%", postgres_store)
    families = _collect(uri.replace("postgresql://", "postgresql+psycopg2://"))
    assert families.series > 50


def test_the_session_is_read_only_named_and_bounded(postgres_server: PostgresServer, postgres_store: str) -> None:
    source = MlflowSource(MlflowSettings(uri=postgres_server.uri(database=postgres_store), timeout="7s"))
    settings = (
        "select current_setting('transaction_read_only'), current_setting('application_name'), "
        "current_setting('statement_timeout'), current_setting('transaction_isolation')"
    )
    with source._session.transaction():
        assert source._session.rows(settings) == [("on", "ml-monitoring-exporter", "7s", "repeatable read")]
    source.close()


def test_check_says_what_was_found(store_uri: str) -> None:
    source = MlflowSource(MlflowSettings(uri=store_uri))
    dialect = store_uri.split(":", 1)[0].partition("+")[0]
    assert source.check().startswith(f"MLflow store on {dialect}, schema ")
    assert source.check().endswith(": 7 experiments, 18 runs")
    source.close()
