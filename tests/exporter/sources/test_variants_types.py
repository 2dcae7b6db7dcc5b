"""Columns of other types than docker/postgres/variants has, above all times that say no zone."""

from __future__ import annotations

import pytest

from ml_monitoring.exporter.errors import Reason
from ml_monitoring.exporter.exposition import render_text
from ml_monitoring.exporter.families import FamilySet
from tests.support.variants_fixtures import collect, reading, samples
from tests.support.variants_store import EPOCH, add_active, connected, create_tables, write_reference_content
from tools.postgres import PostgresServer

# Without daylight saving time, so that no hour comes twice.
_ZONE = "Asia/Kolkata"
_TIMES = {
    "variants": ("posted_at",),
    "variant_monitoring": ("last_updated",),
    "variant_kills": ("posted_at", "killed_at"),
}


@pytest.fixture
def reference(postgres_database: str) -> str:
    """Return the URI of a database with the reference content and no checks."""
    create_tables(postgres_database)
    write_reference_content(postgres_database)
    with connected(postgres_database) as cursor:
        cursor.execute("alter table variant_kills drop constraint variant_kills_check")
    return postgres_database


def _change(uri: str, kind: str, using: str) -> None:
    with connected(uri) as cursor:
        for table, columns in _TIMES.items():
            for column in columns:
                cursor.execute(
                    f"alter table {table} alter column {column} drop default,"
                    f" alter column {column} type {kind} using {using.format(column)}"
                )


def _messages(families: FamilySet) -> list[str]:
    assert {problem.reason for problem in families.problems} <= {Reason.INVALID_VALUE}
    return [problem.message for problem in families.problems]


_LOCAL = "{} at time zone 'Asia/Kolkata'"
_KINDS = [
    ("timestamp", _LOCAL),
    ("text", "to_char(" + _LOCAL + ", 'YYYY-MM-DD HH24:MI:SS.US')"),
    ("varchar(40)", "to_char(" + _LOCAL + ", 'YYYY-MM-DD\"T\"HH24:MI:SS')"),
    ("text", "to_char({} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"),
    ("text", "to_char({} at time zone '-05:30'::interval, ' YYYY-MM-DD HH24:MI:SS-05:30 ')"),
    ("timestamptz", "{}"),
]


@pytest.mark.parametrize(("kind", "using"), _KINDS)
def test_times_of_any_type_are_read_in_the_zone_of_the_server(reference: str, kind: str, using: str) -> None:
    before = render_text(collect(reference))
    _change(reference, kind, using)
    name = reference.rpartition("/")[2]
    with connected(reference) as cursor:
        cursor.execute(f"alter database \"{name}\" set timezone = '{_ZONE}'")
    families = collect(reference)
    assert _messages(families) == []
    assert render_text(families) == before
    with reading(reference) as source:
        columns = ", ".join(f"{table}.{column}" for table, columns in _TIMES.items() for column in columns)
        told = f"times in {columns} that say no zone are read as {_ZONE} (the server's zone; setting timezone"
        assert (told in source.check()) is (kind != "timestamptz")


def test_a_setting_says_what_times_without_a_zone_mean(reference: str) -> None:
    before = render_text(collect(reference))
    _change(reference, "timestamp", _LOCAL)
    assert render_text(collect(reference)) != before
    assert render_text(collect(reference, timezone=_ZONE)) == before
    with reading(reference, timezone=_ZONE) as source:
        assert f"are read as {_ZONE} (setting timezone)" in source.check()


def test_a_date_is_its_first_moment(reference: str) -> None:
    _change(reference, "date", "'2026-07-04'")
    posted = samples(collect(reference, timezone="America/New_York"), "variant_posted_timestamp_seconds")
    # Midnight in New York is four hours later than in UTC in summer.
    assert set(posted.values()) == {1783123200 + 4 * 3600}


def test_a_zone_left_on_a_pooled_connection_is_not_the_servers(reference: str, postgres_server: PostgresServer) -> None:
    before = render_text(collect(reference))
    _change(reference, "timestamp", "{} at time zone 'UTC'")
    with reading(reference) as source:
        source._session.connection.autocommit = True  # type: ignore[attr-defined]  # as somebody else uses it
        with source._session.connection.cursor() as cursor:  # type: ignore[attr-defined]
            cursor.execute("set timezone = 'Asia/Tokyo'")
        source._session.connection.autocommit = False  # type: ignore[attr-defined]
        assert render_text(source.collect()) == before


@pytest.mark.parametrize(
    "bad", ["yesterday", "2026-02-30", "2026-13-01 00:00", "2026-11-01 25:00", "", "infinity", "1793491200"]
)
def test_a_text_that_is_no_time_costs_only_itself(reference: str, bad: str) -> None:
    _change(reference, "text", "to_char({} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')")
    with connected(reference) as cursor:
        cursor.execute("update variants set posted_at = %s where id = 'a1'", (bad,))
        cursor.execute("update variant_kills set killed_at = %s where variant_id = 'k1'", (bad,))
        cursor.execute("update variant_monitoring set last_updated = %s where variant_id = 'a1'", (bad,))
    families = collect(reference)
    assert _messages(families)[-1] == "variant 'a1' of 'alice': variants.posted_at is no time"
    posted = samples(families, "variant_posted_timestamp_seconds")
    assert ("alice", "a1", "hook") not in posted
    assert posted["alice", "a2", "story"] == EPOCH + 60
    assert samples(families, "variant_kills_total")["alice", "low_engagement"] == 2


