"""What changed of single alerts, and whether they come sooner or later by it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ml_monitoring.alerting.model.notifications import SEVERITIES
from ml_monitoring.alerting.model.promql import matchers_changed, normalised
from ml_monitoring.alerting.operate import contents, limits
from ml_monitoring.alerting.operate.alertmanager_changes import LATER, OTHERWISE, SOONER
from ml_monitoring.alerting.operate.reach import name_alerts, name_some
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.differences import Change, together

Json = dict[str, Any]

BOTH: Final = "Sooner in one way, later in another"
# So many changes of one kind are listed one by one, of more each in few words.
_MOST_ONE_BY_ONE: Final = 5
# Of alerts with another severity or team so many are named.
_MOST_NAMED: Final = 10
# Labels by which it is chosen who is notified, and how.
_WAKING: Final = ("severity", "team")
_ORDER: Final = ("threshold", "number", "`for`", "`keep_firing_for`", "label", "condition", "matcher")
_EXPRESSION: Final = "expression changed"
_COMPARISON: Final = re.compile(r"[<>]")
_WAITS: Final = {
    "for": "`for`",
    "keep_firing_for": "`keep_firing_for` (how much later its end is notified)",
}
# An alert whose description says so has a threshold of seconds.
_IN_SECONDS: Final = re.compile(r"\$value\s*\|\s*humanizeDuration\b")


def rule_changes(name: str, old: Json, new: Json) -> Iterator[Change]:
    """Return what changed of an alert but for its links and texts; what wakes somebody first."""
    labels = [rule.get("labels") or {} for rule in (old, new)]
    keys = sorted({*labels[0], *labels[1]}, key=lambda key: (key not in _WAKING, key))
    for key in (key for key in keys if key in _WAKING):
        yield from value_change(name, key, *(one.get(key) for one in labels))
    exprs = (expression(old), expression(new))
    thresholds = limits.thresholds(*exprs)
    if all(thresholds) and len({*map(limits.number, thresholds)}) > 1:
        in_seconds = all(
            _IN_SECONDS.search(str((rule.get("annotations") or {}).get("description"))) for rule in (old, new)
        )
        yield Change(name, "threshold changed", *(map(_as_duration, thresholds) if in_seconds else thresholds))
    lost, gained = limits.conditions(*exprs)
    is_alike = limits.skeleton(exprs[0]) == limits.skeleton(exprs[1])
    for pair in limits.beside(*exprs) if is_alike else ():
        yield Change(name, "number beside the threshold changed", *pair)
    for word, clauses in (("removed", lost), ("added", gained)):
        if clauses:
            yield Change(name, f"condition {word}", "", " ".join(clauses))
    for key in ("for", "keep_firing_for"):
        if contents.duration(old.get(key) or "0s") != contents.duration(new.get(key) or "0s"):
            yield from value_change(name, _WAITS[key], old.get(key), new.get(key))
    for key in (key for key in keys if key not in _WAKING):
        yield from value_change(name, f"label {key}", *(one.get(key) for one in labels))
    for word, matchers in limits.selected(*exprs):
        yield Change(name, f"matcher {word}", "", matchers)
        return
    come, gone = (", ".join(sorted(matchers)) for matchers in matchers_changed(*exprs))
    if come or gone:
        word = "changed" if come and gone else "added in it" if come else "removed in it"
        yield Change(name, f"matchers {word}", gone, come)
    elif not (is_alike or ((lost or gained) and limits.matches_alike(*exprs))):
        is_turned = len({_COMPARISON.sub("", expr) for expr in exprs}) == 1
        yield Change(name, f"{_EXPRESSION}{', its comparison is turned round' * is_turned}", *exprs)


def starting_over(
    alerts: Mapping[str, tuple[Json, Json]],
    versions: tuple[Sequence[Json], Sequence[Json]],
    *,
    everything: bool = False,
) -> list[Change]:
    """Return which alerts Prometheus takes for others than before, so that what fires ends and fires again.

    Args:
        alerts: The rule before and after, by the name of the alert.
        versions: The groups of rules before and after.
        everything: Whether to name each of many.
    """
    groups = [
        {id(rule): str(group.get("name")) for group in version for rule in group["rules"]} for version in versions
    ]
    found: dict[str, list[str]] = {}
    for name, pair in alerts.items():
        labels = [rule.get("labels") or {} for rule in pair]
        others = sorted(key for key in {*labels[0], *labels[1]} if labels[0].get(key) != labels[1].get(key))
        if pair[0]["alert"] != pair[1]["alert"]:
            others.append("alertname")
        where = [names.get(id(rule)) for names, rule in zip(groups, pair, strict=True)]
        if others or where[0] != where[1]:
            why = f"other labels: {', '.join(others)}" if others else "in another group"
            found.setdefault(why, []).append(name)
    rules = {name: new for name, (_old, new) in alerts.items()}
    return [
        Change(
            name_alerts(names, rules, everything=everything),
            f"({why}): what fires is reported as ended, and again after its `for`",
        )
        for why, names in found.items()
    ]


def text_changes(name: str, old: Json, new: Json) -> Iterator[Change]:
    """Return what changed of the links and texts of an alert."""
    before, after = (rule.get("annotations") or {} for rule in (old, new))
    for key in sorted({*before, *after}):
        yield from value_change(name, key, before.get(key), after.get(key))


def short(changes: Sequence[Change], number: int) -> Iterator[Change]:
    """Return one line for what many of a number of alerts have in common, and for what many have each in its way."""
    waking = [change for change in changes if change.what.split()[0] in _WAKING]
    alike: dict[tuple[str, str, str], list[str]] = {}
    for change in waking:
        alike.setdefault((change.what, change.old, change.new), []).append(change.where)
    yield from (Change(name_some(names, _MOST_NAMED), *same) for same, names in alike.items())
    others = sorted((change for change in changes if change not in waking), key=_order)
    kinds: dict[str, list[Change]] = {}
    for change in together(others, f"of {number} alerts"):
        kinds.setdefault(change.what, []).append(change)
    for what, listed in kinds.items():
        if len(listed) <= _MOST_ONE_BY_ONE:
            yield from listed
        elif what.split()[0] in ("condition", "expression"):
            names = ", ".join(change.where for change in listed)
            yield Change(f"{len(listed)} of {number} alerts", f"{what}; `--all` shows how: {names}")
        else:
            each = "; ".join(change.line().removeprefix("- ").replace(f"** {what}:", "**") for change in listed)
            yield Change(f"{len(listed)} of {number} alerts", f"{what}: {each}")


def by_direction(changes: Iterable[Change]) -> dict[str, list[Change]]:
    """Return changes by whether alerts come sooner or later because of them, under what that is called."""
    found: dict[str, list[Change]] = {SOONER: [], LATER: [], BOTH: [], OTHERWISE: []}
    directed = [(change, _direction(change)) for change in changes]
    sooner, later = ({change.where for change, way in directed if sign * way > 0} for sign in (1, -1))
    for change, way in directed:
        if way and change.where in sooner & later:
            found[BOTH].append(replace(change, what=f"{change.what} ({'sooner' if way > 0 else 'later'})"))
        else:
            found[SOONER if way > 0 else LATER if way < 0 else OTHERWISE].append(change)
    return found


def _direction(change: Change) -> float:
    """Return more than 0 when an alert comes sooner or louder, less when it comes later or quieter, else 0."""
    what = change.what.partition(" ")[0]
    way: float = 0
    if what == "severity" and {change.old, change.new} <= {*SEVERITIES}:
        way = SEVERITIES.index(change.old) - SEVERITIES.index(change.new)
    elif what == "threshold":
        way = _moved(change.old, change.new)
    elif what == "number":
        # What holds more often is met sooner, and excludes more behind `unless`.
        way = _moved(limits.end(change.old), limits.end(change.new))
        way *= -1 if change.old.lower().startswith("unless") else 1
    elif what == "matcher":
        way = -1 if change.what.endswith("added") else 1
    elif what == "condition":
        # What is `or` else makes an alert of more, all other parts of less.
        way = (1 if change.what.endswith("added") else -1) * (1 if change.new.lower().startswith("or") else -1)
    elif what == "`for`":
        before, after = (contents.duration(one or "0s") for one in (change.old, change.new))
        way = before - after if isinstance(before, float) and isinstance(after, float) else 0
    return way


def _moved(old: str, new: str) -> float:
    """Return more than 0 when a comparison such as `> 5` holds sooner with the new number, less when later."""
    hows, values = zip(*(limit.rpartition(" ")[::2] for limit in (old, new)), strict=True)
    signs = {how[:1] for how in hows}
    if signs not in ({">"}, {"<"}):
        return 0
    rise = _amount(values[1]) - _amount(values[0])
    return -rise if signs == {">"} else rise


def _order(change: Change) -> int:
    what = change.what.split()[0]
    return _ORDER.index(what) if what in _ORDER else len(_ORDER)


def value_change(where: str, what: str, old: Any, new: Any) -> Iterator[Change]:
    """Return whether a value came, went or changed, if it did."""
    if old != new:
        word = "added" if old is None else "removed" if new is None else "changed"
        yield Change(where, f"{what} {word}", *("" if one is None else str(one) for one in (old, new)))


def expression(rule: Json) -> str:
    """Return the expression of a rule in the form that all have that mean the same."""
    return normalised(str(rule.get("expr", "")))


def _as_duration(limit: str) -> str:
    """Return a threshold of seconds, such as `> 600`, as a duration."""
    how, space, seconds = limit.rpartition(" ")
    return f"{how}{space}{durations.format_seconds(float(seconds))}" if float(seconds) > 0 else limit


def _amount(limit: str) -> float:
    """Return the number of a threshold, the seconds of a duration."""
    return durations.parse(limit) if limit[-1:].isalpha() else float(limit)
