"""Which channels each alert reaches, and reaches no more, by the routes of two configurations of Alertmanager."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from ml_monitoring.alerting.operate.routing import stops
from ml_monitoring.exporter.differences import Change

Json = dict[str, Any]
# Channels by the receiver that has them.
_Reach = dict[str, frozenset[str]]

# Alerts that a line names.
_MOST_NAMED: Final = 10


def moved(
    old: Json, new: Json, alerts: Mapping[str, tuple[Json, Json]], silent: Collection[str]
) -> tuple[list[Change], list[Change]]:
    """Return which alerts reach no channel any more, and which reach another one, those with the same in one line.

    Args:
        old: Alertmanager's configuration before.
        new: After.
        alerts: The rule before and after, by the name of the alert.
        silent: Receivers that were left without a channel, of which it is said already.
    """
    lost: dict[str, list[str]] = {}
    gained: dict[str, list[str]] = {}
    own = [_own_channels(config) for config in (old, new)]
    for name, rules in alerts.items():
        before, after = (
            _reach(config, of_it, rule) for config, of_it, rule in zip((old, new), own, rules, strict=True)
        )
        if before is None or after is None or before == after:
            continue
        channels = frozenset[str]().union(*before.values())
        further = {
            receiver: found - channels
            for receiver, found in after.items()
            if receiver not in before or not before[receiver]
        }
        if channels and not any(after.values()):
            if not {*after} <= {*silent}:
                lost.setdefault(f"reaches no channel any more: {_named(before)} → {_named(after)}", []).append(name)
        elif any(further.values()):
            gone = {receiver: found for receiver, found in before.items() if receiver not in after and found}
            place = f" in place of {_named(gone)}" if gone else ""
            come = {receiver: after[receiver] for receiver, found in further.items() if found}
            gained.setdefault(f"reaches {_named(come)}{place}", []).append(name)
    return [*_changes(lost)], [*_changes(gained)]


def _reach(config: Json, own: _Reach, rule: Json) -> _Reach | None:
    """Return the channels that an alert reaches; None where its routes cannot be followed."""
    labels = {str(name): str(value) for name, value in (rule.get("labels") or {}).items()}
    try:
        found = stops(config, labels | {"alertname": str(rule["alert"])})
    except (ValueError, TypeError, AttributeError, KeyError, re.error):
        # `amtool` names what Alertmanager would not read.
        return None
    return {stop.receiver: own.get(stop.receiver, frozenset()) for stop in found}


def _own_channels(config: Json) -> _Reach:
    """Return the channels of each receiver but for those that all have, such as a log of all alerts."""
    listed = config.get("receivers")
    found = {
        str(one.get("name")): frozenset(
            json.dumps([kind.removesuffix("_configs"), channel], sort_keys=True, default=str)
            for kind, channels in one.items()
            if str(kind).endswith("_configs") and isinstance(channels, list)
            for channel in channels
        )
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict)
    }
    shared = frozenset.intersection(*found.values()) if len(found) > 1 else frozenset()
    return {name: channels - shared for name, channels in found.items()}


def _named(reach: _Reach) -> str:
    """Return receivers with the kinds of their channels, which hold no address."""
    kinds = {name: sorted({str(json.loads(one)[0]) for one in channels}) for name, channels in reach.items()}
    return ", ".join(f"{name} ({', '.join(of_it) or 'without a channel of its own'})" for name, of_it in kinds.items())


def _changes(found: Mapping[str, list[str]]) -> Iterator[Change]:
    for what, names in found.items():
        more = len(names) - _MOST_NAMED
        yield Change(", ".join([*names[:_MOST_NAMED], *([f"{more} more"] if more > 0 else [])]), what)
