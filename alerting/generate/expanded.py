"""Alerts without recording rules: each recorded series replaced by the expression that it is recorded with.

What was not recorded can be asked of raw samples this way: of a history that is older than a rule, or simulated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from ml_monitoring.alerting.generate.rules import build_recording_rules
from ml_monitoring.alerting.model.thresholds import Thresholds

# Only recorded series have a colon in their name. Quoted texts come first, so that a colon in them is none of these.
_USE: Final = re.compile(
    r'"(?:[^"\\]|\\.)*"'
    r"|(?P<name>\w+:[\w:]+)(?:\{(?P<matchers>(?:[^{}\"]|\"(?:[^\"\\]|\\.)*\")*)\})?(?P<range>\[[^\]]+\])?"
    r"(?P<offset>\s+offset\s+\w+)?"
)
_MATCHER: Final = re.compile(r'\s*(?P<label>\w+)\s*(?P<operator>=~|!~|!=|=)\s*"(?P<value>(?:[^"\\]|\\.)*)"\s*,?')
# How often rules are evaluated: as often are subqueries that stand for recorded samples.
_STEP: Final = "1m"
_MARK: Final = "kept_by_matcher"


def recorded_expressions(thresholds: Thresholds) -> dict[str, str]:
    """Return the expression of each recorded series, by its name."""
    groups: list[dict[str, Any]] = build_recording_rules(thresholds)["groups"]
    return {rule["record"]: rule["expr"] for group in groups for rule in group["rules"]}


def expand(expr: str, recorded: Mapping[str, str]) -> str:
    """Return the PromQL expression with no recorded series in it.

    Args:
        expr: Any PromQL.
        recorded: What `recorded_expressions` gives. Series with a colon in their name that it lacks stay.
    """
    return _USE.sub(_replacement(recorded), expr)


def used(expr: str, recorded: Mapping[str, str]) -> set[str]:
    """Return the names of the recorded series in an expression."""
    return {match["name"] for match in _USE.finditer(expr)} & recorded.keys()


def _replacement(recorded: Mapping[str, str]) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None or name not in recorded:
            return match[0]
        inner = f"({expand(recorded[name], recorded)})"
        for matcher in _MATCHER.finditer(match["matchers"] or ""):
            inner = _matched(inner, **matcher.groupdict())
        reach, offset = match["range"] or "", match["offset"] or ""
        if offset and not reach:
            # Only selectors and subqueries can be of an earlier time.
            return f"last_over_time({inner}[{_STEP}:{_STEP}]{offset})"
        # A subquery has its own step.
        return f"{inner}{reach[:-1]}:{_STEP}]{offset}" if reach and ":" not in reach else f"{inner}{reach}{offset}"

    return replace


def _matched(expr: str, label: str, operator: str, value: str) -> str:
    """Return the expression with those series only whose label matches: PromQL has matchers for selectors alone."""
    # In a quoted regular expression each backslash stands twice; a quoted text has its escapes already.
    pattern = value if operator.endswith("~") else re.sub(r"[.+*?()|\[\]{}^$]", r"\\\\\g<0>", value)
    marked = f'label_replace({expr}, "{_MARK}", "1", "{label}", "{pattern}")'
    mark = f'on ({_MARK}) label_replace(vector(1), "{_MARK}", "1", "", "")'
    if operator.startswith("!"):
        return f"({marked} unless {mark})"
    return f'label_replace({marked} and {mark}, "{_MARK}", "", "", "")'
