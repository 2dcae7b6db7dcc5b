"""The small changes of the generated rules: each comparison turned around, threshold scaled, matcher dropped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ml_monitoring.alerting.domains import load_thresholds

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "alerting" / "generated"

_FLIPPED = {"<": ">", ">": "<", "<=": ">", ">=": "<", "==": "!=", "!=": "=="}
_COMPARATOR = re.compile(r"(?<![<>=!~])(<=|>=|==|!=|<|>)(?![<>=~])")
_THRESHOLD = re.compile(r"(?:<=|>=|<|>) (\d+(?:\.\d+)?(?:e[+-]?\d+)?)")
_STRINGS = re.compile(r'"[^"]*"')
_SELECTOR = re.compile(r"(\w+)\{([^{}]*)\}")
_MATCHER = re.compile(r'\w+(?:=~|!~|!=|=)"(?:[^"\\]|\\.)*"')
# Whose targets are meant. Unit tests have no others; tests/alerting/generate/test_neighbours.py gives each alert some.
_SCOPE = {matcher for _, selector in load_thresholds().selectors for matcher in _MATCHER.findall(selector)}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one rule.

    Attributes:
        rule: Name of the alert or recorded series; no two rules share one.
        number: Which of the rule's changes, from 0 on.
        of: How many the rule has.
        change: What was changed, in words.
    """

    rule: str
    number: int
    of: int
    change: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.change}"

    def is_of(self, rule: dict[str, Any]) -> bool:
        """Tell whether it changes this rule, which may have been generated with other numbers."""
        return name_of(rule) == self.rule and len([*changes(rule["expr"])]) == self.of

    def applied_to(self, rule: dict[str, Any]) -> dict[str, Any]:
        """Return the rule with the change; others as they are."""
        return rule | {"expr": [*changes(rule["expr"])][self.number][1]} if self.is_of(rule) else rule


def changes(expr: str) -> Iterator[tuple[str, str]]:
    """Yield each small change of an expression: what it is, and the changed expression."""
    # The same length, so that places in one are places in the other.
    bare = _STRINGS.sub(lambda match: '"' + "x" * (len(match[0]) - 2) + '"', expr)
    in_braces = [range(*match.span(2)) for match in _SELECTOR.finditer(bare)]
    for match in _COMPARATOR.finditer(bare):
        if not any(match.start() in place for place in in_braces):
            flipped = _FLIPPED[match[1]]
            place = f"{match[1]} at {match.start()}"
            yield f"{place} becomes {flipped}", f"{expr[: match.start()]}{flipped}{expr[match.end() :]}"
    for match in _THRESHOLD.finditer(bare):
        number = float(match[1])
        # Ten times stricter and looser. Nothing times ten is nothing, and a flag below a tenth is one below 1.
        for changed in (1e9,) if number == 0 else (10.0,) if number == 1 else (number * 10, number / 10):
            text = f"{changed:g}"
            yield (
                f"{match[1]} at {match.start(1)} becomes {text}",
                f"{expr[: match.start(1)]}{text}{expr[match.end(1) :]}",
            )
    for match in _SELECTOR.finditer(bare):
        inside = expr[match.start(2) : match.end(2)]
        matchers = _MATCHER.findall(inside)
        for index, matcher in enumerate(matchers):
            if matcher in _SCOPE:
                continue
            rest = ",".join([*matchers[:index], *matchers[index + 1 :]])
            # A selector without a name needs one matcher at least, but ours all have names.
            yield (
                f"{match[1]} at {match.start()} loses {matcher}",
                f"{expr[: match.start(2)]}{rest}{expr[match.end(2) :]}",
            )


def mutants(names: Sequence[str] = ()) -> list[Mutant]:
    """Return the changes of every generated rule, or of those named."""
    found = []
    for rule in (rule for group in generated_groups() for rule in group["rules"]):
        if not names or name_of(rule) in names:
            whats = [what for what, _expr in changes(rule["expr"])]
            found += [Mutant(name_of(rule), number, len(whats), what) for number, what in enumerate(whats)]
    return found


def name_of(rule: dict[str, Any]) -> str:
    """Return the name of the alert or recorded series."""
    name: str = rule.get("alert") or rule["record"]
    return name


def generated_groups() -> list[dict[str, Any]]:
    """Return the groups of all generated rules, in the order in which they are evaluated."""
    return [
        group
        for name in ("rules.yml", "alerts.yml")
        for group in yaml.safe_load((RULES / name).read_text(encoding="utf-8"))["groups"]
    ]
