"""Maintenance: a silence of all alerts of the stack's teams but the Watchdog, and its end.

Others may share the Alertmanager: their alerts are silenced where that is asked for only, and their silences stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from ml_monitoring.alerting.operate.alertmanager_client import AlertmanagerClient, Silence

# How silences of maintenance are found again: by this, and as they leave the Watchdog out.
_PREFIX: Final = "maintenance: "
# What expects the Watchdog would raise an alarm.
_NOT_THE_WATCHDOG: Final = {"name": "alertname", "value": "MlMonitoringWatchdog", "isRegex": False, "isEqual": False}
# Alertmanager wants at least one matcher that does not match the empty text.
_ANY: Final = {"name": "alertname", "value": ".+", "isRegex": True, "isEqual": True}


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
        labels: Only alerts that have all of these.
        teams: Only alerts of these teams; without any, those of everybody who uses this Alertmanager.
        starts: When it begins, with a time zone; at once without.

    Raises:
        RemoteError: Alertmanager cannot be reached, or refuses.
    """
    matchers: list[Mapping[str, object]] = [_NOT_THE_WATCHDOG]
    matchers += [_matcher(*label) for label in labels]
    if teams:
        matchers.append({"name": "team", "value": "|".join(teams), "isRegex": True, "isEqual": True})
    if not labels and not teams:
        matchers.append(_ANY)
    return client.silence(matchers, seconds, f"{_PREFIX}{reason}", starts)


def _matcher(name: str, value: str) -> Mapping[str, object]:
    return {"name": name, "value": value, "isRegex": False, "isEqual": True}


def not_ended(client: AlertmanagerClient) -> list[Silence]:
    """Return the silences of maintenance that are in force or planned.

    Raises:
        RemoteError: Alertmanager cannot be reached.
    """
    return [
        silence
        for silence in client.silences()
        if silence.comment.startswith(_PREFIX) and _NOT_THE_WATCHDOG in silence.matchers
    ]


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
    return all(_matcher(*label) in silence.matchers for label in labels)


def whose(silence: Silence) -> str:
    """Return in words which alerts a maintenance silences."""
    teams, labels = "everybody who uses this Alertmanager", []
    for matcher in silence.matchers:
        name, value = str(matcher["name"]), str(matcher["value"])
        if name == "team" and matcher["isRegex"]:
            teams = value.replace("|", ", ")
        elif matcher not in (_NOT_THE_WATCHDOG, _ANY):
            labels.append(f"{name}={value}")
    if any(label.startswith("team=") for label in labels):
        # Which are those of one team.
        return f"alerts with {', '.join(labels)}"
    return f"alerts of {teams}{' with ' * bool(labels)}{', '.join(labels)}"


def reason(silence: Silence) -> str:
    """Return why a maintenance was begun."""
    return silence.comment.removeprefix(_PREFIX)
