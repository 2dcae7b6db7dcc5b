"""How the source finds changes: announced by triggers, or by polling."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest

from ml_monitoring.exporter.errors import Reason
from ml_monitoring.exporter.exposition import render_text
from tests.support.serving import ExporterProcess, parse_samples, serving
from tests.support.variants_fixtures import collect, reading, samples, write_config
from tests.support.variants_store import (
    add_active,
    connected,
    create_tables,
    write_reference_content,
)
from tools.processes import wait_until

_GOLDEN = Path("tests/golden/variants.txt")


@pytest.fixture
def uri(postgres_database: str) -> str:
    """Return a database with the tables, empty."""
    create_tables(postgres_database)
    return postgres_database


@pytest.fixture
def reference(uri: str) -> str:
    """Return a database with the reference content."""
    write_reference_content(uri)
    return uri


def test_commits_are_read_at_once_and_give_what_a_full_read_gives(reference: str, tmp_path: Path) -> None:
    statements = [
        "update variant_monitoring set view_count = 2500 where variant_id = 'a1'",
        "update variants set status = 'killed' where id = 'a2'",
        "insert into variants (id, persona_id, content, status) values ('new', 'bob', '', 'active')",
        "insert into variant_kills (variant_id, persona_id, reason) values ('a1', 'alice', 'other thing')",
        "insert into dashboard_events (event_type) values ('performance_update')",
        "update variants set persona_id = 'carol' where id = 'a4'",
        "delete from variants where id = 'a1'",
        "truncate variants cascade",
    ]
    # The interval is too long to be what finds a change.
    with serving(write_config(tmp_path, reference, interval="1h")) as exporter:
        exporter.wait_for("variant_notifications_active", 1)
        for statement in statements:
            before = _variant_samples(exporter.samples())
            with connected(reference) as cursor:
                cursor.execute(statement)
            assert wait_until(partial(_differs, exporter, before), timeout=20)
            after = _variant_samples(exporter.samples())
            fresh = _variant_samples(parse_samples(render_text(collect(reference)).decode()))
            # That one does not listen. Statuses that nobody has any more stay as 0.
            fresh["variant_notifications_active"] = 1
            assert {key: value for key, value in after.items() if value or key in fresh} == fresh, statement


def test_many_commits_cost_at_most_ten_refreshes_a_second(reference: str, tmp_path: Path) -> None:
    count = 'ml_monitoring_source_refresh_duration_seconds_count{source="variants"}'
    views = 'variant_views_total{pattern="hook",persona="alice",variant="a1"}'
    with serving(write_config(tmp_path, reference, interval="1h")) as exporter, connected(reference) as cursor:
        exporter.wait_for("variant_notifications_active", 1)
        before, began = exporter.samples()[count], time.monotonic()
        for _commit in range(2000):
            cursor.execute("update variant_monitoring set view_count = view_count + 1 where variant_id = 'a1'")
        exporter.wait_for(views, 4000)
        refreshes = exporter.samples()[count] - before
        # However long that took on this machine.
        seconds = time.monotonic() - began
    # One more at the beginning and at the end.
    assert 1 <= refreshes <= 10 * seconds + 2


def test_clearing_events_away_does_not_make_a_counter_fall(reference: str, tmp_path: Path) -> None:
    with serving(write_config(tmp_path, reference, interval="1h")) as exporter:
        exporter.wait_for("variant_notifications_active", 1)
        with connected(reference) as cursor:
            cursor.execute("truncate dashboard_events")
            cursor.execute("insert into dashboard_events (event_type) values ('deploy')")
        found = exporter.wait_for('variant_events_total{event="deploy",persona=""}', 2)
        assert found['variant_events_total{event="performance_update",persona="alice"}'] == 3


def _differs(exporter: ExporterProcess, before: dict[str, float]) -> bool:
    return _variant_samples(exporter.samples()) != before


def _variant_samples(found: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in found.items() if key.startswith("variant")}


def test_without_triggers_changes_are_found_by_polling(postgres_database: str, tmp_path: Path) -> None:
    create_tables(postgres_database, notify=False)
    write_reference_content(postgres_database)
    views = 'variant_views_total{pattern="hook",persona="alice",variant="a1"}'
    with serving(write_config(tmp_path, postgres_database, interval="300ms")) as exporter:
        found = exporter.wait_for(views, 2000)
        assert found["variant_notifications_active"] == 0
        with connected(postgres_database) as cursor:
            cursor.execute("update variant_monitoring set view_count = 2001 where variant_id = 'a1'")
        exporter.wait_for(views, 2001)


def test_what_was_not_announced_is_found_in_a_round_over_all_personas(uri: str) -> None:
    with connected(uri) as cursor, reading(uri, interval="1ms") as source:
        for number in range(120):
            add_active(cursor, f"v{number}", f"p{number}", 100, 5)
        source.start(lambda: None)
        assert wait_until(lambda: samples(source.collect(), "variant_notifications_active") == {(): 1}, timeout=20)
        source.collect()
        # No trigger fires in a session like that of replication.
        cursor.execute("set session_replication_role = replica; update variant_monitoring set view_count = 150")
        found: list[float] = []

        def all_found() -> bool:
            found.append(sum(samples(source.collect(), "variant_views_total").values()))
            return found[-1] == 120 * 150

        # 50 personas a time.
        assert wait_until(all_found, timeout=20)
        assert sorted(found) == found
        assert len(set(found)) == 3


def test_check_says_how_changes_are_found(reference: str, postgres_database: str) -> None:
    with reading(reference) as source:
        assert source.check() == "PostgreSQL: 14 variants of 3 personas; changes are announced"
    with connected(postgres_database) as cursor:
        cursor.execute("alter table variants disable trigger user; drop table dashboard_events")
    with reading(postgres_database) as source:
        assert source.check() == (
            "PostgreSQL: 14 variants of 3 personas; no triggers announce changes: they are found by polling; "
            "without table dashboard_events"
        )


def test_listener_that_cannot_connect_leaves_polling_and_says_so(reference: str) -> None:
    nowhere = "postgresql://x:secret@127.0.0.1:1/none"
    with reading(reference, listen_uri=nowhere, timeout="2s") as source:
        source.start(lambda: None)
        assert wait_until(lambda: bool(source.collect().problems), timeout=20)
        families = source.collect()
        assert samples(families, "variant_notifications_active") == {(): 0}
        (problem,) = families.problems
        assert problem.reason is Reason.CONNECT
        assert problem.message.startswith("not listening, changes are found by polling: cannot connect")
        assert "secret" not in problem.message
