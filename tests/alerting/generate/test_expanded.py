"""Alerts without recording rules: the expanded expression gives what the recorded series would."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import promql_parser as promql
import pytest

from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.alerting.generate.expanded import expand, recorded_expressions
from tools.backfilled_prometheus import backfilled_prometheus

RECORDED = recorded_expressions(load_thresholds())
AT = 600
# Names as those of recorded series, and what each stands for.
SERIES = {"a:b": "sum without (instance) (raw)", "a:c": 'a:b{variant!="B"} * 2', "a:d": "a:c"}


@pytest.fixture(scope="module")
def server(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    lines = ["# TYPE raw gauge"]
    for variant, value in {"A": 1, "B": 2, "x.y": 4, "xzy": 8, "": 16}.items():
        labels = ",".join(['instance="i"', *([f'variant="{variant}"'] if variant else [])])
        lines += [f"raw{{{labels}}} {value} {minute}" for minute in range(0, AT + 1, 60)]
    with backfilled_prometheus(programs, tmp_path_factory.mktemp("expanded"), lines) as url:
        yield url


def answer(server: str, expr: str) -> dict[str, float]:
    """Return the values by variant; every other label would be one too many."""
    query = urllib.parse.urlencode({"query": expr, "time": AT})
    with urllib.request.urlopen(f"{server}/api/v1/query?{query}", timeout=10) as response:
        samples = json.load(response)["data"]["result"]
    assert all(set(sample["metric"]) <= {"variant"} for sample in samples)
    return {sample["metric"].get("variant", ""): float(sample["value"][1]) for sample in samples}


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("a:b", {"A": 1, "B": 2, "x.y": 4, "xzy": 8, "": 16}),
        ('a:b{variant="A"}', {"A": 1}),
        ('a:b{variant="x.y"}', {"x.y": 4}),
        ('a:b{variant=~"x.y"}', {"x.y": 4, "xzy": 8}),
        ('a:b{variant!~"A|B|x.*"}', {"": 16}),
        ('a:b{variant=""}', {"": 16}),
        ('a:b{variant!="",variant!~"x.y"}', {"A": 1, "B": 2}),
        ("a:d", {"A": 2, "x.y": 8, "xzy": 16, "": 32}),
        ('a:b{variant="A"} / ignoring (variant) a:b{variant="B"}', {"": 0.5}),
        ('avg_over_time(a:b{variant="B"}[3m])', {"B": 2}),
        ('count_over_time(a:b{variant="B"}[5m:2m])', {"B": 3}),
        ('last_over_time(a:b{variant="A"}[5m] offset 1m)', {"A": 1}),
        ('a:b{variant="A"} offset 2m', {"A": 1}),
        ('a:b{variant="A"} offset 1d', {}),
        ('label_replace(a:b{variant="A"}, "variant", "a:b", "variant", "A")', {"a:b": 1}),
    ],
)
def test_an_expanded_expression_gives_what_the_recorded_series_gives(
    expr: str, expected: dict[str, float], server: str
) -> None:
    assert answer(server, expand(expr, SERIES)) == expected


def test_no_alert_needs_a_recorded_series_once_it_is_expanded() -> None:
    alerts = load_alerts()
    assert len(alerts) > 50
    for alert in alerts:
        expanded = expand(alert.expr, RECORDED)
        promql.parse(expanded)
        assert not [name for name in RECORDED if name in expanded], alert.name
