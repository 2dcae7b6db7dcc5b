"""What changed between two versions of rules, by what it means to those who are notified, as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from ml_monitoring.alerting.model.notifications import SEVERITIES
from ml_monitoring.alerting.operate import (
    alertmanager_changes,
    contents,
    inhibition_changes,
    limits,
    loading,
    mute_times,
    recorded,
)
from ml_monitoring.alerting.operate.alert_changes import (
    by_direction,
    expression,
    rule_changes,
    short,
    starting_over,
    text_changes,
    value_change,
)
from ml_monitoring.alerting.operate.alertmanager_changes import LATER, OTHERWISE, SOONER
from ml_monitoring.alerting.operate.reach import Reaches
from ml_monitoring.exporter.differences import MOST_ALIKE, Change
from ml_monitoring.exporter.redaction import redact

Json = dict[str, Any]

_BACKTEST: Final = (
    "How new and changed alerts would have fired on your history, with the `--settings` that NEW was written with: "
    "`ml-monitoring alerts backtest --days 14`"
)
# Of more alerts that came or went only critical ones have a line each.
_MOST_ONE_BY_ONE: Final = 12
_FILES: Final = "Alertmanager and other files"


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


def compare(
    old: Version, new: Version, *, everything: bool = False, refused: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Return the differences as Markdown, what matters most first; empty when there are none.

    Args:
        old: Before.
        new: After.
        everything: Whether to list what is counted otherwise: recording rules, links, texts, and each alert of many
            with the same change.
        refused: Why Prometheus refuses the expression of a new rule, by the name of the rule.
    """
    raw = contents.differences(*((one.groups, one.alertmanager, one.others) for one in (old, new)))
    if not raw:
        return ""
    before, after = _alerts(old, new)
    renamed = _renamed(before, after)
    added = [name for name in after if name not in before and name not in renamed.values()]
    removed = [name for name in before if name not in after and name not in renamed]
    pairs = {name: (before[name], after[renamed.get(name, name)]) for name in before if name not in removed}
    rules = [change for name, pair in pairs.items() for change in rule_changes(renamed.get(name, name), *pair)]
    texts = [change for name, pair in pairs.items() for change in text_changes(renamed.get(name, name), *pair)]
    records = list(recorded.changes(old.groups, new.groups))
    kept = {name: new_rule for name, (_old, new_rule) in pairs.items()}
    exprs = (recorded.tokens_by_name(old.groups), recorded.tokens_by_name(new.groups))
    through, reading = recorded.readers(records, exprs, kept, everything=everything)
    unfed = [*recorded.unfed(records, exprs, kept)]
    silent = alertmanager_changes.lost_channels(old.alertmanager, new.alertmanager)
    lost_by_all = alertmanager_changes.lost_by_all(old.alertmanager, new.alertmanager)
    reaches = Reaches(old.alertmanager, new.alertmanager)
    moved = reaches.moved(pairs, silent, everything=everything)
    # None where it is not known whom an alert notifies.
    unheard = {name for name in removed if reaches.before(before[name]) == {}}
    unheard |= {name for name in added if reaches.after(after[name]) == {}}
    come = {
        name: Change(name, f"added ({_whom(after[name])})", "", _summary(after[name]))
        for name in sorted(added, key=lambda name: recorded.rank(after[name]))
    }
    gone = {name: Change(name, f"removed ({_whom(before[name])})") for name in removed}
    muted = inhibition_changes.changes(old.alertmanager, new.alertmanager, pairs, everything=everything)
    mutings = inhibition_changes.by_labels(old.alertmanager, new.alertmanager, pairs, everything=everything)
    times = mute_times.changes(old.alertmanager, new.alertmanager, kept, everything=everything)
    groups = [*_group_changes(old.groups, new.groups, everything=everything)]
    others = [
        *alertmanager_changes.compare(
            old.alertmanager,
            new.alertmanager,
            everything=everything,
            said=moved.routes,
        ),
        *(
            replace(one, what=f"{one.what}, the same alerts as before are muted by it")
            for one in muted[inhibition_changes.NONE]
        ),
        *_file_changes(old.others, new.others),
    ]
    credentials = [change for change in others if alertmanager_changes.is_of_credentials(change)]
    others = [change for change in others if change not in credentials]
    directed = by_direction(rules)
    for title, of_reach in ((SOONER, moved.sooner), (LATER, moved.later), (OTHERWISE, moved.otherwise)):
        found = directed[title] if everything else [*short(directed[title], len(pairs))]
        directed[title] = [
            *found,
            *through[title],
            *of_reach,
            *muted[title],
            *mutings.get(title, ()),
            *times[title],
        ]
    ended = [
        *(
            Change(name, f"Prometheus will not load the rules, as its expression is none: {why}")
            for name, why in refused.items()
        ),
        *loading.problems(old.alertmanager, new.alertmanager),
        *inhibition_changes.muted_for_ever(old.alertmanager, new.alertmanager, pairs, everything=everything),
    ]
    dead = [
        Change(renamed.get(name, name), f"can never fire again: it reads {what}")
        for name, what, is_ended in unfed
        if is_ended
    ]
    directed[OTHERWISE] += [
        *(Change(renamed.get(name, name), f"reads {what}") for name, what, is_ended in unfed if not is_ended),
        *groups,
    ]
    kinds = Counter(change.what.partition(" ")[0] for change in records)
    counts = {
        "receivers": {"left without a channel": len(silent)},
        "credentials": {"changed": len(credentials)},
        "alerts": {
            "added": len(added),
            "removed": len(removed),
            "that can never fire again": len(dead),
            "renamed": len(renamed),
            "changed": len({change.where for change in rules}),
            "reading changed recording rules": len(reading),
            "reaching fewer channels": moved.losing,
            "reaching further channels": moved.gaining,
            "reaching another place": moved.moving,
            "reaching channels at other times": moved.shifting,
            "with other links or texts": len({change.where for change in texts}),
        },
        "recording rules": {kind: kinds[kind] for kind in ("added", "removed", "changed")},
        "groups": {"changed": len(groups)},
        "inhibitions": {"changed": sum(map(len, muted.values())) - len(muted[inhibition_changes.NONE])},
        "mute times": {"changed": sum(map(len, times.values()))},
        _FILES: {"changed": len(others)},
    }
    sections = {
        "Notify you no more": [
            *ended,
            *dead,
            *alertmanager_changes.not_notified(silent),
            *lost_by_all,
            *_few([name for name in gone if name not in unheard], gone, before, "removed", everything=everything),
            *moved.lost,
        ],
        "Notify you only if the new credentials are right": credentials,
        "Notify elsewhere": moved.instead,
        "May notify you from now on": [
            *_few([name for name in come if name not in unheard], come, after, "added", everything=everything),
            *moved.gained,
        ],
        "Renamed alerts": [Change(one, f"is called **{other}**") for one, other in renamed.items()],
        **directed,
        "Start over when Prometheus reads the new rules": starting_over(
            {renamed.get(name, name): pair for name, pair in pairs.items()},
            (old.groups, new.groups),
            everything=everything,
        ),
        "Added or removed, notifying nobody": [
            *_few([name for name in come if name in unheard], come, after, "added", everything=everything),
            *_few([name for name in gone if name in unheard], gone, before, "removed", everything=everything),
        ],
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
    if lost_by_all:
        summary.insert(0, "- receivers: all without a channel that all had")
    hint = [_BACKTEST] if added or rules or reading else []
    if not (summary or listed):
        return "\n".join(redact(change.line()) for change in raw)
    return "\n\n".join(filter(None, ["\n".join(summary), *listed, *hint]))


def _few(
    names: Sequence[str], lines: Mapping[str, Change], rules: Mapping[str, Json], word: str, *, everything: bool
) -> Iterator[Change]:
    """Return a line for each alert that came or went; of many for critical ones, and for each other severity."""
    by_severity: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda name: recorded.rank(rules[name])):
        by_severity.setdefault(_label(rules[name], "severity"), []).append(name)
    for severity, of_it in by_severity.items():
        if everything or severity == SEVERITIES[0] or len(names) <= _MOST_ONE_BY_ONE or len(of_it) <= MOST_ALIKE:
            yield from (lines[name] for name in of_it)
        else:
            more = "; `--all` shows what each says" * (word == "added")
            what = f"of severity {severity} {word}{more}: {', '.join(of_it)}"
            yield Change(f"{len(of_it)} alerts", what)


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
    for says in (lambda rule: limits.skeleton(expression(rule)), _summary):
        old, new = ([says(rule) for rule in rules.values()] for rules in (gone, come))
        for name, rule in gone.items():
            said = says(rule)
            if said and old.count(said) == new.count(said) == 1 and name not in found:
                other = next(other for other, candidate in come.items() if says(candidate) == said)
                if other not in found.values():
                    found[name] = other
    return found


