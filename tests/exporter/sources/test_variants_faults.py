"""The `variants` source on values that cannot be, other schemas, and a database in trouble."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.exposition import render_text
from tests.support.serving import serving
from tests.support.variants_fixtures import collect, reading, samples, write_config
from tests.support.variants_store import EPOCH, add_active, connected, create_tables, write_reference_content
from tools.postgres import PostgresServer
from tools.processes import wait_until

_UP = 'ml_monitoring_source_up{source="variants"}'
_VIEWS = 'variant_views_total{pattern="hook",persona="alice",variant="a1"}'
# Tables of a system that checks nothing.
_UNCHECKED = """
    create table variants (id text, persona_id text, content text, predicted_er double precision, pattern_used text,
        status text, posted_at timestamptz, created_at timestamptz default now());
    create table variant_monitoring (id serial, variant_id text, persona_id text, current_er double precision,
        interaction_count bigint, view_count bigint, status text, last_updated timestamptz, created_at timestamptz);
    create table variant_kills (id serial, variant_id text, persona_id text, reason text,
        final_engagement_rate double precision, sample_size int, posted_at timestamptz, killed_at timestamptz);
    create table dashboard_events (id serial, event_type text, persona_id text, variant_id text, event_data jsonb,
        created_at timestamptz);
"""


@pytest.fixture
def unchecked(postgres_database: str) -> str:
    """Return a database whose tables let everything in."""
    with connected(postgres_database) as cursor:
        cursor.execute(_UNCHECKED)
    return postgres_database


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """Give a server that a test may stop and freeze."""
    with PostgresServer() as server:
        yield server


def _messages(uri: str) -> list[str]:
    return [problem.message for problem in collect(uri).problems]


@pytest.mark.parametrize(
    ("column", "value", "family", "message"),
    [
        ("current_er", "1.5", "variant_engagement_ratio", "variant_monitoring.current_er is 1.5"),
        ("current_er", "-0.1", "variant_engagement_ratio", "variant_monitoring.current_er is -0.1"),
        ("current_er", "'NaN'", "variant_engagement_ratio", "variant_monitoring.current_er is no number"),
        ("current_er", "'Infinity'", "variant_engagement_ratio", "variant_monitoring.current_er is inf"),
        ("view_count", "-5", "variant_views_total", "variant_monitoring.view_count is -5"),
        ("interaction_count", "-5", "variant_interactions_total", "variant_monitoring.interaction_count is -5"),
    ],
)
def test_impossible_figures_are_left_out_and_named(
    unchecked: str, column: str, value: str, family: str, message: str
) -> None:
    with connected(unchecked) as cursor:
        add_active(cursor, "good", "p", 1000, 50)
        add_active(cursor, "bad", "p", 1000, 50)
        cursor.execute(f"update variant_monitoring set {column} = {value} where variant_id = 'bad'")
    families = collect(unchecked)
    assert set(samples(families, family)) == {("p", "good", "hook")}
    assert [problem.message for problem in families.problems] == [f"variant 'bad' of 'p': {message}"]
    assert families.problems[0].reason is Reason.INVALID_VALUE
    # The rest of the row counts.
    assert ("p", "bad", "hook") in samples(families, "variant_predicted_engagement_ratio")


def test_null_is_no_sample_and_no_problem(unchecked: str) -> None:
    with connected(unchecked) as cursor:
        cursor.execute("insert into variants (id, persona_id, status) values ('v', 'p', 'active')")
        cursor.execute("insert into variant_monitoring (variant_id, persona_id) values ('v', 'p')")
        cursor.execute("insert into variant_kills (variant_id) values ('v')")
        cursor.execute("insert into dashboard_events (event_data) values (null)")
    families = collect(unchecked)
    exposed = {family.metric.name for family in families if family.samples}
    assert exposed == {
        "variants",
        "variant_recent_kills",
        "variant_recent_posts",
        "variant_kills_total",
        "variant_time_to_kill_seconds",
        "variant_events_total",
        "variant_optimization_opportunity_info",
        "variant_notifications_active",
    }
    assert [problem.message for problem in families.problems] == [
        "variant_kills: 1 rows without a time of posting before the time of the kill"
    ]


def test_more_interactions_than_views_keep_their_counters_but_no_statistics_are_made_of_them(unchecked: str) -> None:
    with connected(unchecked) as cursor:
        add_active(cursor, "odd", "p", 100, 50)
        add_active(cursor, "even", "p", 100, 5)
        cursor.execute(
            "update variant_monitoring set interaction_count = 150, current_er = 0.1 where variant_id = 'odd'"
        )
    families = collect(unchecked)
    assert samples(families, "variant_interactions_total")["p", "odd", "hook"] == 150
    assert set(samples(families, "variant_probability_best")) == {("p", "even", "hook")}
    assert _messages(unchecked) == ["variant 'odd' of 'p': 150 interactions in 100 views"]


def test_zero_views_are_no_ratio_and_no_evidence(unchecked: str) -> None:
    with connected(unchecked) as cursor:
        add_active(cursor, "v", "p", 0, 0)
    families = collect(unchecked)
    assert samples(families, "variant_views_total") == {("p", "v", "hook"): 0}
    assert samples(families, "variant_engagement_ratio") == {}
    assert samples(families, "variant_probability_best") == {}
    assert families.problems == []


def test_killed_before_posted_is_a_kill_without_a_time(unchecked: str) -> None:
    with connected(unchecked) as cursor:
        add_active(cursor, "v", "p", 100, 5)
        cursor.execute(
            "insert into variant_kills (variant_id, persona_id, reason, posted_at, killed_at) values"
            " ('x', 'p', 'r', to_timestamp(1000), to_timestamp(900)),"
            " ('y', 'p', 'r', to_timestamp(1000), 'infinity'), ('z', 'p', 'r', to_timestamp(1000), to_timestamp(1007))"
        )
    families = collect(unchecked)
    assert samples(families, "variant_kills_total") == {("p", "r"): 3}
    distribution = samples(families, "variant_time_to_kill_seconds")["p",]
    assert (sum(distribution.counts), distribution.total) == (1, 7)
    assert _messages(unchecked) == ["variant_kills: 2 rows without a time of posting before the time of the kill"]


def test_clock_skew_does_not_count_what_has_not_happened_yet(unchecked: str) -> None:
    with connected(unchecked) as cursor:
        add_active(cursor, "now", "p", 100, 5)
        add_active(cursor, "ahead", "p", 100, 5)
        cursor.execute("update variants set posted_at = now() + interval '1 day' where id = 'ahead'")
        cursor.execute(
            "insert into variant_kills (variant_id, persona_id, reason, posted_at, killed_at)"
            " values ('x', 'p', 'r', now(), now() + interval '1 hour')"
        )
    families = collect(unchecked)
    assert samples(families, "variant_recent_posts") == {("p",): 1}
    assert samples(families, "variant_recent_kills") == {("p",): 0}
    assert samples(families, "variant_pattern_share_ratio") == {("p", "hook"): 1}
    assert samples(families, "variant_posted_timestamp_seconds")["p", "ahead", "hook"] > EPOCH


def test_text_of_any_kind_in_names_and_a_megabyte_of_content_do_no_harm(unchecked: str, tmp_path: Path) -> None:
    names = [
        '"quoted"',
        "two\nlines",
        "back\\slash",
        "🚀",
        "%s {} $x",
        "' or 1=1; drop table variants; --",
        "\x01\x7f",
        "",
    ]
    with connected(unchecked) as cursor:
        for name in names:
            add_active(cursor, f"variant {name}", f"persona {name}", 100, 5)
        cursor.execute("update variants set content = repeat('x', 1000000)")
        for data in ("[]", '"text"', "null", "17", '{"a": {"b": [1]}}'):
            cursor.execute("insert into dashboard_events (event_type, event_data) values ('e', %s)", (data,))
    families = collect(unchecked)
    assert set(samples(families, "variant_views_total")) == {
        (f"persona {name}", f"variant {name}", "hook") for name in names
    }
    assert samples(families, "variant_events_total")["", "e"] == 5
    assert len(render_text(families)) < 100_000
    with serving(write_config(tmp_path, unchecked)) as exporter:
        found = exporter.wait_for(_UP, 1)
    assert (
        found['variant_views_total{pattern="hook",persona="persona \\"quoted\\"",variant="variant \\"quoted\\""}']
        == 100
    )


def test_text_too_long_for_a_label_is_left_out_and_named(unchecked: str) -> None:
    with connected(unchecked) as cursor:
        add_active(cursor, "good", "p", 100, 5)
        add_active(cursor, "v" * 1_000_000, "p", 100, 5)
        add_active(cursor, "of long", "q" * 1_000_000, 100, 5)
        cursor.execute("insert into variant_kills (persona_id, reason) select 'p', repeat('r', 100000)")
    families = collect(unchecked)
    assert set(samples(families, "variant_views_total")) == {("p", "good", "hook")}
    messages = [problem.message for problem in families.problems]
    assert messages[0] == f"variants: 1 rows of the persona {'q' * 40!r}..."
    assert messages[1].startswith("variant_kills: 1 rows")
    assert messages[2].endswith("its id or pattern is longer than 200 characters")
    assert all(len(message) < 400 for message in messages)
    assert set(samples(families, "variant_kills_total")) == {("p", "r" * 200)}


def test_a_variant_that_tables_without_keys_hold_twice_counts_once(unchecked: str) -> None:
    with connected(unchecked) as cursor:
        add_active(cursor, "v", "p", 100, 5)
        cursor.execute("insert into variant_monitoring (variant_id, persona_id, view_count) values ('v', 'p', 300)")
    families = collect(unchecked)
    assert samples(families, "variant_views_total") == {("p", "v", "hook"): 300}
    assert _messages(unchecked) == ["variant 'v' of 'p': more than one row"]


def test_free_text_as_reason_does_not_become_a_series_a_row(unchecked: str) -> None:
    with connected(unchecked) as cursor:
        add_active(cursor, "v", "p", 100, 5)
        cursor.execute(
            "insert into variant_kills (persona_id, reason, posted_at, killed_at)"
            " select 'p', 'engagement ' || n, now(), now() from generate_series(1, 5000) n"
        )
    kills = samples(collect(unchecked), "variant_kills_total")
    assert len(kills) == 51
    assert kills["p", "other"] == 4950
    assert sum(kills.values()) == 5000


def test_a_persona_with_50000_active_variants_is_read_within_its_timeout_and_cap(unchecked: str) -> None:
    with connected(unchecked) as cursor:
        cursor.execute(
            "insert into variants (id, persona_id, predicted_er, pattern_used, status, posted_at)"
            " select 'v' || n, 'big', 0.05, 'hook', 'active', to_timestamp(%s) from generate_series(1, 50000) n",
            (EPOCH,),
        )
        cursor.execute(
            "insert into variant_monitoring (variant_id, persona_id, current_er, interaction_count, view_count)"
            " select 'v' || n, 'big', 0.05, n / 20, n from generate_series(1, 50000) n"
        )
        add_active(cursor, "small", "other", 100, 5)
    with reading(unchecked) as source:
        families = source.collect()
    assert families.series < 1200
    assert samples(families, "variants")["big", "active"] == 50_000
    assert families["variant_views_total"].dropped == 49_950
    assert ("other", "small", "hook") in samples(families, "variant_views_total")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("drop table variants cascade; drop table variant_monitoring", "no variant tables found"),
        ("drop table variant_monitoring", "the variant tables lack table variant_monitoring"),
        (
            "alter table variants drop column predicted_er; alter table variant_monitoring drop column view_count",
            "the variant tables lack column variants.predicted_er, column variant_monitoring.view_count",
        ),
    ],
)
def test_a_schema_that_is_too_old_is_named(postgres_database: str, change: str, message: str) -> None:
    create_tables(postgres_database)
    with connected(postgres_database) as cursor:
        cursor.execute(change)
    with reading(postgres_database) as source:
        for call in (source.collect, source.check):
            with pytest.raises(SourceError) as caught:
                call()
            assert caught.value.reason is Reason.SCHEMA
            assert str(caught.value) == message
            assert "docker/postgres/variants" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "missing", "families"),
    [
        (
            "drop table dashboard_events",
            "dashboard_events is not read: it lacks table dashboard_events",
            {"variant_events_total"},
        ),
        (
            "alter table variant_kills drop column reason",
            "variant_kills is not read: it lacks column variant_kills.reason",
            {"variant_kills_total", "variant_time_to_kill_seconds", "variant_recent_kills", "variant_early_kill_ratio"},
        ),
        (
            "alter table dashboard_events drop column id, add column id uuid default gen_random_uuid()",
            "dashboard_events is not read: it lacks column dashboard_events.id of a whole number type",
            {"variant_events_total"},
        ),
    ],
)
def test_what_an_older_schema_lacks_is_left_out_and_the_rest_is_there(
    postgres_database: str, change: str, missing: str, families: set[str]
) -> None:
    create_tables(postgres_database)
    write_reference_content(postgres_database)
    complete = {family.metric.name for family in collect(postgres_database) if family.samples}
    with connected(postgres_database) as cursor:
        cursor.execute(change)
    found = collect(postgres_database)
    assert complete - {family.metric.name for family in found if family.samples} == families
    assert [(problem.reason, problem.message) for problem in found.problems] == [(Reason.SCHEMA, missing)]


def test_without_indexes_the_same_is_read_and_check_says_what_is_missing(postgres_database: str) -> None:
    create_tables(postgres_database)
    write_reference_content(postgres_database)
    before = render_text(collect(postgres_database))
    with connected(postgres_database) as cursor:
        cursor.execute("drop index variants_persona_status, variants_persona_posted")
        cursor.execute("alter table variants alter column persona_id drop not null")
        cursor.execute("insert into variants (id, content) values ('nobody''s', '')")
    families = collect(postgres_database)
    assert render_text(families) == before
    assert [problem.message for problem in families.problems] == ["variants: 1 rows without a persona"]
    with reading(postgres_database) as source:
        assert source.check().endswith(
            "no index finds variants by persona, see docker/postgres/variants/002_indexes.sql"
            "; left out: variants: 1 rows without a persona"
        )


def test_a_newer_schema_with_other_types_is_read_the_same(postgres_database: str) -> None:
    create_tables(postgres_database)
    write_reference_content(postgres_database)
    before = render_text(collect(postgres_database))
    with connected(postgres_database) as cursor:
        cursor.execute(
            "alter table variants add column extra jsonb default '{}';"
            "alter table variant_monitoring add column shares bigint default 0;"
            "alter table variant_monitoring alter column view_count type numeric;"
            "alter table variant_monitoring alter column current_er type numeric(6, 5);"
            "alter table variants alter column persona_id type varchar(100);"
            "alter table variants alter column posted_at type timestamp using posted_at at time zone 'UTC';"
        )
    assert render_text(collect(postgres_database)) == before


def test_a_restarted_database_is_found_again_and_listened_to(server: PostgresServer, tmp_path: Path) -> None:
    uri = server.create_database("app")
    create_tables(uri)
    write_reference_content(uri)
    with serving(write_config(tmp_path, uri, interval="500ms")) as exporter:
        exporter.wait_for("variant_notifications_active", 1)
        server.shutdown()
        exporter.wait_for(_UP, 0)
        server.boot()
        with connected(uri) as cursor:
            cursor.execute("update variant_monitoring set view_count = 2100 where variant_id = 'a1'")
        exporter.wait_for(_VIEWS, 2100)
        exporter.wait_for(_UP, 1)
        exporter.wait_for("variant_notifications_active", 1, timeout=30)
        log = exporter.log.read_text()
    assert server.password not in log
    assert "defect" not in log


def test_a_frozen_database_is_a_bounded_failure_and_its_changes_are_found_afterwards(
    server: PostgresServer, tmp_path: Path
) -> None:
    uri = server.create_database("app")
    create_tables(uri)
    write_reference_content(uri)
    with serving(write_config(tmp_path, uri, interval="500ms", timeout="1s", staleness="2s")) as exporter:
        exporter.wait_for("variant_notifications_active", 1)
        server.pause()
        try:
            exporter.wait_for(_UP, 0, timeout=10)
            # Scrapes go on, without the old figures.
            exporter.wait_for(_VIEWS, None, timeout=10)
        finally:
            server.resume()
        with connected(uri) as cursor:
            cursor.execute("update variant_monitoring set view_count = 2200 where variant_id = 'a1'")
        exporter.wait_for(_VIEWS, 2200, timeout=30)
        assert exporter.wait_for(_UP, 1)[_VIEWS] == 2200
        assert "defect" not in exporter.log.read_text()


def test_a_connection_dropped_in_mid_query_is_an_error_and_the_next_refresh_works(
    postgres_server: PostgresServer, postgres_database: str
) -> None:
    create_tables(postgres_database)
    write_reference_content(postgres_database)
    name = postgres_database.rsplit("/", 1)[1]
    locker = postgres_server.connect(name)
    locker.autocommit = False
    with reading(postgres_database, interval="1ms", timeout="20s") as source, locker.cursor() as cursor:
        source.collect()
        # The refresh waits for the lock, so that it can be met in the middle of a query.
        cursor.execute("lock table variants in access exclusive mode")
        failures: list[SourceError] = []

        def refresh() -> None:
            try:
                source.collect()
            except SourceError as error:
                failures.append(error)

        thread = threading.Thread(target=refresh)
        thread.start()
        with connected(postgres_server.uri()) as other:
            waiting = "from pg_stat_activity where datname = %s and wait_event_type = 'Lock'"

            def terminated() -> bool:
                other.execute(f"select pg_terminate_backend(pid) {waiting}", (name,))
                return bool(other.rowcount > 0)

            assert wait_until(terminated, timeout=20)
        thread.join(10)
        assert [failure.reason for failure in failures] == [Reason.CONNECT]
        locker.rollback()
        locker.close()
        assert samples(source.collect(), "variant_views_total")["alice", "a1", "hook"] == 2000
