"""The `variants` source on a real PostgreSQL."""

from __future__ import annotations

from math import hypot, sqrt
from pathlib import Path

import pytest
from scipy import stats  # type: ignore[import-untyped]  # carries no types

from demo import variants_tables
from ml_monitoring.exporter.sources.variants.rules import RULES, ActiveFacts, Facts
from ml_monitoring.exporter.sources.variants.settings import RuleSettings
from ml_monitoring.exporter.statistics import NumberSums
from tests.support.serving import serving
from tests.support.variants_fixtures import collect, reading, samples, write_config
from tests.support.variants_store import (
    EPOCH,
    ZOE,
    ZOE_VARIANT,
    add_active,
    connected,
    create_tables,
    write_reference_content,
)
from tools.postgres import PostgresServer

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


def test_metrics_equal_the_golden_text(reference: str, tmp_path: Path) -> None:
    with serving(write_config(tmp_path, reference)) as exporter:
        exporter.wait_for("variant_notifications_active", 1)
        text = exporter.get("/metrics").text
    assert text[text.index("# HELP variants ") :] == _GOLDEN.read_text(encoding="utf-8")


def test_applying_the_migrations_twice_changes_nothing(reference: str) -> None:
    def dump() -> list[tuple[object, ...]]:
        with connected(reference) as cursor:
            cursor.execute(
                "select 'column', table_name, column_name, data_type, column_default, is_nullable::text"
                "  from information_schema.columns where table_schema = 'public'"
                " union all select 'index', tablename, indexname, indexdef, '', '' from pg_indexes"
                "  where schemaname = 'public'"
                " union all select 'trigger', event_object_table, trigger_name, event_manipulation,"
                "  action_statement, ''"
                "  from information_schema.triggers where trigger_schema = 'public'"
                " union all select 'grant', table_name, grantee, privilege_type, '', ''"
                "  from information_schema.table_privileges where table_schema = 'public'"
                " union all select 'check', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', ''"
                "  from pg_constraint where connamespace = 'public'::regnamespace"
                " union all select 'rows', 'variants', md5(string_agg(v::text, '' order by id)), '', '', ''"
                "  from variants v order by 1, 2, 3, 4, 5"
            )
            return list(cursor.fetchall())

    before = dump()
    assert {row[0] for row in before} == {"column", "index", "trigger", "grant", "check", "rows"}
    assert variants_tables.apply(reference) == [
        "001_tables.sql",
        "002_indexes.sql",
        "003_reader.sql",
        "004_notify.sql",
    ]
    assert dump() == before


def test_reader_role_suffices_to_read_and_listen_and_cannot_write(
    postgres_server: PostgresServer, reference: str, tmp_path: Path
) -> None:
    database = reference.rsplit("/", 1)[1]
    postgres_server.execute(
        "drop role if exists watcher; create role watcher login password 'p@ss/word' in role variant_reader", database
    )
    watcher = postgres_server.uri("watcher", "p@ss/word", database)
    with serving(write_config(tmp_path, watcher)) as exporter:
        exporter.wait_for("variant_notifications_active", 1)
    with connected(watcher) as cursor, pytest.raises(Exception, match="permission denied for table variants"):
        cursor.execute("delete from variants")


def test_inference_equals_scipy(reference: str) -> None:
    families = collect(reference)
    # Of alice's active variants a3 has no figures; the prior is the pooled rate, and weighs 20 views
    # or one interaction.
    counts = {"a1": (96, 2000), "a2": (190, 1900), "a4": (0, 0)}
    pattern = {"a1": "hook", "a2": "story", "a4": ""}
    rate = (286 + 1) / (3900 + 2)
    weight = max(20, 1 / rate)
    posteriors = {name: stats.beta(weight * rate + s, weight * (1 - rate) + n - s) for name, (s, n) in counts.items()}
    lower = samples(families, "variant_engagement_ratio_lower")
    upper = samples(families, "variant_engagement_ratio_upper")
    for name, posterior in posteriors.items():
        bounds = (lower["alice", name, pattern[name]], upper["alice", name, pattern[name]])
        assert bounds == pytest.approx(posterior.interval(0.95), rel=1e-4)
    best = samples(families, "variant_probability_best")
    draws = {name: posterior.rvs(200_000, random_state=11) for name, posterior in posteriors.items()}
    draws["a4"] = posteriors["a4"].rvs(200_000, random_state=12)
    draws["a2"] = posteriors["a2"].rvs(200_000, random_state=13)
    share = float(((draws["a2"] > draws["a4"]) & (draws["a2"] > draws["a1"])).mean())
    assert best["alice", "a2", "story"] == pytest.approx(share, abs=0.005)
    assert best["alice", "a1", "hook"] == 0
    assert best[ZOE, ZOE_VARIANT, "list\\"] == 1
    lift = samples(families, "variant_lift_ratio")
    assert lift["alice", "a1", "hook"] == pytest.approx(posteriors["a1"].mean() / posteriors["a2"].mean() - 1, rel=1e-5)
    assert {persona for persona, _, _ in lift} == {"alice"}
    suggested = samples(families, "variant_suggested_traffic_ratio")
    assert sum(value for (persona, _, _), value in suggested.items() if persona == "alice") == pytest.approx(
        1, abs=1e-5
    )
    assert suggested["alice", "a1", "hook"] == pytest.approx(0.05 / 3, rel=1e-5)


