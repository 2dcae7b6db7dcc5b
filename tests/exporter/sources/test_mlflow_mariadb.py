"""What is of MySQL and MariaDB alone: how changes are found there, texts that count as equal, servers that stop."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable
from pathlib import Path

import pytest

from ml_monitoring.exporter.errors import Reason
from ml_monitoring.exporter.sources.mlflow.mysql_changes import StorePosition
from tests.support.mlflow_source import exposed, freshly_exposed, mlflow_source
from tests.support.mlflow_store import CHURN, reference_client
from tests.support.mlflow_workload import RandomWorkload
from tests.support.serving import serving
from tools.mariadb import MariadbServer

_NOON = datetime.datetime(2026, 11, 1, 12, tzinfo=datetime.UTC)
_CHANGES = "ml_monitoring.exporter.sources.mlflow.mysql_changes"
_UP = 'ml_monitoring_source_up{source="mlflow"}'


def _at(seconds: float) -> datetime.datetime:
    return _NOON + datetime.timedelta(seconds=seconds)


def _position(now: float, runs: float | None, *, started: float = -9000, server: str = "a") -> StorePosition:
    tables = {"runs": (_at(-8000), None if runs is None else _at(runs)), "tags": (_at(-8000), _at(-7000))}
    return StorePosition(_at(now), _at(started), (server, 3306), tables)


@pytest.mark.parametrize(
    ("before", "here", "written"),
    [
        (_position(0, -60), _position(15, -60), False),
        (_position(0, -60), _position(15, 5), True),
        (_position(0, None), _position(15, None), False),
        (_position(0, None), _position(15, 5), True),
        # What was written in the second of the last look may be followed by more of the same second.
        (_position(0, 0), _position(15, 0), True),
        (_position(0, -1), _position(15, -1), True),
        # A server that was started forgot what was written before; another one knows of other things.
        (_position(0, None), _position(15, None, started=-5), False),
        (_position(0, None), _position(15, None, started=5), True),
        (_position(0, -60), _position(15, -60, server="b"), True),
        (None, _position(0, -60), True),
    ],
)
def test_whether_a_table_was_written_to_shows_in_its_time(
    before: StorePosition | None, here: StorePosition, written: bool
) -> None:
    started = here.started > before.started if before is not None else False
    assert here.written_since(before, ["runs"]) is (written or started)


def test_a_server_that_knows_no_times_may_have_been_written_to() -> None:
    silent = StorePosition(_NOON, _NOON, ("a", 1), {"runs": (_NOON, None)})
    assert silent.written_since(silent, ["runs"])


def test_a_transaction_that_was_open_over_a_refresh_is_not_missed(
    mariadb_server: MariadbServer, mariadb_store: str
) -> None:
    uri = mariadb_server.uri(database=mariadb_store)
    with mlflow_source(uri) as source, contextlib.closing(mariadb_server.connect(mariadb_store)) as early:
        source.collect()
        early.begin()
        with early.cursor() as cursor:
            cursor.execute("select status, run_uuid from runs where status in ('RUNNING', 'KILLED')")
            runs = dict(cursor.fetchall())
            cursor.execute("update runs set status = 'FAILED' where run_uuid = %s", (runs["RUNNING"],))
        mariadb_server.execute(f"update runs set name = 'x' where run_uuid = '{runs['KILLED']}'", mariadb_store)
        source.collect()
        early.commit()
        assert exposed(source) == freshly_exposed(uri)
        assert source._store.loads == 1
        assert source.collect()["mlflow_runs"].samples[(CHURN, "FAILED")] == 2


def test_a_big_store_is_scanned_in_shares(
    mariadb_server: MariadbServer, mariadb_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{_CHANGES}._RUNS_A_SHARE", 5)
    monkeypatch.setattr(f"{_CHANGES}._RUNS_A_SLICE", 3)
    uri = mariadb_server.uri(database=mariadb_store)
    workload = RandomWorkload(uri, 5)
    with mlflow_source(uri, interval="1s", reconcile="1s") as source:
        source.collect()
        for _operation in range(30):
            workload.step()
            source.collect()
        # 18 runs make four shares and six slices, and what is written while a pass goes on takes another one.
        for _refresh in range(14):
            source.collect()
        assert exposed(source) == freshly_exposed(uri)
        assert source._store.loads == 1


def test_a_value_that_fell_is_found_by_the_end_of_a_pass(mariadb_server: MariadbServer, mariadb_store: str) -> None:
    with mlflow_source(mariadb_server.uri(database=mariadb_store), reconcile="1ms") as source:
        best = source.collect()["mlflow_metric_best"].samples
        assert (best[CHURN, "accuracy"], best[CHURN, "val_loss"]) == (0.95, 0.3)
        change = "update latest_metrics set value = value {} where `key` = '{}' and value = {}"
        for edit in (("- 0.2", "accuracy", "0.95"), ("+ 0.1", "val_loss", "0.3")):
            mariadb_server.execute(change.format(*edit), mariadb_store)
        best = source.collect()["mlflow_metric_best"].samples
        assert (best[CHURN, "accuracy"], best[CHURN, "val_loss"]) == (0.85, 0.4)


def test_tables_that_were_made_again_are_read_again(mariadb_server: MariadbServer, mariadb_store: str) -> None:
    uri = mariadb_server.uri(database=mariadb_store)
    with mlflow_source(uri) as source:
        source.collect()
        # As a dump that is restored does it.
        mariadb_server.execute(
            "create table saved like runs; insert into saved select * from runs where status <> 'FAILED';"
            "set foreign_key_checks = 0; drop table runs; rename table saved to runs",
            mariadb_store,
        )
        assert exposed(source) == freshly_exposed(uri)
        assert source.collect()["mlflow_runs"].samples[(CHURN, "FAILED")] == 0


def test_keys_that_differ_in_case_or_accents_are_told_apart(mariadb_server: MariadbServer, mariadb_store: str) -> None:
    uri = mariadb_server.uri(database=mariadb_store)
    client = reference_client(uri)
    experiment = client.create_experiment("spelling")
    for key, value in (("score", 0.5), ("Score", 0.7), ("scöre", 0.9)):
        run = client.create_run(experiment).info.run_id
        client.log_metric(run, key, value)
        # Not the param that is the label, for all that MySQL knows.
        client.log_param(run, "MODEL_VARIANT", key)
        client.set_tag(run, "Team", key)
        client.set_terminated(run)
    with mlflow_source(uri, count_tags=["Team"]) as source:
        families = source.collect()
    best = {key: value for (of, key), value in families["mlflow_metric_best"].samples.items() if of == "spelling"}
    assert best == {"score": 0.5, "Score": 0.7, "scöre": 0.9}
    assert {labels[1] for labels in families["mlflow_metric_latest"].samples if labels[0] == "spelling"} == {""}
    assert families["mlflow_tagged_runs"].samples == {("Team", name): 1 for name in ("score", "Score", "scöre")}


def test_a_database_of_another_encoding_is_converted_by_the_server(
    mariadb_server: MariadbServer, mariadb_store: str
) -> None:
    name = f"{mariadb_store}_latin1"
    uri = mariadb_server.create_database(name, template=mariadb_store)
    for table in ("experiments", "runs", "latest_metrics", "params", "tags"):
        delete = (
            f"delete from {table}; "
            if table != "experiments"
            else "update experiments set name = 'café' where name like 'vis%'; "
        )
        mariadb_server.execute(f"{delete}alter table {table} convert to character set latin1", name)
    client = reference_client(uri)
    experiment = client.get_experiment_by_name("café")
    assert experiment is not None
    run = client.create_run(experiment.experiment_id).info.run_id
    client.log_metric(run, "précision", 0.5)
    client.log_param(run, "model_variant", "modèle")
    client.set_terminated(run)
    with mlflow_source(uri, reconcile="1ms") as source:
        for _refresh in range(2):
            families = source.collect()
            assert dict(families["mlflow_metric_best"].samples) == {("café", "précision"): 0.5}
            assert dict(families["mlflow_metric_latest"].samples) == {("café", "modèle", "précision"): 0.5}


def test_a_server_that_freezes_stops_and_comes_back(
    mariadb_server: MariadbServer, mariadb_store: str, write_config: Callable[..., Path]
) -> None:
    config = write_config(mariadb_server.uri(database=mariadb_store), timeout="2s", staleness="60s")
    finished = f'mlflow_runs{{experiment="{CHURN}",status="FINISHED"}}'
    with serving(config) as exporter:
        exporter.wait_for(finished, 7)
        mariadb_server.pause()
        try:
            samples = exporter.wait_for(_UP, 0)
        finally:
            mariadb_server.resume()
        assert samples[f'ml_monitoring_source_errors_total{{reason="{Reason.TIMEOUT}",source="mlflow"}}'] >= 1
        # A hiccup is no reason to withdraw what was true a moment ago.
        assert samples[finished] == 7
        exporter.wait_for(_UP, 1)
        mariadb_server.restart()
        mariadb_server.execute("update runs set status = 'KILLED' where status = 'FINISHED'", mariadb_store)
        exporter.wait_for(finished, 0, timeout=60)
        assert mariadb_server.password not in exporter.log.read_text()


def test_who_may_not_read_a_table_is_told_which(
    mariadb_server: MariadbServer, mariadb_store: str, write_config: Callable[..., Path]
) -> None:
    user = f"poor_{mariadb_store}"
    mariadb_server.execute(f"create user {user} identified by 'x'; grant select on {mariadb_store}.params to {user}")
    with serving(write_config(mariadb_server.uri(user, "x", mariadb_store))) as exporter:
        line = exporter.wait_for_log("source failed")
        assert "lacks table experiments" in line
        mariadb_server.execute(f"grant select on {mariadb_store}.* to {user}")
        exporter.wait_for(_UP, 1)
