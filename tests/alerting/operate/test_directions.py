"""Whether a change of a number makes alerts come sooner or later is said only where it is sure."""

from __future__ import annotations

from typing import Any

import pytest

from ml_monitoring.alerting.model.promql import normalised
from ml_monitoring.alerting.operate.changes import Version, compare
from ml_monitoring.alerting.operate.directions import Effect, of_change, tokens

Json = dict[str, Any]
UNKNOWN = (None, None)


@pytest.mark.parametrize(
    ("old", "new", "effect"),
    [
        ("x > 1", "x > 2", (-1, 0)),
        ("x < 1", "x < 2", (1, 0)),
        ("1 < x", "2 < x", (-1, 0)),
        ("a / 0.001", "a / 0.01", (0, -1)),
        ("a - b * 2 > 1", "a - b * 3 > 1", (-1, -1)),
        ("time() - x * 2", "time() - x * 1", (0, 1)),
        ('label_replace((1 - rate(b_bucket{le="0.5"}[5m]) / c) / 2, "a", "b", "", "")',) * 2 + ((0, 0),),
        ('1 - rate(b_bucket{le="0.5"}[5m]) / c', '1 - rate(b_bucket{le=~"1|1.0"}[5m]) / c', (0, -1)),
        ("a unless b > 3", "a unless b > 4", (1, 0)),
        ("a and count(b > 2) > 1", "a and count(b > 3) > 1", (-1, 0)),
        ("(a / 2 > b) or b", "(a / 3 > b) or b", (0, -1)),
        ("a > 2 or b", "a > 3 or b", (-1, None)),
        ("min(x > 2)", "min(x > 3)", (-1, None)),
        ("x[5m]", "x[6m]", UNKNOWN),
        ("absent(x > 2)", "absent(x > 3)", UNKNOWN),
        ("x == 1", "x == 2", UNKNOWN),
        ("a * -1 > 2 * b", "a * -2 > 2 * b", UNKNOWN),
        ("x > bool 1", "x > bool 2", UNKNOWN),
        ("x", "y", UNKNOWN),
    ],
)
def test_a_number_that_changed_has_an_effect_that_is_sure_or_unknown(
    old: str, new: str, effect: tuple[int | None, int | None]
) -> None:
    assert of_change(tokens(normalised(old)), tokens(normalised(new))) == Effect(*effect)


def groups(**records: str) -> list[Json]:
    rules: list[Json] = [{"record": name.replace("_", ":"), "expr": expr} for name, expr in records.items()]
    rules.append({"alert": "Burns", "expr": "a:burning > 1", "labels": {"severity": "critical", "team": "mlops"}})
    return [{"name": "rules", "rules": rules}]


@pytest.mark.parametrize(
    ("new", "title", "shown"),
    [
        ("errors / 0.01", "Later or quieter", "`/ 0.001` → `/ 0.01`"),
        ("errors / 0.0001", "Sooner or louder", "`/ 0.001` → `/ 0.0001`"),
        ("failures / 0.001", "Changed otherwise", "`errors` → `failures`"),
    ],
)
def test_alerts_that_read_changed_rules_are_listed_by_direction_and_can_be_tried(
    new: str, title: str, shown: str
) -> None:
    old, after = (
        groups(a_long=one, a_short=one, a_burning="(a:long < a:short or a:short) / 14")
        for one in ("errors / 0.001", new)
    )
    lines = compare(Version(old), Version(after)).splitlines()
    assert lines[:5] == [
        "- alerts: 1 reading changed recording rules",
        "- recording rules: 2 changed",
        "",
        f"### {title}",
        "",
    ]
    assert lines[5] == f"- **Burns** by 2 recording rules, such as a:long: {shown}"
    assert "alerts backtest" in lines[-1]
