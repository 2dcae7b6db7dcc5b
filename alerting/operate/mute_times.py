"""What changed of the times in which Alertmanager sends nothing, and for which alerts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ml_monitoring.alerting.operate.alertmanager_changes import LATER, OTHERWISE, SOONER
from ml_monitoring.alerting.operate.reach import labels_of, name_alerts
from ml_monitoring.alerting.operate.routing import TIME_SECTIONS, TIMES, mappings, routes, stops
from ml_monitoring.exporter.differences import Change

Json = dict[str, Any]

_TURNED: Final = {SOONER: LATER, LATER: SOONER, OTHERWISE: OTHERWISE}
# Numbers alone do not say of what they are.
_WORDS: Final = {"days_of_month": "days of the month ", "months": "months ", "years": "years "}
_DAY: Final = 24 * 60


def changes(
    old: Json | None, new: Json | None, alerts: Mapping[str, Json], *, everything: bool = False
) -> dict[str, list[Change]]:
    """Return the changes of mute times by whether alerts come sooner or later, under what that is called.

    Args:
        old: Alertmanager's configuration before; None where there is none.
        new: The same after.
        alerts: The alerts as they are afterwards.
        everything: Whether to name each of many.
    """
    found: dict[str, list[Change]] = {SOONER: [], LATER: [], OTHERWISE: []}
    if old is None or new is None:
        return found
    before, after = (_by_name(config) for config in (old, new))
    muting, sending = ({*_used(old, key), *_used(new, key)} for key in TIMES)
    for name in {**before, **after}:
        one, other = before.get(name), after.get(name)
        if one != other:
            muted = _named(name, new, alerts, everything=everything)
            word = "added" if one is None else "removed" if other is None else "changed"
            change = Change(f"time {name}", f"{word}{f' for {muted}' * bool(muted)}", _shown(one), _shown(other))
            way = _direction(one, other) if one and other and (name in muting) != (name in sending) else OTHERWISE
            # Times in which something is sent make it the other way round.
            found[_TURNED[way] if name in sending else way].append(change)
    return found


def _by_name(config: Json) -> dict[str, Any]:
    listed = [one for section in TIME_SECTIONS for one in mappings(config.get(section))]
    return {str(one.get("name")): one.get("time_intervals") for one in listed}


def _used(config: Json, key: str) -> Iterator[str]:
    """Yield the names of the times that routes use."""
    for route in routes(config):
        names = route.get(key)
        yield from map(str, names if isinstance(names, list) else ())


def _named(name: str, config: Json, alerts: Mapping[str, Json], *, everything: bool) -> str:
    """Return which alerts are not sent in a time, or in no other."""
    try:
        names = [
            alert
            for alert, rule in alerts.items()
            if any(name in (*stop.muted_at, *stop.active_at) for stop in stops(config, labels_of(rule)))
        ]
    except (ValueError, TypeError, AttributeError, KeyError, re.error):
        # `amtool` names what Alertmanager would not read.
        return ""
    return name_alerts(names, alerts, everything=everything)


def _direction(old: Any, new: Any) -> str:
    """Return whether less is sent than before; where both more and less is, neither."""
    before, after = _minutes(old), _minutes(new)
    if all(before[rest] <= after.get(rest, set()) for rest in before):
        return LATER
    return SOONER if all(after[rest] <= before.get(rest, set()) for rest in after) else OTHERWISE


def _minutes(intervals: Any) -> dict[str, set[int]]:
    """Return the minutes of a day, by what else is said of the days."""
    found: dict[str, set[int]] = {}
    for interval in mappings(intervals):
        rest = json.dumps({key: interval[key] for key in interval if key != "times"}, sort_keys=True, default=str)
        minutes = found.setdefault(rest, set())
        spans = [
            range(*(_minute(span.get(key)) for key in ("start_time", "end_time")))
            for span in mappings(interval.get("times"))
        ]
        minutes.update(*(spans or [range(_DAY)]))
    return found


def _minute(text: Any) -> int:
    parts = re.fullmatch(r"(\d\d?):(\d\d)", str(text))
    return int(parts[1]) * 60 + int(parts[2]) if parts else 0


def _shown(intervals: Any) -> str:
    return " or ".join(_interval(one) for one in mappings(intervals)) if intervals else ""


def _interval(interval: Json) -> str:
    """Return an interval in one line, such as `20:00-24:00, saturday sunday, Europe/Berlin`."""
    times = [f"{span.get('start_time')}-{span.get('end_time')}" for span in mappings(interval.get("times"))]
    rest = [
        f"{_WORDS.get(str(key), '')}{' '.join(map(str, value)) if isinstance(value, list) else value}"
        for key, value in interval.items()
        if key != "times"
    ]
    return ", ".join([*([" ".join(times)] if times else []), *rest])
