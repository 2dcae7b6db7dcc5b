"""A store that is read from a hot standby, as is done where the primary must not be burdened."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ml_monitoring.exporter.exposition import render_text
from ml_monitoring.exporter.sources.mlflow import MlflowSettings, MlflowSource
from tests.support.mlflow_store import CHURN, write_reference_store
from tests.support.mlflow_workload import RandomWorkload
from tools.postgres import PostgresServer, PostgresStandby
from tools.processes import wait_until

_STORE = "mlflow"


@dataclass(frozen=True)
class _Pair:
    """A primary, a standby, and a source that reads the standby."""

    primary: PostgresServer
    standby: PostgresStandby
    source: MlflowSource

    def catch_up(self) -> None:
        """Wait until the standby has everything that the primary wrote."""
        with contextlib.closing(self.primary.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("select pg_current_wal_flush_lsn()")
            (written,) = cursor.fetchone() or ("0/0",)
        replayed = f"select pg_last_wal_replay_lsn() >= '{written}'"
        assert wait_until(lambda: self.ask(replayed) is True, timeout=20), "the standby does not catch up"

    def ask(self, sql: str) -> object:
        """Return the answer of the standby."""
        with contextlib.closing(self.standby.connect(_STORE)) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            row = cursor.fetchone()
        return row[0] if row else None

    def failed(self) -> object:
        """Refresh, check that it equals a full read, and return how many runs of the experiment failed."""
        families = self.source.collect()
        fresh = MlflowSource(_settings(self.standby))
        try:
            assert render_text(families) == render_text(fresh.collect())
        finally:
            fresh.close()
        return families["mlflow_runs"].samples[(CHURN, "FAILED")]

    def fail_a_run(self, server: PostgresServer, name: str) -> None:
        server.execute(f"update runs set status = 'FAILED' where name = '{name}'", _STORE)


def _settings(server: PostgresServer) -> MlflowSettings:
    return MlflowSettings.model_validate({"training": False, "uri": server.uri(database=_STORE), "reconcile": "1h"})


@pytest.fixture(scope="module")
def primary() -> Iterator[PostgresServer]:
    # A commit that is only in the memory of the primary cannot reach the standby.
    with PostgresServer(settings={"synchronous_commit": "local", "wal_keep_size": "64MB"}) as server:
        write_reference_store(server.create_database(_STORE))
        yield server


@pytest.fixture
def pair(primary: PostgresServer) -> Iterator[_Pair]:
    with PostgresStandby(primary) as standby:
        source = MlflowSource(_settings(standby))
        found = _Pair(primary, standby, source)
        found.catch_up()
        try:
            yield found
        finally:
            source.close()


def test_what_the_standby_has_is_seen_at_the_next_refresh(pair: _Pair) -> None:
    assert pair.ask("select pg_is_in_recovery()") is True
    before = pair.failed()
    assert isinstance(before, float)
    first = pair.source.collect()
    assert pair.source.collect() is first
    pair.fail_a_run(pair.primary, "plain")
    pair.catch_up()
    assert pair.failed() == before + 1
    assert pair.source._store.loads == 1


def test_a_writer_that_idles_in_its_transaction_hides_nothing(pair: _Pair) -> None:
    before = pair.failed()
    assert isinstance(before, float)
    with contextlib.closing(pair.primary.connect(_STORE)) as idle:
        idle.autocommit = False
        with idle.cursor() as cursor:
            cursor.execute("update runs set status = 'FAILED' where name = 'tagged'")
        for name in ("both", "b-tie-1"):
            pair.fail_a_run(pair.primary, name)
            pair.catch_up()
            assert pair.failed() == before + 1 + (name == "b-tie-1")
        idle.commit()
    pair.catch_up()
    assert pair.failed() == before + 3
    assert pair.source._store.loads == 1


def test_statistics_that_are_reset_on_both_hide_nothing(pair: _Pair) -> None:
    before = pair.failed()
    assert isinstance(before, float)
    pair.fail_a_run(pair.primary, "a-new")
    pair.primary.execute("select pg_stat_reset()", _STORE)
    pair.standby.execute("select pg_stat_reset()", _STORE)
    pair.catch_up()
    assert pair.failed() == before + 1


def test_a_replay_that_pauses_shows_what_was_and_then_what_is(pair: _Pair) -> None:
    before = pair.failed()
    assert isinstance(before, float)
    shown = pair.source.collect()
    pair.standby.execute("select pg_wal_replay_pause()")
    assert wait_until(lambda: pair.ask("select pg_get_wal_replay_pause_state()") == "paused", timeout=20)
    pair.fail_a_run(pair.primary, "killed")
    for _refresh in range(3):
        assert pair.source.collect() is shown
    pair.standby.execute("select pg_wal_replay_resume()")
    pair.catch_up()
    assert pair.failed() == before + 1


def test_a_promotion_is_survived_also_of_what_was_open_then(pair: _Pair) -> None:
    before = pair.failed()
    assert isinstance(before, float)
    with contextlib.closing(pair.primary.connect(_STORE)) as lost:
        lost.autocommit = False
        with lost.cursor() as cursor:
            cursor.execute("update runs set status = 'FAILED' where name = 'b-tie-2'")
        # Something that ends later, so that the open transaction is known to the standby.
        pair.fail_a_run(pair.primary, "a-old")
        pair.catch_up()
        assert pair.failed() == before + 1
        pair.standby.execute("select pg_promote()")
        # Neither the new primary nor the exporter ever see what was open.
        assert pair.failed() == before + 1
        pair.fail_a_run(pair.standby, "scheduled")
        assert pair.failed() == before + 2
        lost.rollback()
    pair.fail_a_run(pair.standby, "b-tie-2")
    assert pair.failed() == before + 3
    assert pair.ask("select pg_is_in_recovery()") is False
    # The old primary is another history from here on; the other tests do not need it.


def test_after_any_operations_the_standby_is_tracked_as_a_full_read_finds_it(pair: _Pair) -> None:
    workload = RandomWorkload(pair.primary.uri(database=_STORE), 5)
    source = MlflowSource(_settings(pair.standby).model_copy(update={"reconcile": 0.001}))
    with contextlib.closing(source):
        source.collect()
        for step in range(30):
            workload.step()
            if step % 5 == 4:
                pair.catch_up()
                fresh = MlflowSource(_settings(pair.standby))
                with contextlib.closing(fresh):
                    assert render_text(source.collect()) == render_text(fresh.collect())
        assert source._store.loads == 1
