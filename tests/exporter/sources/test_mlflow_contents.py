"""Stores that hold something else than they are for: it costs the row that holds it, which is counted and named."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.exporter.cli import main
from ml_monitoring.exporter.errors import Reason
from ml_monitoring.exporter.exposition import render_text
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.mlflow import MlflowSettings, MlflowSource
from ml_monitoring.exporter.sources.mlflow.contents import _CONTENTS
from tests.support.mlflow_store import CHURN, VISION
from tests.support.pgbouncer import other_client, pooled
from tools.postgres import PostgresServer

_STRANGE = {
    "blob": b"\xff\x00x",
    "text": "12 o'clock",
    "infinity": float("inf"),
    "too large": 2**63 - 1,
    "fraction": 1.5,
    "null": None,
}
_EXTRA = (
    "insert into datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type, dataset_source)"
    " values ('d', 1, 'n', 'x', 'local', 's')",
    "insert into logged_models (model_id, experiment_id, name, artifact_location, creation_timestamp_ms,"
    " last_updated_timestamp_ms, status, lifecycle_stage) values ('m', 1, 'n', 'a', 1793491200000, 0, 2, 'active')",
    "insert into trace_info (request_id, experiment_id, timestamp_ms, execution_time_ms, status)"
    " values ('r', 1, 1793491200000, 5, 'OK'), ('s', 1, 1793491200000, 5, 'OK')",
)


def _collect(uri: str, **settings: Any) -> FamilySet:
    with contextlib.closing(MlflowSource(MlflowSettings(uri=uri, **settings), now=lambda: 1793491300.0)) as source:
        return source.collect()


def _messages(families: FamilySet) -> list[str]:
    assert {problem.reason for problem in families.problems} <= {Reason.INVALID_VALUE}
    return [problem.message for problem in families.problems]


@pytest.mark.parametrize("table", _CONTENTS)
def test_a_strange_value_in_any_column_costs_its_row(table: str, sqlite_store: Path, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(sqlite_store)) as connection, connection:
        for statement in _EXTRA:
            connection.execute(statement)
    copy = tmp_path / "copy.db"
    labels = {"team": ["tag:team"]}
    complete = _collect(f"sqlite:///{sqlite_store}", labels=labels)
    assert _messages(complete) == []
    tried = 0
    for column, kind in _CONTENTS[table].items():
        for name, value in _STRANGE.items():
            shutil.copy(sqlite_store, copy)
            with contextlib.closing(sqlite3.connect(copy)) as connection:
                connection.execute("pragma ignore_check_constraints = 1")
                last = f"(select max(rowid) from {table} {_ASKED_FOR.get(table, '')})"
                try:
                    connection.execute(f"update {table} set {column} = ? where rowid = {last}", [value])
                    ((stored,),) = connection.execute(f"select typeof({column}) from {table} where rowid = {last}")
                except sqlite3.Error:
                    continue  # such a value cannot be there
                connection.commit()
            families = _collect(f"sqlite:///{copy}", labels=labels)
            tried += 1
            fits = _fits(kind, stored, name)
            found = [message for message in _messages(families) if message.startswith(f"{table}.{column} is ")]
            assert bool(found) is not fits, (column, name, stored, _messages(families))
            # What others say is there.
            assert families.series > complete.series / 3
    assert tried


# Only rows that are asked for are looked at in these.
_ASKED_FOR = {"params": "where key = 'model_variant'", "tags": "where key = 'team'"}


def _fits(kind: str, stored: str, name: str) -> bool:
    if stored == "null":
        return kind.endswith("?")
    if kind.startswith("text"):
        return stored == "text"
    if kind == "integer":
        return stored == "integer"
    number = stored in ("integer", "real")
    return number and (kind == "value" or name == "fraction")


def test_a_blob_in_place_of_a_name_comes_and_goes(sqlite_store: Path) -> None:
    uri = f"sqlite:///{sqlite_store}"
    with contextlib.closing(MlflowSource(MlflowSettings(uri=uri))) as source:
        before = render_text(source.collect())
        with contextlib.closing(sqlite3.connect(sqlite_store)) as connection, connection:
            connection.execute("update experiments set name = cast('x' as blob) where name = ?", [CHURN])
        families = source.collect()
        assert _messages(families) == ["experiments.name is blob: experiment_id 1, name X'78'"]
        experiments = {labels[0] for labels in families["mlflow_runs"].samples}
        assert VISION in experiments
        assert CHURN not in experiments
        assert source.check().endswith("; left out: experiments.name is blob: experiment_id 1, name X'78'")
        with contextlib.closing(sqlite3.connect(sqlite_store)) as connection, connection:
            connection.execute("update experiments set name = ? where typeof(name) = 'blob'", [CHURN])
        assert render_text(source.collect()) == before


def test_of_many_such_rows_a_few_are_named_and_all_are_counted(sqlite_store: Path) -> None:
    with contextlib.closing(sqlite3.connect(sqlite_store)) as connection, connection:
        connection.execute("update runs set start_time = 'noon'")
    messages = _messages(_collect(f"sqlite:///{sqlite_store}"))
    assert messages[0].startswith("runs.start_time is text: run_uuid '")
    assert len(messages) == 6
    assert messages[5] == "and 13 more such rows of runs"


def test_a_stage_that_is_null_costs_its_experiment(postgres_server: PostgresServer, postgres_store: str) -> None:
    postgres_server.execute(
        f"update experiments set lifecycle_stage = null where name = '{CHURN}';"
        "update runs set experiment_id = null, status = null where start_time is not null and end_time is null",
        postgres_store,
    )
    families = _collect(postgres_server.uri(database=postgres_store))
    assert _messages(families) == ["experiments.lifecycle_stage is null: experiment_id 1"]
    assert (VISION, "FINISHED") in families["mlflow_runs"].samples


@pytest.fixture
def ascii_store(postgres_server: PostgresServer, postgres_store: str) -> str:
    """Return the URI of a store whose database checks no encoding."""
    postgres_server.execute(
        f"update pg_database set encoding = pg_char_to_encoding('SQL_ASCII') where datname = '{postgres_store}'"
    )
    return postgres_server.uri(database=postgres_store)


def test_names_that_are_not_utf_8_are_shown_with_a_replacement_and_counted(
    ascii_store: str, postgres_server: PostgresServer, postgres_store: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    before = _collect(ascii_store)
    assert _messages(before) == []
    assert (VISION, "FINISHED") in before["mlflow_runs"].samples
    postgres_server.execute(
        f"update experiments set name = E'caf\\xe9' where name = '{CHURN}';"
        "update latest_metrics set key = E'pr\\xe9cision' where key = 'precision';"
        "update params set value = E'mod\\xe8le' where value = 'model_b'",
        postgres_store,
    )
    families = _collect(ascii_store)
    assert families["mlflow_metric_latest"].samples["caf�", "mod�le", "accuracy"] == 0.82
    assert families["mlflow_metric_best"].samples["caf�", "pr�cision"] == 0.75
    (message,) = _messages(families)
    assert message.startswith("3 texts are not UTF-8 and shown with �, as 'mod�le'")
    # What `serve` leaves out, `check` knows.
    monkeypatch.setenv("ML_MONITORING_SOURCES__MLFLOW__URI", ascii_store)
    assert main(["check"]) == 0
    assert f"; left out: {message}" in capsys.readouterr().out


def test_a_store_behind_a_pool_of_one_is_read_and_left_as_it_was(
    postgres_server: PostgresServer, postgres_store: str, capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with pooled(postgres_server, postgres_server.uri(database=postgres_store)) as uri:
        with other_client(uri) as cursor:
            cursor.execute("select name, setting from pg_settings order by name")
            before = cursor.fetchall()
        monkeypatch.setenv("ML_MONITORING_SOURCES__MLFLOW__URI", uri)
        assert main(["once"]) == 0
        assert b'mlflow_runs{experiment="churn",status="FINISHED"} 7' in capsysbinary.readouterr().out
        with other_client(uri) as cursor:
            cursor.execute("select name, setting from pg_settings order by name")
            after = cursor.fetchall()
        assert after == before
        # The pool's connection was replaced meanwhile.
        with contextlib.closing(MlflowSource(MlflowSettings(uri=uri))) as source:
            source.collect()
            with other_client(postgres_server.uri()) as cursor:
                cursor.execute(
                    "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = %s",
                    (postgres_store,),
                )
            postgres_server.execute("update runs set status = 'FAILED' where status = 'KILLED'", postgres_store)
            assert source.collect()["mlflow_runs"].samples[CHURN, "KILLED"] == 0


def test_sqlite_names_that_are_not_utf_8_are_counted(sqlite_store: Path) -> None:
    with contextlib.closing(sqlite3.connect(sqlite_store)) as connection, connection:
        connection.execute("update experiments set name = cast(x'636166e9' as text) where name = ?", [CHURN])
    families = _collect(f"sqlite:///{sqlite_store}")
    assert families["mlflow_runs"].samples["caf�", "FINISHED"] == 7
    assert _messages(families) == ["1 text is not UTF-8 and shown with �, as 'caf�'"]
