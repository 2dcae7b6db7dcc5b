"""The demo's variant system: the same for the same seed, and its truth is what the statistics find."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from demo.variants_content import KILL_BELOW, KILL_VIEWS, PERSONAS, WINNER, System, calm_personas
from ml_monitoring.exporter.sources.variants.equal_age import EqualAges, Totals
from ml_monitoring.exporter.sources.variants.rules import RULES
from ml_monitoring.exporter.sources.variants.traffic import PostedTogether
from tests.support import variants_fixtures
from tests.support.variants_fixtures import samples
from tests.support.variants_store import connected, create_tables

STEP = 0.5
LOOK = 5.0


def _system(seed: int = 0, minutes: float = 0) -> System:
    system = System(seed, 1_793_491_200)
    system.begin()
    for _ in range(int(minutes * 60 / STEP)):
        system.step(STEP)
    return system


def _demo(uri: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "demo", "variants", "--uri", uri, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_same_seed_gives_the_same_system() -> None:
    one, other, different = _system(3, 2), _system(3, 2), _system(4, 2)
    assert one.variants == other.variants
    assert one.variants != different.variants


def test_the_winner_is_found_and_nothing_else_whatever_the_seed() -> None:
    for seed in range(5):
        system = _system(seed)
        ages = {persona: EqualAges() for persona in ("ada", "ben", "cleo")}
        splits: dict[str, PostedTogether] = {}
        for _look in range(int(360 / LOOK)):
            for persona, known in ages.items():
                active = [item for item in system.variants if item.persona == persona and item.status == "active"]
                totals = {item.name: Totals(item.views, item.interactions) for item in active}
                known.look({item.name: (system.now - item.posted, totals[item.name]) for item in active}, totals)
                views = {name: each.views for name, each in totals.items()}
                even = dict.fromkeys(views, 1.0)
                splits.setdefault(persona, PostedTogether(views, system.now, even)).look(views, system.now, 60.0)
            for _step in range(int(LOOK / STEP)):
                system.step(STEP)
        for persona, known in ages.items():
            p_values = known.best_p_values(list(known.curves))
            found = [name for name, p_value in p_values.items() if p_value < 0.05]
            assert found == ([WINNER] if persona == "ada" else [])
            split = splits[persona].p_value
            assert split is not None
            assert (split < 0.001) is (persona == "cleo")


def test_kills_follow_the_rule() -> None:
    system = _system(minutes=5)
    killed = [item for item in system.variants if item.status == "killed"]
    assert {item.persona for item in killed} >= {"dan"}
    assert all(item.engagement < KILL_BELOW * item.truth.predicted for item in killed)
    assert all(item.views >= KILL_VIEWS and item.killed > item.posted for item in killed)
    of_dan = [item for item in system.variants if item.persona == "dan"]
    assert sum(item.status == "killed" for item in of_dan) > 0.6 * len(of_dan)


def test_views_are_as_many_as_declared_and_follow_the_true_engagement() -> None:
    system = _system(minutes=5)
    for spec in PERSONAS:
        if not spec.together:
            # Others may be without an active variant for a while, as they kill.
            continue
        live = [item for item in system.variants if item.persona == spec.name and "past" not in item.name]
        assert sum(item.views for item in live) == pytest.approx(300 * spec.views, abs=spec.views)
    expected = sum(item.views * item.truth.engagement for item in system.variants)
    assert sum(item.interactions for item in system.variants) == pytest.approx(expected, rel=0.02)


def test_the_command_makes_the_tables_and_the_exporter_sees_the_story(postgres_database: str) -> None:
    done = _demo(postgres_database)
    assert (done.returncode, done.stderr) == (0, "demo variants: 760 variants of ada, ben, cleo, dan, eve\n")
    families = variants_fixtures.collect(postgres_database, window="1d", latest_posts=50, earlier_posts=200, rules={})
    assert families.problems == []
    opportunities = samples(families, "variant_optimization_opportunity")
    seen = {(persona, opportunity) for (persona, opportunity, _), value in opportunities.items() if value}
    assert seen == {("dan", "prediction_calibration"), ("dan", "prediction_bias"), ("eve", "pattern_fatigue")}
    assert samples(families, "variant_notifications_active") == {(): 0}
    assert {opportunity for _, opportunity, _ in opportunities} <= {rule.opportunity for rule in RULES}
    # Again: the same rows, not twice as many.
    assert _demo(postgres_database).returncode == 0
    with connected(postgres_database) as cursor:
        cursor.execute("select count(*), count(distinct id) from variants")
        assert cursor.fetchone() == (760, 760)


def test_live_goes_on_and_stops_on_sigterm(postgres_database: str, tmp_path: Path) -> None:
    address, ready = tmp_path / "uri", tmp_path / "ready"
    address.write_text(postgres_database)
    command = [sys.executable, "-m", "demo", "variants", "--uri-file", str(address), "--live"]
    options = ["--every", "50ms", "--ready-file", str(ready)]
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True) as demo:
        try:
            assert demo.stderr is not None
            demo.stderr.readline()
            with connected(postgres_database) as cursor:
                views, deadline = 0, time.monotonic() + 20
                while views <= 20 and time.monotonic() < deadline:
                    time.sleep(0.05)
                    cursor.execute("select view_count from variant_monitoring where variant_id = 'ada-1'")
                    (views,) = cursor.fetchone()
            assert views > 20
            assert ready.exists()
        finally:
            demo.terminate()
        assert demo.wait(20) == 0


def test_the_tables_of_others_are_left_alone(postgres_database: str) -> None:
    create_tables(postgres_database)
    with connected(postgres_database) as cursor:
        cursor.execute("insert into variants (id, persona_id, content) values ('x', 'somebody', '')")
    done = _demo(postgres_database)
    assert done.returncode == 1
    assert done.stderr == (
        "error: demo variants: the tables hold variants of 'somebody'; give the demo its own database\n"
    )


def test_a_database_that_cannot_be_reached_is_named_without_its_password() -> None:
    done = _demo("postgresql://user:secret@127.0.0.1:1/none")
    assert done.returncode == 1
    assert done.stderr.startswith("error: demo variants: the database cannot be written:")
    assert "secret" not in done.stderr


def test_while_it_is_calm_posts_are_as_good_as_predicted_and_as_each_other() -> None:
    system = System(0, 1_793_491_200, calm_personas())
    system.begin()
    for _ in range(int(120 / STEP)):
        system.step(STEP)
    assert {(item.truth.engagement, item.truth.predicted, item.truth.weight) for item in system.variants} == {
        (0.06, 0.06, 1.0)
    }
    killed = sum(item.status == "killed" for item in system.variants)
    assert killed < 0.05 * len(system.variants)
    assert {item.persona for item in system.variants} == {spec.name for spec in PERSONAS}
