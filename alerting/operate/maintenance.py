"""Maintenance: a silence of all alerts of the stack's teams but the Watchdog, and its end.

Others may share the Alertmanager: their alerts are silenced where that is asked for only, and their silences stay.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from ml_monitoring.alerting.operate.alertmanager_client import AlertmanagerClient, Silence

# How silences of maintenance are found again: by this, and as they leave the Watchdog out.
_PREFIX: Final = "maintenance: "
# What expects the Watchdog would raise an alarm.
_NOT_THE_WATCHDOG: Final = {"name": "alertname", "value": "MlMonitoringWatchdog", "isRegex": False, "isEqual": False}
# By whether they are equal, and regular expressions.
_SIGNS: Final = {(True, False): "=", (False, False): "!=", (True, True): "=~", (False, True): "!~"}
# Alertmanager wants at least one matcher that does not match the empty text.
_ANY: Final = {"name": "alertname", "value": ".+", "isRegex": True, "isEqual": True}


def counted(names: Sequence[str]) -> list[str]:
    """Return the names of alerts, those of several with how many they are first."""
    counts = Counter(sorted(names)).most_common()
    return [f"{name} x{count}" if count > 1 else name for name, count in counts]


def begin(
    client: AlertmanagerClient,
    seconds: float,
    reason: str,
    labels: Sequence[tuple[str, str]] = (),
    teams: Sequence[str] = (),
    *,
    starts: datetime | None = None,
) -> Silence:
    """Silence alerts but the Watchdog for a while.

    Args:
        client: The Alertmanager.
        seconds: For how long.
        reason: Why.
        labels: Only alerts that have all of these; of a name that is given more than once, one of its values.
        teams: Only alerts of these teams; without any, those of everybody who uses this Alertmanager.
        starts: When it begins, with a time zone; at once without.

    Raises:
        RemoteError: Alertmanager cannot be reached, or refuses.
    """
    matchers: list[Mapping[str, object]] = [_NOT_THE_WATCHDOG]
    matchers += [_matcher(name, values) for name, values in by_name(labels).items()]
    if teams:
        matchers.append({"name": "team", "value": "|".join(teams), "isRegex": True, "isEqual": True})
    if not labels and not teams:
        matchers.append(_ANY)
    return client.silence(matchers, seconds, f"{_PREFIX}{reason}", starts)


def by_name(labels: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the values of each label."""
    values: dict[str, list[str]] = {}
    for name, value in labels:
        values.setdefault(name, []).append(value)
    return {name: list(dict.fromkeys(each)) for name, each in values.items()}


def _matcher(name: str, values: Sequence[str]) -> Mapping[str, object]:
    is_one = len(values) == 1
    value = values[0] if is_one else "|".join(map(re.escape, values))
    return {"name": name, "value": value, "isRegex": not is_one, "isEqual": True}


def is_maintenance(silence: Silence) -> bool:
    """Tell whether a silence is one of `maintenance`."""
    return silence.comment.startswith(_PREFIX) and _NOT_THE_WATCHDOG in silence.matchers


def not_ended(client: AlertmanagerClient) -> list[Silence]:
    """Return the silences of maintenance that are in force or planned.

    Raises:
        RemoteError: Alertmanager cannot be reached.
    """
    return [silence for silence in client.silences() if is_maintenance(silence)]


def alike(client: AlertmanagerClient, silence: Silence) -> list[Silence]:
    """Return the silences of maintenance that match the same alerts as this one at the same time; it is among them.

    Raises:
        RemoteError: Alertmanager cannot be reached.
    """
    return [
        one
        for one in not_ended(client)
        if _matched(one) == _matched(silence) and one.starts <= silence.ends and silence.starts <= one.ends
    ]


def _matched(silence: Silence) -> set[frozenset[tuple[str, object]]]:
    return {frozenset(matcher.items()) for matcher in silence.matchers}


def has_labels(silence: Silence, labels: Sequence[tuple[str, str]]) -> bool:
    """Tell whether a maintenance was begun with all of these labels."""
    _teams, own = _parted(silence)
    values = {str(matcher["name"]): _values(matcher) for matcher in own}
    return all(value in values.get(name, ()) for name, value in labels)


def whose(silence: Silence) -> str:
    """Return in words which alerts a maintenance silences."""
    teams, own = _parted(silence)
    labels = own_labels(silence)
    if any(matcher["name"] == "team" for matcher in own):
        # Which are those of one team.
        return f"alerts with {labels}"
    return f"alerts of {', '.join(teams) or 'everybody who uses this Alertmanager'}{' with ' * bool(labels)}{labels}"


def own_labels(silence: Silence) -> str:
    """Return the labels with which a maintenance was begun; empty where it has none."""
    return ", ".join(f"{matcher['name']}={' or '.join(_values(matcher))}" for matcher in _parted(silence)[1])


def matcher_text(matcher: Mapping[str, object]) -> str:
    """Return a matcher as Alertmanager writes it."""
    sign = _SIGNS[matcher.get("isEqual", True) is True, matcher["isRegex"] is True]
    return f'{matcher["name"]}{sign}"{matcher["value"]}"'


def _parted(silence: Silence) -> tuple[list[str], list[Mapping[str, object]]]:
    """Return the teams whose alerts a maintenance silences, none where those of everybody, and its own labels."""
    own = [matcher for matcher in silence.matchers if matcher not in (_NOT_THE_WATCHDOG, _ANY)]
    of_teams = [matcher for matcher in own if matcher["name"] == "team" and matcher["isRegex"]]
    # Those of one label are among all of them.
    whole = max(of_teams, key=lambda matcher: len(_values(matcher)), default=None)
    return _values(whole) if whole else [], [matcher for matcher in own if matcher is not whole]


def _values(matcher: Mapping[str, object]) -> list[str]:
    value = str(matcher["value"])
    return [re.sub(r"\\(.)", r"\1", one) for one in value.split("|")] if matcher["isRegex"] else [value]


def reason(silence: Silence) -> str:
    """Return why a maintenance was begun."""
    return silence.comment.removeprefix(_PREFIX)