def test_fatigue_follows_its_definition(reference: str) -> None:
    families = collect(reference)
    # The latest six posts of alice are a4, a3, a2, k3, k2, k1; earlier ones a1 and h1 to h4.
    assert samples(families, "variant_pattern_share_ratio")["alice", "hook"] == 3 / 6
    recent, history = (3 + 3 + 1) / 800, (96 + 4 * 80) / 6000
    engagement = samples(families, "variant_pattern_engagement_ratio")
    assert engagement["alice", "hook", "recent"] == recent
    assert engagement["alice", "hook", "history"] == history
    fatigue = samples(families, "variant_pattern_fatigue_ratio")
    # story has no history, list\ of the other persona too few posts: nothing is known, so there is no sample.
    expected = sqrt(0.5 * (1 - recent / history))
    assert fatigue == {("alice", "hook"): pytest.approx(expected)}
    # Each post's interactions against those at the pattern's rate.
    posts = {
        recent: [(300, 3), (300, 3), (200, 1)],
        history: [(2000, 96), *[(1000, 80)] * 4],
    }
    relative = [
        sqrt(sum((i - rate * v) ** 2 for v, i in rows) * len(rows) / (len(rows) - 1)) / sum(i for _, i in rows)
        for rate, rows in posts.items()
    ]
    error = 0.5 * recent / history * hypot(*relative) / (2 * expected)
    assert samples(families, "variant_pattern_fatigue_error_ratio") == {
        ("alice", "hook"): pytest.approx(error, rel=1e-5)
    }


def test_opportunities_are_seen(reference: str) -> None:
    def seen(**rules: float) -> dict[str, float]:
        families = collect(reference, rules={"min_posts": 5, **rules})
        found = samples(families, "variant_optimization_opportunity")
        return {opportunity: value for (persona, opportunity, _), value in found.items() if persona == "alice"}

    assert seen() == {
        "prediction_calibration": 0,
        # It is found while views come in, see test_variants_ages.
        "clear_winner": 0,
        "prediction_bias": 0,
        "pattern_fatigue": 1,
        "under_sampled": 1,
    }
    # The other side of each threshold.
    assert seen(early_kill_ratio=0.05, fatigue=0.9, min_views=1) == {
        "prediction_calibration": 1,
        "clear_winner": 0,
        "prediction_bias": 0,
        "pattern_fatigue": 0,
        "under_sampled": 1,
    }
    assert "prediction_calibration" not in seen(min_posts=12)
    # 3 of 11 is more than 27 %, and 0.66 more than a fatigue of 0.65, but not beyond chance.
    may_be_chance = seen(early_kill_ratio=0.27, fatigue=0.65)
    assert (may_be_chance["prediction_calibration"], may_be_chance["pattern_fatigue"]) == (0, 0)


def test_an_opportunity_names_what_it_is_about(reference: str) -> None:
    families = collect(reference, rules={"min_posts": 5})
    assert samples(families, "variant_optimization_opportunity_subject_info") == {
        ("alice", "pattern_fatigue", "hook"): 1,
        ("alice", "under_sampled", "a4"): 1,
    }


FACTS = Facts(
    recent_posts=20,
    early_kill_ratio=0.9,
    fatigue={"fresh": 0.1, "worn": 0.6, "worn most": 0.9},
    active=[
        # New, so that it has few views by nature.
        ActiveFacts("new", views=0, age=60, best_p_value=None),
        ActiveFacts("unknown age", views=1, age=None, best_p_value=None),
        ActiveFacts("seldom", views=40, age=90_000, best_p_value=None),
        ActiveFacts("seldom too", views=60, age=90_000, best_p_value=None),
        # The surest winner already has most of the views.
        ActiveFacts("used winner", views=9_000, age=90_000, best_p_value=0.0001),
        ActiveFacts("winner", views=500, age=90_000, best_p_value=0.001),
        ActiveFacts("no winner", views=500, age=90_000, best_p_value=0.5),
    ],
    bias=NumberSums(20, 2.0, 0.21),
)


