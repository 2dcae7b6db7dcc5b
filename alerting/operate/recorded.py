"""Recording rules that changed, and the alerts that read them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from ml_monitoring.alerting.model.notifications import SEVERITIES
from ml_monitoring.alerting.model.promql import normalised
from ml_monitoring.alerting.operate.alertmanager_changes import LATER, OTHERWISE, SOONER
from ml_monitoring.alerting.operate.directions import UNKNOWN, Effect, of_change, of_series, replaced, tokens
from ml_monitoring.alerting.operate.directions import together as together_effects
from ml_monitoring.alerting.operate.emptiness import is_empty
from ml_monitoring.exporter.differences import Change

Json = dict[str, Any]
# By the name of what is recorded, each expression as tokens.
Exprs = Mapping[str, list[list[str]]]

# So many changes of numbers are shown, and so many others; of more the alerts that read them are named.
_MOST_SHOWN: Final = 8
_MOST_OTHERS: Final = 2
# Of so many characters.
_LONGEST: Final = 160


def changes(old: Sequence[Json], new: Sequence[Json]) -> Iterator[Change]:
    """Return which series are recorded from now on, no more, or in another way; one may be made by several rules."""
    before: dict[str, list[tuple[str, str]]] = {}
    after: dict[str, list[tuple[str, str]]] = {}
    for groups, found in ((old, before), (new, after)):
        for group in groups:
            for rule in group["rules"]:
                if "record" in rule:
                    labels = json.dumps(rule.get("labels") or {}, sort_keys=True, default=str)
                    found.setdefault(str(rule["record"]), []).append((normalised(str(rule.get("expr", ""))), labels))
    for name in sorted({*before, *after}):
        if name not in before:
            yield Change(name, "added")
        elif name not in after:
            yield Change(name, "removed")
        elif sorted(before[name]) != sorted(after[name]):
            is_alike = [expr for expr, _labels in before[name]] == [expr for expr, _labels in after[name]]
            said = (
                " or ".join(f"{expr} {labels}" if is_alike else expr for expr, labels in one[name])
                for one in (before, after)
            )
            yield Change(name, "changed", *said)


def readers(
    changed: Sequence[Change],
    versions: tuple[Exprs, Exprs],
    alerts: Mapping[str, Json],
    *,
    everything: bool,
) -> tuple[dict[str, list[Change]], set[str]]:
    """Return the changed rules that alerts read, by whether these come sooner or later; and the alerts.

    Args:
        changed: What changed of recording rules.
        versions: What rules record before and after, see `tokens_by_name`.
        alerts: The alerts that were there before, too, as they are after.
        everything: Whether to show each rule.
    """
    before, after = versions
    texts = {change.where: change for change in changed if change.what == "changed"}
    effects: dict[str, Effect] = {}
    for record in after:
        _effect(record, before, after, effects)
    found: dict[str, list[Change]] = {SOONER: [], LATER: [], OTHERWISE: []}
    reading: set[str] = set()
    # What many alerts and rules have in common is one line.
    alike: dict[tuple[str, str, str], tuple[dict[str, None], dict[str, None]]] = {}
    for name in sorted(alerts, key=lambda name: rank(alerts[name])):
        expr = tokens(normalised(str(alerts[name].get("expr"))))
        records = [record for record in _read(expr, after) if record in texts]
        if not records:
            continue
        reading.add(name)
        presence = of_series(expr, effects).presence
        title = OTHERWISE if not presence else SOONER if presence > 0 else LATER
        parts = [{} if everything else _replaced(before[record], after[record]) for record in records]
        if all(parts):
            pairs = dict.fromkeys(pair for part in parts for pair in part)
            old, new = (", ".join(dict.fromkeys(pair[side] for pair in pairs)) for side in (0, 1))
            keys = dict.fromkeys([(title, old, new)], records)
        else:
            keys = {(title, texts[record].old, texts[record].new): [record] for record in records}
        for key, names in keys.items():
            of_alerts, of_rules = alike.setdefault(key, ({}, {}))
            of_alerts[name] = None
            of_rules |= dict.fromkeys(names)
    lines = [
        (title, Change(", ".join(of_alerts), f"by {_rules([*of_rules])}", old, new))
        for (title, old, new), (of_alerts, of_rules) in alike.items()
    ]
    left = {True: _MOST_SHOWN, False: _MOST_OTHERS}
    rest: dict[str, None] = {}
    hidden = 0
    for title, change in lines:
        is_short = len(change.old) + len(change.new) < _LONGEST
        left[is_short] -= 1
        if everything or left[is_short] >= 0:
            found[title].append(change)
        else:
            hidden += 1
            rest |= dict.fromkeys(change.where.split(", "))
    if rest:
        more = f"by {hidden} more changes of recording rules; `--all` shows them"
        found[OTHERWISE].append(Change(", ".join(sorted(rest, key=lambda name: rank(alerts[name]))), more))
    return found, reading


def unfed(
    changed: Sequence[Change], versions: tuple[Exprs, Exprs], alerts: Mapping[str, Json]
) -> Iterator[tuple[str, str, bool]]:
    """Yield alerts that read what no rule records any more, with what that is, and whether they cannot fire without.

    Args:
        changed: What changed of recording rules.
        versions: What rules record before and after, see `tokens_by_name`.
        alerts: The alerts as they are after, by name.
    """
    before, after = versions
    gone = [change.where for change in changed if change.what == "removed"]
    added = [change.where for change in changed if change.what == "added"]
    known = dict.fromkeys(gone, True)
    for name in sorted(alerts, key=lambda name: rank(alerts[name])) if gone else ():
        expr = tokens(normalised(str(alerts[name].get("expr"))))
        read = {*expr}.union(*(part for record in _read(expr, after) for part in after[record]))
        if missing := [one for one in gone if one in read]:
            now = {one: [other for other in added if after[other] == before[one]] for one in missing}
            said = [f"{one} (now {', '.join(same)})" if same else one for one, same in now.items()]
            yield name, f"{' and '.join(said)}, which no rule records any more", _is_empty(expr, after, known)


def _is_empty(expr: Sequence[str], exprs: Exprs, known: dict[str, bool]) -> bool:
    """Tell whether an expression has no result because rules are gone, or read what is gone."""
    for name in expr:
        if name in exprs and name not in known:
            # What a rule reads of itself is of before.
            known[name] = False
            known[name] = all(_is_empty(one, exprs, known) for one in exprs[name])
    return is_empty(expr, {name for name, is_gone in known.items() if is_gone})


def _rules(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"the recording rule {names[0]}"
    return f"{len(names)} recording rules, such as {names[0]}"


def tokens_by_name(groups: Sequence[Json]) -> Exprs:
    """Return the expressions that record each series, as tokens."""
    found: dict[str, list[list[str]]] = {}
    for rule in (rule for group in groups for rule in group["rules"] if "record" in rule):
        found.setdefault(str(rule["record"]), []).append(tokens(normalised(str(rule.get("expr", "")))))
    return found


def _effect(record: str, before: Exprs, after: Exprs, known: dict[str, Effect]) -> Effect:
    """Return what becomes of a recorded series by changes of its rules and of those that they read."""
    if record not in known:
        # What a rule reads of itself is of before.
        known[record] = Effect()
        read = {name for expr in after[record] for name in expr if name in after and name != record}
        inner = {name: _effect(name, before, after, known) for name in read}
        olds = before.get(record, [])
        is_paired = len(olds) == len(after[record])
        own = [of_change(*pair) for pair in zip(olds, after[record], strict=True)] if is_paired else [UNKNOWN]
        known[record] = together_effects([*own, *(of_series(expr, inner) for expr in after[record])])
    return known[record]


def _replaced(old: list[list[str]], new: list[list[str]]) -> dict[tuple[str, str], None]:
    """Return which parts of rules stand in place of which others; none where more changed."""
    if len(old) != len(new):
        return {}
    changed = [(one, other) for one, other in zip(old, new, strict=True) if one != other]
    found = [replaced(one, other) for one, other in changed]
    return dict.fromkeys(pair for one in found for pair in one) if all(found) else {}


def _read(expr: Iterable[str], exprs: Exprs) -> Iterator[str]:
    """Yield the recording rules that an expression reads, those behind them included."""
    seen: set[str] = set()
    waiting = [*expr]
    while waiting:
        name = waiting.pop(0)
        if name in exprs and name not in seen:
            seen.add(name)
            waiting += [one for each in exprs[name] for one in each]
            yield name


def rank(rule: Json) -> int:
    """Return by what alerts are put in order, critical ones first."""
    severity = (rule.get("labels") or {}).get("severity")
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)
