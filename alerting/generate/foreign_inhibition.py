"""Inhibit rules of others in the same Alertmanager that hold for our alerts, too, as they only ask for a severity."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

from ml_monitoring.alerting.domains import load_alerts
from ml_monitoring.alerting.generate.inhibition import INHIBITIONS, matches
from ml_monitoring.alerting.model.foreign import TARGET_LABELS
from ml_monitoring.alerting.model.thresholds import Thresholds

# Alertmanager takes one matcher or several in a text, with and without quotes and braces.
_MATCHER: Final = re.compile(
    r'"?(?P<label>[^\s"{},=!~]+)"?\s*(?P<operator>=~|!~|!=|=)\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s,{}"]*))'
)
# What an alert does on each side of a rule.
_SIDES: Final = {"source": "can mute", "target": "can be muted"}
Matcher = tuple[str, str, str]


def notes(text: str, thresholds: Thresholds) -> Iterator[tuple[int, str]]:
    """Yield the line of each such rule, and what it does and how that is prevented.

    Args:
        text: The configuration of Alertmanager, with ours at the head of its inhibit rules.
        thresholds: Our settings, with a label that only our alerts have.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    lists = {key.value: value for key, value in root.value} if isinstance(root, yaml.MappingNode) else {}
    nodes = lists["inhibit_rules"].value if "inhibit_rules" in lists else []
    rules = (yaml.safe_load(text).get("inhibit_rules") or ())[len(INHIBITIONS) :]
    label, value = next(iter(thresholds.alert_labels.items()))
    for node, rule in zip(nodes[len(INHIBITIONS) :], rules, strict=True):
        if found := _of_ours(rule, thresholds):
            does = " and ".join(f"{_some(names)} {_SIDES[side]}" for side, names in found.items())
            where = " and ".join(f"{side}_matchers" for side in found)
            yield (
                node.start_mark.line + 1,
                f'this inhibit rule holds for our alerts, too, so that {does}: add {label}!="{value}" to its {where}',
            )


def _some(names: Sequence[str]) -> str:
    return f"{names[0]} and {len(names) - 1} more" if names[1:] else names[0]


def _of_ours(rule: Mapping[str, Any], thresholds: Thresholds) -> dict[str, list[str]]:
    """Return our alerts on each side of a rule by name; nothing where the rule is meant for them or harmless."""
    # Others have no alert of the same name, and none of ours mutes itself.
    if "alertname" in (rule.get("equal") or ()):
        return {}
    sides = {side: list(_matchers(rule, side)) for side in _SIDES}
    alerts = load_alerts(thresholds)
    own = {alert.name for alert in alerts}
    for label, operator, value in (matcher for matchers in sides.values() for matcher in matchers):
        if operator == "=" and (label in thresholds.alert_labels or (label == "alertname" and value in own)):
            return {}
    found = {
        side: [
            alert.name
            for alert in alerts
            if all(
                _may_match(matcher, {"alertname": alert.name, **alert.labels}, alert.signal.by) for matcher in matchers
            )
        ]
        for side, matchers in sides.items()
    }
    return {side: names for side, names in found.items() if names}


def _may_match(matcher: Matcher, labels: Mapping[str, str], by: Sequence[str]) -> bool:
    label, operator, value = matcher
    # Labels of series are not known here.
    if label not in labels and (label in TARGET_LABELS or label in by):
        return True
    try:
        return matches(f'{label}{operator}"{value}"', labels)
    except (ValueError, re.error):
        # An expression of Go's that Python does not know, or a name that only newer versions have.
        return True


def _matchers(rule: Mapping[str, Any], side: str) -> Iterator[Matcher]:
    for text in rule.get(f"{side}_matchers") or ():
        for found in _MATCHER.finditer(str(text)):
            yield found["label"], found["operator"], found["bare"] if found["quoted"] is None else found["quoted"]
    yield from ((str(label), "=", str(value)) for label, value in (rule.get(f"{side}_match") or {}).items())
    yield from ((str(label), "=~", str(value)) for label, value in (rule.get(f"{side}_match_re") or {}).items())