@pytest.mark.parametrize("bad", ["many", "1e999", "0x1", "", "9" * 400, "1 2"])
def test_a_text_that_is_no_number_costs_only_itself(reference: str, bad: str) -> None:
    before = render_text(collect(reference))
    columns = {"variants": ("predicted_er",), "variant_monitoring": ("current_er", "interaction_count", "view_count")}
    with connected(reference) as cursor:
        for table, names in columns.items():
            cursor.execute(
                f"alter table {table} "
                + ", ".join(
                    f"drop constraint if exists {table}_{name}_check,"
                    f" alter column {name} drop default, alter column {name} type text"
                    for name in names
                )
            )
    assert render_text(collect(reference)) == before
    with connected(reference) as cursor:
        cursor.execute("update variants set predicted_er = %s where id = 'a1'", (bad,))
        cursor.execute("update variant_monitoring set view_count = %s where variant_id = 'a2'", (bad,))
    families = collect(reference)
    assert "variant 'a1' of 'alice': variants.predicted_er is no number" in _messages(families)
    assert "variant 'a2' of 'alice': variant_monitoring.view_count is no number" in _messages(families)
    assert samples(families, "variant_views_total")["alice", "a1", "hook"] == 2000


@pytest.mark.parametrize("bad", ["5%", "0,05", "about 0.1"])
def test_the_check_counts_texts_that_are_no_numbers(reference: str, bad: str) -> None:
    with connected(reference) as cursor:
        cursor.execute(
            "alter table variants drop constraint if exists variants_predicted_er_check,"
            " alter column predicted_er type text"
        )
        cursor.execute("update variants set predicted_er = %s", (bad,))
    with reading(reference) as source:
        assert f"; variants.predicted_er is text, and no number in 14 rows, such as {bad!r}" in source.check()


@pytest.mark.parametrize("wanted", ["posted", "ACTIVE"])
def test_the_check_notes_that_no_row_has_an_active_status(reference: str, wanted: str) -> None:
    with connected(reference) as cursor:
        cursor.execute("update variants set status = 'Active' where id in ('a1', 'a2')")
        cursor.execute("update variants set status = 'live' where status <> 'Active'")
    with reading(reference, active_statuses=wanted) as source:
        assert f"; 0 of 14 rows have one of active_statuses ({wanted}); there are: live, Active" in source.check()


@pytest.mark.parametrize("bad", ["1e400", "-1e400", "1e-400", "NaN", "Infinity"])
def test_a_numeric_beyond_what_a_float_can_be_costs_only_itself(reference: str, bad: str) -> None:
    with connected(reference) as cursor:
        cursor.execute(
            "alter table variant_monitoring drop constraint variant_monitoring_view_count_check,"
            " alter column view_count type numeric"
        )
        cursor.execute("update variant_monitoring set view_count = %s::numeric where variant_id = 'a1'", (bad,))
    views = samples(collect(reference), "variant_views_total")
    assert views.get(("alice", "a1", "hook")) == (0 if bad == "1e-400" else None)
    assert views["alice", "a2", "story"] == 1900


def test_columns_of_types_that_mean_nothing_here_are_left_out(reference: str) -> None:
    with connected(reference) as cursor:
        cursor.execute(
            "drop index if exists variants_persona_posted;"
            "alter table variants alter column posted_at type bigint using extract(epoch from posted_at),"
            " drop constraint variants_predicted_er_check,"
            " alter column predicted_er type jsonb using to_jsonb(predicted_er)"
        )
    families = collect(reference)
    assert samples(families, "variant_posted_timestamp_seconds") == {}
    assert samples(families, "variant_predicted_engagement_ratio") == {}
    assert samples(families, "variant_views_total")["alice", "a1", "hook"] == 2000
    assert any("variants.posted_at is no time" in message for message in _messages(families))


def test_names_that_are_not_utf_8_are_shown_with_a_replacement_and_counted(
    reference: str, postgres_server: PostgresServer
) -> None:
    name = reference.rpartition("/")[2]
    postgres_server.execute(
        f"update pg_database set encoding = pg_char_to_encoding('SQL_ASCII') where datname = '{name}'"
    )
    with connected(reference) as cursor:
        add_active(cursor, "good", "détente", 100, 5)
        add_active(cursor, "bad", "bad", 300, 5)
        cursor.execute("update variants set persona_id = E'caf\\xe9', pattern_used = E'\\xff' where persona_id = 'bad'")
        cursor.execute("update variant_monitoring set persona_id = E'caf\\xe9' where persona_id = 'bad'")
    families = collect(reference)
    views = samples(families, "variant_views_total")
    assert views["détente", "good", "hook"] == 100
    assert views["caf�", "bad", "�"] == 300
    assert samples(families, "variant_last_update_timestamp_seconds").keys() >= {("caf�",)}
    assert _messages(families) == ["2 texts are not UTF-8 and shown with �, as 'caf�'"]
    with reading(reference) as source:
        assert source.check().endswith("; left out: 2 texts are not UTF-8 and shown with �, as 'caf�'")
