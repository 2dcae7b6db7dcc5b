"""The panel that reads the variant tables: its statement, filled in as Grafana does, asked of a real PostgreSQL."""

from __future__ import annotations

import json

import pytest

from ml_monitoring.dashboards.commands import OUTPUT_DIR
from ml_monitoring.dashboards.lib.variables import VARIANTS_DATASOURCE
from ml_monitoring.dashboards.lint import panels
from ml_monitoring.dashboards.render.variables import Value, Variables
from tests.support.variants_store import EPOCH, ZOE, connected, create_tables, write_reference_content

EVERYBODY = Value((), (), is_all=True, all_value=".+", listed=True)
ODD = "a.b'c$names$"


@pytest.fixture
def database(postgres_database: str) -> str:
    create_tables(postgres_database)
    write_reference_content(postgres_database)
    with connected(postgres_database) as cursor:
        for persona in (ODD, "aXb'c$names$", ZOE):
            cursor.execute("insert into dashboard_events (event_type, persona_id) values ('odd', %s)", (persona,))
        # Inside of the shown range, but for the last one.
        cursor.execute("update dashboard_events set created_at = to_timestamp(%s + id)", (EPOCH,))
        cursor.execute("update dashboard_events set created_at = to_timestamp(%s) where persona_id = %s", (0, ZOE))
    return postgres_database


def statement() -> str:
    page = json.loads((OUTPUT_DIR / "Growth" / "ml-monitoring-variant-performance.json").read_text(encoding="utf-8"))
    (panel,) = [panel for panel in panels(page) if panel.get("datasource") == VARIANTS_DATASOURCE]
    return str(panel["targets"][0]["rawSql"])


def feed(uri: str, persona: Value) -> list[tuple[str, str | None, str | None, str | None]]:
    sql = Variables({"persona": persona}).query(statement())
    span = f"created_at BETWEEN to_timestamp({EPOCH}) AND to_timestamp({EPOCH + 3600})"
    sql = sql.replace("$__timeFilter(created_at)", span)
    with connected(uri) as cursor:
        cursor.execute(sql)
        assert [column.name for column in cursor.description] == ["Time", "Event", "Persona", "Variant", "Data"]
        return [tuple(row[1:]) for row in cursor.fetchall()]


def chosen(*personas: str) -> Value:
    return Value(personas, personas, listed=True)


def test_the_feed_shows_what_happened_in_the_range_newest_first(database: str) -> None:
    assert feed(database, EVERYBODY) == [
        ("odd", "aXb'c$names$", None, "{}"),
        ("odd", ODD, None, "{}"),
        ("deploy", None, None, '["not", "an", "object"]'),
        ("early_kill", "alice", "k1", '{"reason": "low_engagement"}'),
        *[("performance_update", "alice", "a1", '{"views": 10}')] * 3,
    ]


def test_the_feed_shows_the_chosen_personas_and_what_concerns_all(database: str) -> None:
    assert {persona for _, persona, _, _ in feed(database, chosen("alice", "nobody"))} == {"alice", None}
    assert {persona for _, persona, _, _ in feed(database, chosen("lic"))} == {None}


def test_a_name_is_text_in_the_feed_whatever_it_holds(database: str) -> None:
    assert {persona for _, persona, _, _ in feed(database, chosen(ODD))} == {ODD, None}
