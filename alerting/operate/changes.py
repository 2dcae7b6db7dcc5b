"""What changed between two versions of rules, by what it means to those who are notified, as Markdown."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ml_monitoring.alerting.model.notifications import SEVERITIES
from ml_monitoring.alerting.model.promql import normalised
from ml_monitoring.alerting.operate import alertmanager_changes, contents, limits, mute_times, recorded
from ml_monitoring.alerting.operate.reach import Reaches
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.differences import Change, together
from ml_monitoring.exporter.redaction import redact

Json = dict[str, Any]

# As many changed expressions are shown; of more the names are listed.
_MOST_EXPRESSIONS: Final = 20
# Labels by which it is chosen who is notified, and how.
_WAKING: Final = ("severity", "team")
_ORDER: Final = ("threshold", "number", "`for`", "`keep_firing_for`", "label", "condition", "matcher")
_EXPRESSION: Final = "expression changed"
_WAITS: Final = {
    "for": "`for`",
    "keep_firing_for": "`keep_firing_for` (how much later its end is notified)",
}
# An alert whose description says so has a threshold of seconds.
_IN_SECONDS: Final = re.compile(r"\$value\s*\|\s*humanizeDuration\b")
_BACKTEST: Final = (
    "How new and changed alerts would have fired on your history, with the `--settings` that NEW was written with: "
    "`ml-monitoring alerts backtest --days 14`"
)
_FILES: Final = "Alertmanager and other files"
_SOONER: Final = alertmanager_changes.SOONER
_LATER: Final = alertmanager_changes.LATER
_BOTH: Final = "Sooner in one way, later in another"
_OTHERWISE: Final = alertmanager_changes.OTHERWISE


@dataclass(frozen=True, slots=True)
class Version:
    """One version of what `alerts generate` writes.

    Attributes:
        groups: The groups of all files of rules.
        alertmanager: Alertmanager's configuration; None where there is none.
        others: The text of all other files by name.
    """

    groups: Sequence[Json] = ()
    alertmanager: Json | None = None
    others: Mapping[str, str] = field(default_factory=dict)


def compare(old: Version, new: Version, *, everything: bool = False) -> str:
    """Return the differences as Markdown, what matters most first; empty when there are none.

    Args:
        old: Before.
        new: After.
        everything: Whether to list what is counted otherwise: recording rules, links, texts, and each alert of many
            with the same change.
    """
    raw = contents.differences(*((one.groups, one.alertmanager, one.others) for one in (old, new)))
    if not raw:
        return ""
    before, after = _alerts(old, new)
    renamed = _renamed(before, after)
    added = [name for name in after if name not in before and name not in renamed.values()]
    removed = [name for name in before if name not in after and name not in renamed]
    pairs = {name: (before[name], after[renamed.get(name, name)]) for name in before if name not in removed}
    rules = [change for name, pair in pairs.items() for change in _rule_changes(renamed.get(name, name), *pair)]
    texts = [change for name, pair in pairs.items() for change in _text_changes(renamed.get(name, name), *pair)]
    records = list(_recorded_changes(old, new))
    kept = {name: new_rule for name, (_old, new_rule) in pairs.items()}
    through, reading = recorded.readers(records, new.groups, kept, everything=everything)
    silent = alertmanager_changes.lost_channels(old.alertmanager, new.alertmanager)
    reaches = Reaches(old.alertmanager, new.alertmanager)
    moved = reaches.moved(pairs, silent)
    # None where it is not known whom an alert notifies.
    unheard = {name for name in removed if reaches.before(before[name]) == {}}
    unheard |= {name for name in added if reaches.after(after[name]) == {}}
    come = {
        name: Change(name, f"added ({_whom(after[name])})", "", _summary(after[name]))
        for name in sorted(added, key=lambda name: recorded.rank(after[name]))
    }
    gone = {name: Change(name, f"removed ({_whom(before[name])})") for name in removed}
    muted = alertmanager_changes.inhibitions(old.alertmanager, new.alertmanager, everything=everything)
    times = mute_times.changes(old.alertmanager, new.alertmanager, kept)
    groups = [*_group_changes(old.groups, new.groups)]
    others = [
        *alertmanager_changes.compare(
            old.alertmanager,
            new.alertmanager,
            everything=everything,
            said=moved.routes,
        ),
        *_file_changes(old.others, new.others),
    ]
    directed = _by_direction(rules)
    for title, of_reach in ((_SOONER, moved.sooner), (_LATER, moved.later), (_OTHERWISE, [*moved.otherwise, *through])):
        found = directed[title] if everything else [*_short(directed[title], len(pairs))]
        directed[title] = [*found, *of_reach, *muted.get(title, ()), *times[title]]
    directed[_OTHERWISE] += groups
    kinds = Counter(change.what.partition(" ")[0] for change in records)
    counts = {
        "receivers": {"left without a channel": len(silent)},
        "alerts": {
            "added": len(added),
            "removed": len(removed),
            "renamed": len(renamed),
            "changed": len({change.where for change in rules}),
            "reading changed recording rules": len(reading),
            "reaching fewer channels": moved.losing,
            "reaching further channels": moved.gaining,
            "reaching channels at other times": moved.shifting,
            "with other links or texts": len({change.where for change in texts}),
        },
        "recording rules": {kind: kinds[kind] for kind in ("added", "removed", "changed")},
        "groups": {"changed": len(groups)},
        "inhibitions": {"changed": sum(map(len, muted.values()))},
        "mute times": {"changed": sum(map(len, times.values()))},
        _FILES: {"changed": len(others)},
    }
    sections = {
        "Notify you no more": [
            *alertmanager_changes.not_notified(silent),
            *(change for name, change in gone.items() if name not in unheard),
            *moved.lost,
        ],
        "May notify you from now on": [
            *(change for name, change in come.items() if name not in unheard),
            *moved.gained,
        ],
        "Renamed alerts": [Change(one, f"is called **{other}**") for one, other in renamed.items()],
        **directed,
        "Added or removed, notifying nobody": [change for name, change in (come | gone).items() if name in unheard],
        _FILES: others,
        "Recording rules": records if everything else [],
        "Links and texts": texts if everything else [],
    }
    summary = [
        f"- {what}: {', '.join(f'{number} {word}' for word, number in of_it.items() if number)}"
        for what, of_it in counts.items()
        if any(of_it.values())
    ]
    listed = [
        "\n".join([f"### {title}", "", *(redact(change.line()) for change in changes)])
        for title, changes in sections.items()
        if changes
    ]
    hint = [_BACKTEST] if added or rules else []
    if not (summary or listed):
        return "\n".join(redact(change.line()) for change in raw)
    return "\n\n".join(["\n".join(summary), *listed, *hint])


def _alerts(old: Version, new: Version) -> tuple[dict[str, Json], dict[str, Json]]:
    """Return the alerts of both by name; where several have one, by name and severity, then by their place."""
    versions = [
        [rule for group in version.groups for rule in group["rules"] if "alert" in rule] for version in (old, new)
    ]
    several = {
        name
        for rules in versions
        for name, number in Counter(str(rule["alert"]) for rule in rules).items()
        if number > 1
    }
    found: tuple[dict[str, Json], dict[str, Json]] = ({}, {})
    for rules, by_name in zip(versions, found, strict=True):
        for rule in rules:
            name = str(rule["alert"])
            key = f"{name} ({_label(rule, 'severity')})" if name in several else name
            same = sum(other == key or other.startswith(f"{key} #") for other in by_name)
            by_name[f"{key} #{same + 1}" if same else key] = rule
    return found


def _renamed(before: Mapping[str, Json], after: Mapping[str, Json]) -> dict[str, str]:
    """Return the new names of alerts: only one new one has the expression, but for numbers, or the summary."""
    gone, come = [
        {name: one[name] for name in one if name not in other} for one, other in ((before, after), (after, before))
    ]
    found: dict[str, str] = {}
    for says in (lambda rule: limits.skeleton(_expr(rule)), _summary):
        old, new = ([says(rule) for rule in rules.values()] for rules in (gone, come))
        for name, rule in gone.items():
            said = says(rule)
            if said and old.count(said) == new.count(said) == 1 and name not in found:
                other = next(other for other, candidate in come.items() if says(candidate) == said)
                if other not in found.values():
                    found[name] = other
    return found


def _rule_changes(name: str, old: Json, new: Json) -> Iterator[Change]:
    """Return what changed of an alert but for its links and texts; what wakes somebody first."""
    labels = [rule.get("labels") or {} for rule in (old, new)]
    keys = sorted({*labels[0], *labels[1]}, key=lambda key: (key not in _WAKING, key))
    for key in (key for key in keys if key in _WAKING):
        yield from _value_change(name, key, *(one.get(key) for one in labels))
    exprs = (_expr(old), _expr(new))
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
            yield from _value_change(name, _WAITS[key], old.get(key), new.get(key))
    for key in (key for key in keys if key not in _WAKING):
        yield from _value_change(name, f"label {key}", *(one.get(key) for one in labels))
    for word, matchers in limits.selected(*exprs):
        yield Change(name, f"matcher {word}", "", matchers)
        return
    if not (is_alike or ((lost or gained) and limits.matches_alike(*exprs))):
        yield Change(name, _EXPRESSION, *exprs)


def _text_changes(name: str, old: Json, new: Json) -> Iterator[Change]:
    before, after = (rule.get("annotations") or {} for rule in (old, new))
    for key in sorted({*before, *after}):
        yield from _value_change(name, key, before.get(key), after.get(key))


def _recorded_changes(old: Version, new: Version) -> Iterator[Change]:
    """Return which series are recorded from now on, no more, or in another way; one may be made by several rules."""
    before: dict[str, list[tuple[str, str]]] = {}
    after: dict[str, list[tuple[str, str]]] = {}
    for version, found in ((old, before), (new, after)):
        for group in version.groups:
            for rule in group["rules"]:
                if "record" in rule:
                    labels = json.dumps(rule.get("labels") or {}, sort_keys=True, default=str)
                    found.setdefault(str(rule["record"]), []).append((_expr(rule), labels))
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


def _group_changes(old: Sequence[Json], new: Sequence[Json]) -> Iterator[Change]:
    """Return what changed of groups that are there before and after, such as how often they are evaluated."""
    before, after = ({str(group.get("name")): group for group in groups} for groups in (old, new))
    for name in (name for name in before if name in after):
        for key in sorted({*before[name], *after[name]} - {"rules"}):
            one, other = before[name].get(key), after[name].get(key)
            if contents.duration(one) != contents.duration(other):
                yield from _value_change(f"group {name}", key, one, other)


def _file_changes(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield Change(name, "added" if name not in old else "no longer written" if name not in new else "changed")


def _short(changes: Sequence[Change], number: int) -> Iterator[Change]:
    """Return one line for what many of a number of alerts have in common, and the names alone of many expressions."""
    expressions = [change for change in changes if change.what == _EXPRESSION]
    waking = [change for change in changes if change.what.split()[0] in _WAKING]
    others = [change for change in changes if change not in waking and change not in expressions]
    yield from waking
    yield from together(sorted(others, key=_order), f"of {number} alerts")
    if len(expressions) <= _MOST_EXPRESSIONS:
        yield from together(expressions, f"of {number} alerts")
    else:
        names = ", ".join(change.where for change in expressions)
        yield Change(f"{len(expressions)} of {number} alerts", f"{_EXPRESSION}; `--all` shows how: {names}")


def _by_direction(changes: Iterable[Change]) -> dict[str, list[Change]]:
    """Return changes by whether alerts come sooner or later because of them, under what that is called."""
    found: dict[str, list[Change]] = {_SOONER: [], _LATER: [], _BOTH: [], _OTHERWISE: []}
    directed = [(change, _direction(change)) for change in changes]
    sooner, later = ({change.where for change, way in directed if sign * way > 0} for sign in (1, -1))
    for change, way in directed:
        if way and change.where in sooner & later:
            found[_BOTH].append(replace(change, what=f"{change.what} ({'sooner' if way > 0 else 'later'})"))
        else:
            found[_SOONER if way > 0 else _LATER if way < 0 else _OTHERWISE].append(change)
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


def _value_change(where: str, what: str, old: Any, new: Any) -> Iterator[Change]:
    if old != new:
        word = "added" if old is None else "removed" if new is None else "changed"
        yield Change(where, f"{what} {word}", *("" if one is None else str(one) for one in (old, new)))


def _expr(rule: Json) -> str:
    return normalised(str(rule.get("expr", "")))


def _as_duration(limit: str) -> str:
    """Return a threshold of seconds, such as `> 600`, as a duration."""
    how, space, seconds = limit.rpartition(" ")
    return f"{how}{space}{durations.format_seconds(float(seconds))}" if float(seconds) > 0 else limit


def _amount(limit: str) -> float:
    """Return the number of a threshold, the seconds of a duration."""
    return durations.parse(limit) if limit[-1:].isalpha() else float(limit)


def _label(rule: Json, name: str) -> str:
    return str((rule.get("labels") or {}).get(name, f"no {name}"))


def _summary(rule: Json) -> str:
    return str((rule.get("annotations") or {}).get("summary", ""))


def _whom(rule: Json) -> str:
    return f"{_label(rule, 'severity')}, {_label(rule, 'team')}"