def _group_changes(old: Sequence[Json], new: Sequence[Json], *, everything: bool) -> Iterator[Change]:
    """Return what changed of groups that are there before and after, such as how often they are evaluated."""
    before, after = ({str(group.get("name")): group for group in groups} for groups in (old, new))
    kept = [name for name in before if name in after]
    found: list[Change] = []
    for name in kept:
        for key in sorted({*before[name], *after[name]} - {"rules"}):
            one, other = before[name].get(key), after[name].get(key)
            if contents.duration(one) != contents.duration(other):
                where = f"group {name}"
                times = [str(each or "global.evaluation_interval") for each in (one, other)]
                found += (
                    [Change(where, "is evaluated every (`interval`)", *times)]
                    if key == "interval"
                    else value_change(where, key, one, other)
                )
    same = {replace(change, where="") for change in found}
    if not everything and len(same) == 1 and len(found) == len(kept) > 1:
        found = [replace(same.pop(), where=f"each of all {len(kept)} groups")]
    yield from found


def _file_changes(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield Change(name, "added" if name not in old else "no longer written" if name not in new else "changed")


def _label(rule: Json, name: str) -> str:
    return str((rule.get("labels") or {}).get(name, f"no {name}"))


def _summary(rule: Json) -> str:
    return str((rule.get("annotations") or {}).get("summary", ""))


def _whom(rule: Json) -> str:
    return f"{_label(rule, 'severity')}, {_label(rule, 'team')}"
