"""Whether two versions of rules and of Alertmanager's configuration differ at all, whatever that means to anybody."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ml_monitoring.alerting.model.promql import normalised
from ml_monitoring.alerting.operate.routing import matchers
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.differences import Change

Json = dict[str, Any]

_WAITS: Final = ("for", "keep_firing_for")
_DURATIONS: Final = frozenset({"group_wait", "group_interval", "repeat_interval", "interval", *_WAITS})
_MATCHING: Final = ("match", "source_match", "target_match")
# Lists of which the order says nothing.
_UNORDERED: Final = frozenset({"receivers", "inhibit_rules", "equal", "time_intervals", "mute_time_intervals"})
# Sections without secrets.
_SHOWN: Final = frozenset({"route", "inhibit_rules", "time_intervals", "mute_time_intervals"})


def differences(
    old: tuple[Sequence[Json], Json | None, Mapping[str, str]],
    new: tuple[Sequence[Json], Json | None, Mapping[str, str]],
) -> list[Change]:
    """Return what differs between two versions, part by part; empty where they are the same in another form.

    Args:
        old: Groups of rules, Alertmanager's configuration, and the text of other files by name.
        new: The same afterwards.
    """
    before, after = (_parts(*version) for version in (old, new))
    found = []
    for where in {**before, **after}:
        one, other = (sorted(parts.get(where, [])) for parts in (before, after))
        if one != other:
            word = "added" if not one else "removed" if not other else "changed"
            is_shown = where.startswith("group ") or where.partition(": ")[2] in _SHOWN
            values = [_without(*both) for both in ((one, other), (other, one))]
            found.append(Change(where, word, *(values if is_shown else ())))
    return found


def duration(text: Any) -> Any:
    """Return the seconds of a duration; what is none as it is."""
    try:
        return durations.parse(str(text))
    except ValueError:
        return text


def _parts(groups: Sequence[Json], alertmanager: Json | None, others: Mapping[str, str]) -> dict[str, list[str]]:
    """Return each part of a version in one form, by where it is."""
    found: dict[str, list[str]] = {}
    for group in groups:
        where = f"group {group.get('name')}"
        found.setdefault(where, []).append(_text({key: group[key] for key in group if key != "rules"}))
        for rule in group["rules"]:
            name = rule.get("alert") or rule.get("record")
            found.setdefault(f"{where}, {name}", []).append(_text(_rule(rule)))
    if alertmanager is not None:
        found["alertmanager.yml"] = [""]
        found |= {f"alertmanager.yml: {key}": [_text(value, str(key))] for key, value in alertmanager.items()}
    return found | {name: [text] for name, text in others.items()}


def _without(texts: Sequence[str], others: Sequence[str]) -> str:
    return " ".join(text for text in texts if text not in others)


def _rule(rule: Json) -> Json:
    """Return a rule without what is said by leaving it out, too."""
    said = {key: value for key, value in rule.items() if value or key not in ("labels", "annotations")}
    return {key: value for key, value in said.items() if key not in _WAITS or duration(value or "0s") != 0} | {
        "expr": normalised(str(rule.get("expr", "")))
    }


def _text(value: Any, key: str = "") -> str:
    return json.dumps(_alike(value, key), sort_keys=True, default=str, ensure_ascii=False)


def _alike(value: Any, key: str = "") -> Any:
    """Return a value in the form that all have who mean the same."""
    if isinstance(value, dict):
        found = {str(name): _alike(one, str(name)) for name, one in value.items()}
        for prefix in _MATCHING:
            if texts := sorted(matchers(value, prefix)):
                found = {name: one for name, one in found.items() if name not in (prefix, f"{prefix}_re")}
                found["matchers" if prefix == "match" else f"{prefix}ers"] = texts
        return found
    if isinstance(value, list):
        listed = [_alike(one) for one in value]
        is_named = all(isinstance(one, dict | str) for one in listed)
        return sorted(listed, key=_text) if key in _UNORDERED and is_named else listed
    return duration(value) if key in _DURATIONS else value
