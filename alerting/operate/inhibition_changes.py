"""What changed of the alerts that are not sent while others fire."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from ml_monitoring.alerting.generate.inhibition import MATCHER, matches
from ml_monitoring.alerting.operate.alertmanager_changes import LATER, OTHERWISE, SOONER
from ml_monitoring.alerting.operate.matching import matcher_changes, pairs
from ml_monitoring.alerting.operate.reach import labels_of, name_alerts
from ml_monitoring.alerting.operate.routing import listed, mappings, matchers
from ml_monitoring.exporter.differences import Change, together

Json = dict[str, Any]

# Inhibitions beyond so many are counted.
_MOST_NAMED: Final = 3
# The expression of an alert that always fires.
_ALWAYS: Final = re.compile(r"\s*vector\s*\(\s*[0-9.]+\s*\)\s*")
# What changes for none of the alerts that there were before.
NONE: Final = "No alert more or less"


def changes(
    old: Json | None, new: Json | None, alerts: Mapping[str, tuple[Json, Json]], *, everything: bool = False
) -> dict[str, list[Change]]:
    """Return the changes of inhibitions by whether alerts come sooner or later, under what that is called.

    Args:
        old: Alertmanager's configuration before; None where there is none.
        new: The same after.
        alerts: The rules before and after of the alerts that are there in both, by name.
        everything: Whether to return each of many that are alike.
    """
    found: dict[str, list[Change]] = {SOONER: [], LATER: [], OTHERWISE: [], NONE: []}
    if old is None or new is None:
        return found
    before, after = (_by_matchers(config) for config in (old, new))
    # What other labels of an alert change is said of it.
    labels = {name: (labels_of(old_rule), labels_of(new_rule)) for name, (old_rule, new_rule) in alerts.items()}
    kept = {
        name: pair for name, pair in labels.items() if all(pair[1].get(key, one) == one for key, one in pair[0].items())
    }
    versions = [{name: pair[place] for name, pair in kept.items()} for place in (0, 1)]
    effects = [
        {one: _effect_of(rule, of_alerts) for one, rule in rules.items()}
        for rules, of_alerts in zip((before, after), versions, strict=True)
    ]
    became = pairs(before, after)
    for one, other in became.items():
        title = _direction(effects[0][one], effects[1][other]) if kept else None
        for change in matcher_changes(f"inhibition {_inhibition(before[one])}", one, other):
            # A matcher more mutes less.
            found[
                title or (SOONER if "added" in change.what else LATER if "removed" in change.what else OTHERWISE)
            ] += [change]
    lost = [one for one in before if one not in became]
    gained = [one for one in after if one not in became.values()]
    most = sys.maxsize if everything else _MOST_NAMED
    names = {name: new_rule for name, (_old, new_rule) in alerts.items()}
    shown = partial(_shown, alerts=names, everything=everything)
    if len(lost) + len(gained) <= most:
        found[SOONER] += [shown("removed", before[one], effects[0][one]) for one in lost]
        found[LATER] += [shown("added", after[one], effects[1][one]) for one in gained]
    else:
        changed = min(len(lost), len(gained))
        numbers = {SOONER: ("removed", len(lost) - changed), LATER: ("added", len(gained) - changed)}
        for title, (word, number) in (numbers | {OTHERWISE: ("changed", changed)}).items():
            found[title] += [Change("inhibitions", f"{number} {word}")] if number else []
    return found if everything else {title: [*together(of_it, "inhibitions")] for title, of_it in found.items()}


def by_labels(
    old: Json | None, new: Json | None, alerts: Mapping[str, tuple[Json, Json]], *, everything: bool = False
) -> dict[str, list[Change]]:
    """Return which alerts mute others, or no more, as the labels of one changed, such as its severity.

    Args:
        old: Alertmanager's configuration before; None where there is none.
        new: The same after.
        alerts: The rules before and after, by the name of the alert.
        everything: Whether to name each of many.
    """
    found: dict[str, list[Change]] = {SOONER: [], LATER: []}
    if old is None or new is None or all(labels_of(one) == labels_of(other) for one, other in alerts.values()):
        return found
    # Labels that come from the expression: those that it or the texts name, and those of all that is scraped.
    known = {
        name: dict.fromkeys(("job", "instance", *(label for rule in pair for label in _named(rule))), "any")
        for name, pair in alerts.items()
    }
    before, after = ({name: known[name] | labels_of(pair[place]) for name, pair in alerts.items()} for place in (0, 1))
    was, would, now = _mutings(old, before), _mutings(old, after), _mutings(new, after)
    rules = {name: new_rule for name, (_old, new_rule) in alerts.items()}
    changed = [name for name in alerts if before[name] != after[name]]
    for title, mutings, active, passive in (
        (SOONER, was - would - now, "no longer mutes {}", "is no longer muted while {} fires"),
        (LATER, (now - was) & would, "mutes {}", "is muted while {} fires"),
    ):
        for name in changed:
            muted = sorted(target for source, target in mutings if source == name)
            # What both have by their labels is said of the one that mutes.
            muting = sorted(source for source, target in mutings if target == name and source not in changed)
            for names, words in ((muted, active), (muting, passive)):
                if names:
                    what = words.format(name_alerts(names, rules, everything=everything))
                    found[title].append(Change(name, f"{what}, as its labels changed"))
    return found


def _named(rule: Json) -> list[str]:
    texts = " ".join(map(str, (rule.get("annotations") or {}).values()))
    return [*re.findall(r"\w+", str(rule.get("expr", ""))), *re.findall(r"\$labels\.(\w+)", texts)]


def _mutings(config: Json, alerts: Mapping[str, Mapping[str, str]]) -> set[tuple[str, str]]:
    """Return which alert mutes which, where all labels that it takes are known of both."""
    found: set[tuple[str, str]] = set()
    for rule in mappings(config.get("inhibit_rules")):
        sources, targets = (
            {name for name, labels in alerts.items() if _matches(matchers(rule, f"{side}_match"), labels)}
            for side in ("source", "target")
        )
        equal = listed(rule.get("equal"))
        found |= {
            (source, target)
            for source in sources
            for target in targets
            # Two that match both sides mute each other never.
            if not {source, target} <= sources & targets
            and all(alerts[source].get(label) == alerts[target].get(label) for label in equal)
        }
    return found


def muted_for_ever(
    old: Json | None, new: Json | None, alerts: Mapping[str, tuple[Json, Json]], *, everything: bool = False
) -> list[Change]:
    """Return the alerts that are never sent from now on, as one that always fires mutes them.

    Args:
        old: Alertmanager's configuration before; None where there is none.
        new: The same after.
        alerts: The rules before and after, by the name of the alert.
        everything: Whether to name each of many.
    """
    before, after = (
        _muted_for_ever(config or {}, {name: pair[place] for name, pair in alerts.items()})
        for place, config in enumerate((old, new))
    )
    by_source: dict[str, list[str]] = {}
    for name in after:
        if name not in before:
            by_source.setdefault(after[name], []).append(name)
    rules = {name: new_rule for name, (_old, new_rule) in alerts.items()}
    return [
        Change(
            name_alerts(names, rules, everything=everything),
            f"never sent: muted by an inhibition while {source} fires, which is always",
        )
        for source, names in by_source.items()
    ]


def _muted_for_ever(config: Json, alerts: Mapping[str, Json]) -> dict[str, str]:
    labels = {name: labels_of(rule) for name, rule in alerts.items()}
    always = [name for name, rule in alerts.items() if _ALWAYS.fullmatch(str(rule.get("expr", "")))]
    found: dict[str, str] = {}
    for rule in mappings(config.get("inhibit_rules")):
        source, target = (matchers(rule, f"{side}_match") for side in ("source", "target"))
        # Others may have more labels than their rules give them.
        for name in always if not rule.get("equal") else ():
            if _matches(source, labels[name]):
                muted = [one for one, own in labels.items() if one not in always and _matches(target, own)]
                found |= dict.fromkeys(muted, name)
    return found


@dataclass(frozen=True, slots=True)
class _Effect:
    """Which alerts mute which, as far as labels are known that all alerts have from their rules, and the rest."""

    sources: frozenset[str]
    targets: frozenset[str]
    rest: frozenset[str]
    is_named: bool


def _effect_of(rule: Json, alerts: Mapping[str, Mapping[str, str]]) -> _Effect:
    known = frozenset.intersection(*(frozenset(labels) for labels in alerts.values())) if alerts else frozenset()
    sides = [(side, matchers(rule, f"{side}_match")) for side in ("source", "target")]
    asked = [[one for one in of_it if _label(one) in known] for _side, of_it in sides]
    found = [frozenset(name for name, labels in alerts.items() if _matches(of_it, labels)) for of_it in asked]
    rest = {f"{side}:{one}" for side, of_it in sides for one in of_it if _label(one) not in known}
    equal = {f"the same {one}" for one in listed(rule.get("equal"))}
    return _Effect(found[0], found[1], frozenset(rest | equal), all(asked) and all(found))


def _direction(old: _Effect, new: _Effect) -> str | None:
    """Return under what a change is listed; None where it is not known by the labels of rules."""
    if old.rest != new.rest:
        return None
    more, less = (
        one.sources <= other.sources and one.targets <= other.targets for one, other in ((old, new), (new, old))
    )
    if more and less:
        return NONE
    return LATER if more else SOONER if less else OTHERWISE


def _shown(word: str, rule: Json, effect: _Effect, alerts: Mapping[str, Json], *, everything: bool) -> Change:
    change = Change("inhibition", word, "", _inhibition(rule))
    if not effect.is_named:
        return change
    muted, firing = (
        name_alerts(sorted(one), alerts, everything=everything) for one in (effect.targets, effect.sources)
    )
    return replace(change, what=f"{word}, by which {muted} may be muted while {firing} fires")


def _by_matchers(config: Json) -> dict[tuple[str, ...], Json]:
    return {
        (
            *(f"source:{one}" for one in matchers(rule, "source_match")),
            *(f"target:{one}" for one in matchers(rule, "target_match")),
            *(f"the same {one}" for one in listed(rule.get("equal"))),
        ): rule
        for rule in mappings(config.get("inhibit_rules"))
    }


def _matches(wanted: Sequence[str], labels: Mapping[str, str]) -> bool:
    try:
        return all(matches(matcher, labels) for matcher in wanted)
    except (ValueError, TypeError, AttributeError, re.error):
        # `amtool` names what Alertmanager would not read.
        return False


def _label(matcher: str) -> str:
    found = MATCHER.fullmatch(matcher)
    return found["label"] if found else ""


def _inhibition(rule: Json) -> str:
    source, target = (", ".join(matchers(rule, f"{side}_match")) or "all" for side in ("source", "target"))
    return f"{source} mutes {target}, same {', '.join(listed(rule.get('equal'))) or 'nothing'}"
