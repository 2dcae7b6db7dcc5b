"""Recording rules that changed, and the alerts that read them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ml_monitoring.alerting.model.notifications import SEVERITIES
from ml_monitoring.alerting.model.promql import TEXT
from ml_monitoring.exporter.differences import Change

Json = dict[str, Any]

# So many rules are shown; of more the alerts that read them are named.
_MOST_SHOWN: Final = 8
_NAME: Final = re.compile(rf"{TEXT}|(?P<name>[A-Za-z_:][\w:]*)")


def readers(
    changes: Sequence[Change], groups: Sequence[Json], alerts: Mapping[str, Json], *, everything: bool
) -> tuple[list[Change], set[str]]:
    """Return the changed rules that alerts read, each with its alerts, critical ones first; and the alerts.

    Args:
        changes: What changed of recording rules.
        groups: The rules after.
        alerts: The alerts that were there before, too, as they are after.
        everything: Whether to show each rule.
    """
    exprs: dict[str, str] = {}
    for rule in (rule for group in groups for rule in group["rules"] if "record" in rule):
        exprs[str(rule["record"])] = f"{exprs.get(str(rule['record']), '')}\n{rule.get('expr')}"
    changed = {change.where: change for change in changes if change.what == "changed"}
    of_rule: dict[str, list[str]] = {}
    # Critical ones first.
    for name in sorted(alerts, key=lambda name: rank(alerts[name])):
        for record in _read(str(alerts[name].get("expr")), exprs):
            if record in changed:
                of_rule.setdefault(record, []).append(name)
    shown = [*of_rule] if everything else [*of_rule][:_MOST_SHOWN]
    found = [
        replace(changed[record], where=", ".join(of_rule[record]), what=f"by the recording rule {record}")
        for record in shown
    ]
    rest: dict[str, None] = {name: None for record in of_rule if record not in shown for name in of_rule[record]}
    if rest:
        more = f"by {len(of_rule) - len(shown)} more recording rules; `--all` shows them"
        found.append(Change(", ".join(sorted(rest, key=lambda name: rank(alerts[name]))), more))
    return found, {name for names in of_rule.values() for name in names}


def _read(expr: str, exprs: Mapping[str, str]) -> Iterator[str]:
    """Yield the recording rules that an expression reads, those behind them included."""
    seen: set[str] = set()
    waiting = [expr]
    while waiting:
        for found in _NAME.finditer(waiting.pop()):
            if (name := found["name"]) in exprs and name not in seen:
                seen.add(name)
                waiting.append(exprs[name])
                yield name


def rank(rule: Json) -> int:
    """Return by what alerts are put in order, critical ones first."""
    severity = (rule.get("labels") or {}).get("severity")
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)
