from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from ml_monitoring.dashboards.lib.series import series_colours
from ml_monitoring.dashboards.lib.style import SERIES


def colours_of(name: str, legends: Sequence[tuple[str, bool]], places: int = 0) -> list[str]:
    """Return the colours that the overrides give to a name, as Grafana's matchers do."""
    found = []
    for override in series_colours(legends, places):
        matcher = override["matcher"]
        if matcher["id"] == "byRegexp":
            pattern = re.fullmatch(r"/(.*)/(i?)", matcher["options"])
            assert pattern
            if re.search(pattern[1], name, re.IGNORECASE if pattern[2] else 0):
                found.append(override["properties"][0]["value"]["fixedColor"])
    return found


@pytest.mark.parametrize(
    "names",
    [
        ("A", "B", "C", "D"),
        ("1", "2", "3", "4", "5", "6", "7", "8"),
        ("worker-001", "worker-002", "worker-003", "worker-004"),
        ("train", "validation", "test"),
        ("input", "output"),
        ("ada", "bob", "eve"),
        ("/", "/boot", "/home"),
        ("llama-70b", "mistral-7b", "qwen-72b"),
        ("control failed", "control sold", "ranking failed", "ranking sold"),
        ("GET /scenarios", "POST /predict", "POST /truths", "POST /estimate"),
    ],
    ids=" ".join,
)
def test_names_that_stand_together_have_one_colour_each_and_differ(names: tuple[str, ...]) -> None:
    colours = [colours_of(name, [("{{name}}", False)]) or [SERIES[0]] for name in names]
    assert {len(found) for found in colours} == {1}
    assert len({found[0] for found in colours}) == len(names)


def test_hosts_of_one_port_differ() -> None:
    legends = [("{{instance}}", False)]
    one, other = (colours_of(f"10.0.0.{host}:9100", legends) for host in (1, 2))
    assert len(one) == len(other) == 1
    assert one != other


def test_what_stands_in_brackets_does_not_count() -> None:
    legends = [("{{source}} ({{instance}})", False)]
    assert colours_of("mlflow (a:1)", legends) == colours_of("mlflow (b:2)", legends)
    assert colours_of("mlflow (a:1)", legends) != colours_of("fleet (a:1)", legends)


def test_a_name_has_the_same_colour_on_all_panels() -> None:
    assert colours_of("churn-model", [("{{model}}", False)]) == colours_of("churn-model", [("{{experiment}}", False)])


def test_queries_of_one_thing_differ_and_a_dashed_one_does_not() -> None:
    legends = [("p50 {{route}}", False), ("p95 {{route}}", False), ("p99 {{route}}", True)]
    middle, high, highest = (colours_of(f"{name} GET /a", legends) for name in ("p50", "p95", "p99"))
    assert len(middle) == 1
    assert middle != high
    assert high == highest


def test_names_of_several_places_keep_their_colour() -> None:
    assert colours_of("fraud eu prod", [("{{model}}", False)], 2) == colours_of("fraud", [("{{model}}", False)])


def test_a_name_whose_last_label_is_empty_keeps_its_colour() -> None:
    legends = [("p50 {{job}} {{service}}", False), ("p95 {{job}} {{service}}", False)]
    half, slow = (colours_of(f"{name} demo-inference ", legends) for name in ("p50", "p95"))
    assert len(half) == len(slow) == 1
    assert half != slow
    assert half == colours_of("p50 demo-inference", legends)


def test_a_query_of_one_series_has_a_colour_by_its_letter() -> None:
    assert [one["matcher"] for one in series_colours([("Revenue", False), ("Cost", False)])] == [
        {"id": "byFrameRefID", "options": "A"},
        {"id": "byFrameRefID", "options": "B"},
    ]
