"""Without a series an expression has no result, or only fewer."""

from __future__ import annotations

import pytest

from ml_monitoring.alerting.operate.directions import tokens
from ml_monitoring.alerting.operate.emptiness import is_empty


@pytest.mark.parametrize(
    ("expr", "nothing"),
    [
        ("a > 5", True),
        ("b > 5", False),
        ("rate(a[5m]) / on (job) group_left () b > 0", True),
        ('label_replace(b, "x", "a", "", "")', False),
        ("clamp_max(max by (job) (a), 5)", True),
        ("a or b", False),
        ("a or 2 * (a and b)", True),
        ("b and (a or b)", False),
        ("b and on () a", True),
        ("b unless a", False),
        ("b unless a and a", True),
        ("a unless b", True),
        ("absent(a)", False),
        ("absent_over_time(a[5m]) and b", False),
        ("sum(count(a) > 1) without (job)", True),
    ],
)
def test_what_an_expression_gives_without_a_series(expr: str, nothing: bool) -> None:
    assert is_empty(tokens(expr), {"a"}) is nothing