@pytest.mark.parametrize(
    ("opportunity", "names"),
    [
        ("prediction_calibration", [""]),
        ("prediction_bias", [""]),
        ("pattern_fatigue", ["worn most", "worn"]),
        ("under_sampled", ["seldom", "seldom too"]),
        ("clear_winner", ["winner"]),
    ],
)
def test_a_rule_names_only_what_it_counts(opportunity: str, names: list[str]) -> None:
    (rule,) = (rule for rule in RULES if rule.opportunity == opportunity)
    settings = RuleSettings(
        min_posts=10, settle="3600s", min_views=100, winner_share=0.8, fatigue=0.5, significance=0.01
    )
    assert rule.found(FACTS, settings) == names


def test_one_sided_prediction_errors_are_seen(uri: str) -> None:
    # The prediction is 0.05. Of few posts nothing is known, and one that is far above outweighs many a little below.
    rates = [*[0.02, 0.04] * 20, 0.9]
    seen = {}
    with connected(uri) as cursor:
        for number, rate in enumerate(rates, start=1):
            add_active(cursor, f"v{number}", "p", 1000, round(1000 * rate))
            if number in (4, 20, 40, 41):
                found = samples(collect(uri, latest_posts=50), "variant_optimization_opportunity")
                seen[number] = found.get(("p", "prediction_bias", "medium"))
    # p-values: 0.22 of 20 posts and 0.003 of 40, whose errors are 0.02 with a deviation of 0.01.
    assert seen == {4: None, 20: 0, 40: 1, 41: 0}


def test_every_opportunity_says_what_to_do(reference: str) -> None:
    families = collect(reference)
    info = {labels[:2]: labels[2:] for labels in samples(families, "variant_optimization_opportunity_info")}
    assert {labels[1:] for labels in samples(families, "variant_optimization_opportunity")} <= set(info)
    assert all(title and action for title, action in info.values())


def test_counters_never_fall(uri: str) -> None:
    with connected(uri) as cursor, reading(uri, interval="1ms") as source:
        add_active(cursor, "v1", "p", 100, 10)
        cursor.execute(
            "insert into variant_kills (variant_id, persona_id, reason) select 'x', 'p', 'r' from generate_series(1, 5)"
        )
        key = ("p", "v1", "hook")

        def counters() -> tuple[float, float]:
            families = source.collect()
            return samples(families, "variant_views_total")[key], samples(families, "variant_kills_total")["p", "r"]

        assert counters() == (100, 5)
        cursor.execute("update variant_monitoring set view_count = 0, interaction_count = 0")
        cursor.execute("delete from variant_kills where id > 2")
        assert counters() == (100, 5)
        cursor.execute("update variant_monitoring set view_count = 30")
        cursor.execute("insert into variant_kills (variant_id, persona_id, reason) values ('x', 'p', 'r')")
        assert counters() == (130, 6)
        # Gone and back again.
        cursor.execute("update variants set status = 'paused'")
        assert key not in samples(source.collect(), "variant_views_total")
        cursor.execute("update variants set status = 'active'")
        assert counters() == (130, 6)
        cursor.execute("truncate variant_kills restart identity")
        assert counters() == (130, 6)
        cursor.execute("insert into variant_kills (variant_id, persona_id, reason) values ('x', 'p', 'r')")
        assert counters() == (130, 7)


def test_rows_that_become_visible_late_are_counted_once(postgres_server: PostgresServer, uri: str) -> None:
    insert = "insert into dashboard_events (event_type) values ('e')"
    database = uri.rsplit("/", 1)[1]
    slow = postgres_server.connect(database)
    slow.autocommit = False
    try:
        with connected(uri) as cursor, reading(uri, interval="1ms") as source:

            def events() -> float | None:
                add_events = samples(source.collect(), "variant_events_total")
                return add_events.get(("", "e"))

            assert events() is None
            with slow.cursor() as slow_cursor:
                # Takes the lowest id and is committed last.
                slow_cursor.execute(insert)
            for expected in range(1, 6):
                cursor.execute(insert)
                assert events() == expected
            slow.commit()
            assert [events(), events(), events()] == [6, 6, 6]
            cursor.execute(insert)
            assert [events(), events()] == [7, 7]
    finally:
        slow.close()


