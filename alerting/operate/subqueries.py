"""Evaluate long subqueries no more often than they change.

What is usual over days, as `quantile_over_time(0.5, (...)[7d:1h])`, is made of moments that are multiples of an hour.
Asked for each minute, Prometheus sorts the same values sixty times, which for a fortnight of many series takes an hour.
"""

from __future__ import annotations

import re
from typing import Final

from ml_monitoring.exporter import durations

# Quoted texts come first, so that a bracket in them is none of these.
_TOKEN: Final = re.compile(
    r'"(?:[^"\\]|\\.)*"|(?P<opens>\w*)\(|(?P<closes>\))|\[(?P<reach>\w+):(?P<step>\w+)\]',
)
# Whether a window begins before or behind a moment then is less than a hundredth of what it says.
_MOMENTS: Final = 100


def evaluated_sparingly(expr: str, step: float) -> str:
    """Return PromQL in which a function over a long subquery is evaluated once for each step of the subquery.

    Args:
        expr: Any PromQL.
        step: Seconds between the moments that are asked for; subqueries of no longer steps stay as they are.
    """
    insertions: list[tuple[int, str]] = []
    calls: list[tuple[int, str]] = []
    for token in _TOKEN.finditer(expr):
        if token["opens"] is not None:
            calls.append((token.start(), ""))
        elif token["step"] and calls:
            reach, between = durations.parse(token["reach"]), durations.parse(token["step"])
            if between > step and reach >= _MOMENTS * between:
                calls[-1] = (calls[-1][0], token["step"])
        elif token["closes"] and calls:
            begins, of_call = calls.pop()
            if of_call:
                insertions += [(begins, "last_over_time("), (token.end(), f"[{of_call}:{of_call}])")]
    for place, text in sorted(insertions, reverse=True):
        expr = f"{expr[:place]}{text}{expr[place:]}"
    return expr
