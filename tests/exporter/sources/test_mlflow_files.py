"""Stores in SQLite files that are restored, replaced or taken away under a running exporter: no old number is fresh."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ml_monitoring.exporter.database import SqliteSession
from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.exposition import render_text
from ml_monitoring.exporter.sources.mlflow import MlflowSettings, MlflowSource
from tests.support.mlflow_store import CHURN, reference_client
from tests.support.serving import serving

_UP = 'ml_monitoring_source_up{source="mlflow"}'
_FINISHED = 'mlflow_runs{experiment="churn",status="FINISHED"}'
_BEST = 'mlflow_metric_best{experiment="churn",metric="accuracy"}'
WriteConfig = Callable[..., Path]
Replace = Callable[[Path, Path], None]


def _edit(store: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(store, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement).fetchall()


def _log_beside(store: Path) -> list[Path]:
    return [store.with_name(f"{store.name}-{name}") for name in ("wal", "shm")]


@contextlib.contextmanager
def _source(store: Path) -> Iterator[MlflowSource]:
    # Without passes: what is found is found at once.
    source = MlflowSource(MlflowSettings.model_validate({"uri": f"sqlite:///{store}", "reconcile": "1h"}))
    with contextlib.closing(source):
        yield source


def _text(source: MlflowSource) -> str:
    return render_text(source.collect()).decode()


def test_a_store_with_a_log_is_restored_and_written_again(sqlite_store: Path, write_config: WriteConfig) -> None:
    uri = f"sqlite:///{sqlite_store}"
    _edit(sqlite_store, "pragma journal_mode = wal")
    backup = Path(shutil.copy(sqlite_store, sqlite_store.with_name("backup.db")))
    with serving(write_config(uri)) as exporter:
        exporter.wait_for(_FINISHED, 7)
        with contextlib.closing(sqlite3.connect(sqlite_store, isolation_level=None)) as writer:
            writer.execute("update runs set status = 'FAILED' where status = 'FINISHED'")
            exporter.wait_for(_FINISHED, 0)
        for path in _log_beside(sqlite_store):
            path.unlink(missing_ok=True)
        with sqlite_store.open("r+b") as file:
            file.write(backup.read_bytes())
            file.truncate()
        exporter.wait_for(_FINISHED, 7)
        client = reference_client(uri)
        run = client.create_run(client.get_experiment_by_name(CHURN).experiment_id)  # type: ignore[union-attr]  # it exists
        client.log_metric(run.info.run_id, "accuracy", 0.97)
        client.set_terminated(run.info.run_id)
        samples = exporter.wait_for(_FINISHED, 8)
        assert samples[_BEST] == 0.97
        assert samples[_UP] == 1


def _copy_over(new: Path, store: Path) -> None:
    with store.open("r+b") as file:
        file.write(new.read_bytes())
        file.truncate()


def _copy_back_in_time(new: Path, store: Path) -> None:
    status = store.stat()
    _copy_over(new, store)
    os.utime(store, ns=(status.st_atime_ns, status.st_mtime_ns))


def _move_over(new: Path, store: Path) -> None:
    new.replace(store)


def _vacuum_and_move(new: Path, store: Path) -> None:
    small = store.with_name("vacuumed.db")
    _edit(new, f"vacuum into '{small}'")
    small.replace(store)


def _retarget(new: Path, store: Path) -> None:
    link = store.with_name("link.db")
    link.symlink_to(new)
    link.replace(store)


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("replace", [_copy_over, _copy_back_in_time, _move_over, _vacuum_and_move, _retarget])
@pytest.mark.parametrize("small", [True, False])
def test_what_takes_the_place_of_a_store_is_shown_at_the_next_refresh(
    sqlite_store: Path, journal: str, replace: Replace, small: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not small:
        monkeypatch.setattr("ml_monitoring.exporter.sources.mlflow.sqlite_changes._SMALL", 0)
    _edit(sqlite_store, f"pragma journal_mode = {journal}")
    new = Path(shutil.copy(sqlite_store, sqlite_store.with_name("new.db")))
    # Neither is older by SQLite's count, and no run differs by its row.
    _edit(new, "update latest_metrics set value = value - 0.01 where key = 'accuracy'")
    _edit(sqlite_store, "update latest_metrics set value = value + 0.02 where key = 'accuracy'")
    with _source(new) as source:
        expected = _text(source)
    with _source(sqlite_store) as source:
        assert _text(source) != expected
        for path in _log_beside(sqlite_store):
            path.unlink(missing_ok=True)
        replace(new, sqlite_store)
        assert _text(source) == expected


def test_another_store_in_the_same_file_is_read_as_a_whole(sqlite_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml_monitoring.exporter.sources.mlflow.sqlite_changes._SMALL", 0)
    new = Path(shutil.copy(sqlite_store, sqlite_store.with_name("new.db")))
    # It was written more often than the one before, so that only its runs tell.
    for number in range(5):
        _edit(new, f"update experiments set name = 'other {number}' where name = 'churn'")
    _edit(new, "update latest_metrics set value = value - 0.01", "delete from tags", "delete from params")
    _edit(new, "delete from metrics", "pragma foreign_keys = off", "delete from runs where status = 'FAILED'")
    with _source(sqlite_store) as source:
        source.collect()
        _copy_over(new, sqlite_store)
        after = _text(source)
        assert source._store.loads == 2
    with _source(new) as source:
        assert after == _text(source)


def test_writers_of_a_log_cost_no_full_read(sqlite_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml_monitoring.exporter.sources.mlflow.sqlite_changes._SMALL", 0)
    _edit(sqlite_store, "pragma journal_mode = wal")
    with contextlib.closing(sqlite3.connect(sqlite_store, isolation_level=None)) as writer:
        writer.execute("update runs set name = 'a'")
        with _source(sqlite_store) as source:
            source.collect()
            for number in range(3):
                writer.execute("update runs set end_time = end_time + 1 where status = 'FINISHED'")
                source.collect()
                # The log is taken over into the file and begins again.
                writer.execute("pragma wal_checkpoint(restart)").fetchall()
                writer.execute(f"update experiments set name = 'e{number}' where name <> 'churn' and experiment_id = 0")
                source.collect()
            assert source._store.loads == 1


def test_a_store_that_is_written_over_while_it_is_read_is_not_shown(sqlite_store: Path) -> None:
    session = SqliteSession(sqlite_store, timeout=5)
    content = sqlite_store.read_bytes()

    def read() -> None:
        with session.transaction():
            session.rows("select count(*) from runs")
            sqlite_store.write_bytes(content + bytes(4096))

    with pytest.raises(SourceError, match="was written over while it was read") as error:
        read()
    assert error.value.reason is Reason.READ
    with session.transaction():
        assert session.rows("select count(*) from runs") == [(18,)]


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    # Names of sockets are short, those of tests are not.
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("put", "name"),
    [(_fifo, "a FIFO"), (_socket, "a socket"), (_device, "a device"), (Path.mkdir, "a directory")],
)
def test_what_is_no_regular_file_is_named_and_never_waited_for(
    sqlite_store: Path, put: Callable[[Path], None], name: str
) -> None:
    with _source(sqlite_store) as source:
        before = _text(source)
        kept = sqlite_store.rename(sqlite_store.with_name("kept.db"))
        put(sqlite_store)
        with pytest.raises(SourceError, match=f"mlflow.db: is {name}, not a regular file") as error:
            source.collect()
        assert error.value.reason is Reason.READ
        if name == "a directory":
            sqlite_store.rmdir()
        kept.replace(sqlite_store)
        assert _text(source) == before


@pytest.mark.parametrize("suffix", ["-journal", "-wal", "-shm"])
def test_a_fifo_beside_the_store_is_never_waited_for(sqlite_store: Path, suffix: str) -> None:
    _edit(sqlite_store, f"pragma journal_mode = {'delete' if suffix == '-journal' else 'wal'}")
    beside = sqlite_store.with_name(sqlite_store.name + suffix)
    os.mkfifo(beside)
    with _source(sqlite_store) as source:
        with pytest.raises(SourceError, match=f"{beside.name}: is a FIFO, not a regular file"):
            source.collect()
        beside.unlink()
        assert source.collect()["mlflow_runs"].samples[(CHURN, "FINISHED")] == 7


def test_a_link_to_itself_is_an_error_and_no_defect(sqlite_store: Path) -> None:
    link = sqlite_store.with_name("loop.db")
    link.symlink_to(link)
    with _source(link) as source, pytest.raises(SourceError, match="Too many levels of symbolic links"):
        source.collect()