def test_variants_beyond_the_cap_are_left_out_and_counted(uri: str) -> None:
    with connected(uri) as cursor:
        for number in range(1, 8):
            add_active(cursor, f"v{number}", "p", 100 * number, 5)
    families = collect(uri, max_variants=3)
    assert sorted(samples(families, "variant_views_total").values()) == [500, 600, 700]
    assert families["variant_views_total"].dropped == 4
    # The cap keeps those with the most views: no statement on the split can be made of that.
    assert samples(families, "variant_sample_ratio_p_value") == {}
    assert samples(families, "variants") == {("p", "active"): 7}


def test_personas_beyond_the_cap_are_left_out_and_counted(uri: str) -> None:
    with connected(uri) as cursor:
        for number in range(1, 6):
            for variant in range(number):
                add_active(cursor, f"v{number}-{variant}", f"p{number}", 100, 5)
    families = collect(uri, max_personas=2)
    assert {persona for persona, _status in samples(families, "variants")} == {"p4", "p5"}
    assert families["variants"].dropped == 3


def test_rows_of_more_personas_than_are_counted_take_no_memory_and_show_no_wrong_0(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml_monitoring.exporter.sources.variants.counters.MOST_PERSONAS", 2)
    with connected(uri) as cursor:
        # Those that nobody sees have more rows, and the older ones.
        for number in (*range(10, 20), 1, 2):
            for _ in range(2):
                row = (f"p{number}",)
                cursor.execute("insert into variant_kills (variant_id, persona_id, reason) values ('x', %s, 'r')", row)
                cursor.execute("insert into dashboard_events (event_type, persona_id) values ('e', %s)", row)
        for persona in ("p1", "p2"):
            add_active(cursor, f"v of {persona}", persona, 100, 5)
    with reading(uri, interval="1ms") as source:
        families = source.collect()
        assert samples(families, "variant_kills_total") == {("p1", "r"): 2, ("p2", "r"): 2}
        assert samples(families, "variant_events_total") == {("", "e"): 20, ("p1", "e"): 2, ("p2", "e"): 2}
        assert {name: families[name].dropped for name in ("variant_kills_total", "variant_events_total")} == {
            "variant_kills_total": 0,
            "variant_events_total": 0,
        }
        with connected(uri) as cursor:
            add_active(cursor, "v of p10", "p10", 100, 5)
        families = source.collect()
        # Its kills are among the others' by now: none are shown instead of none having happened.
        assert ("p10", "active") in samples(families, "variants")
        assert set(samples(families, "variant_kills_total")) == {("p1", "r"), ("p2", "r")}
        assert families["variant_kills_total"].dropped == 1
        assert families["variant_events_total"].dropped == 1


def test_personas_can_be_chosen(uri: str) -> None:
    with connected(uri) as cursor:
        for persona in ("live-1", "live-2", "test-1"):
            add_active(cursor, f"v of {persona}", persona, 100, 5)
    families = collect(uri, personas={"include": ["live-*"], "exclude": ["*-2"]})
    assert set(samples(families, "variants")) == {("live-1", "active")}


def test_a_bad_split_is_seen_only_among_variants_posted_together(uri: str) -> None:
    with connected(uri) as cursor:
        for persona in ("p", "q"):
            for name in ("v1", "v2"):
                add_active(cursor, f"{persona}-{name}", persona, 0, 0)
        cursor.execute("update variants set posted_at = posted_at - interval '1 day' where id = 'q-v1'")
        found = []
        # As intended, it is a good split.
        for weights in ({}, {"p-v1": 6, "p-v2": 5}):
            with reading(uri, interval="1ms", split={"weights": weights}) as source:
                for _ in range(30):
                    families = source.collect()
                    cursor.execute(
                        "update variant_monitoring set view_count = view_count"
                        " + case right(variant_id, 2) when 'v1' then 600 else 500 end"
                    )
                found.append(samples(families, "variant_sample_ratio_p_value"))
    assert set(found[0]) == set(found[1]) == {("p",)}
    assert (found[0]["p",] < 1e-6, found[1]["p",]) == (True, 1)


def test_newest_update_and_posts_are_ordered_by_time(reference: str) -> None:
    families = collect(reference)
    assert samples(families, "variant_last_update_timestamp_seconds")["alice",] == EPOCH + 22000
    assert samples(families, "variant_posted_timestamp_seconds")["alice", "a2", "story"] == EPOCH + 60
    assert families.problems == []
