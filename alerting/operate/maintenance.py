"""Maintenance: a silence of everything but the Watchdog, and its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ml_monitoring.alerting.operate.alertmanager_client import AlertmanagerClient, Silence

# How silences of maintenance are found again.
_PREFIX: Final = "maintenance: "


def begin(client: AlertmanagerClient, seconds: float, reason: str, labels: Sequence[tuple[str, str]] = ()) -> Silence:
    """Silence all alerts but the Watchdog for a while, or only those with some labels.

    Raises:
        RemoteError: Alertmanager cannot be reached, or refuses.
    """
    matchers = [{"name": name, "value": value, "isRegex": False, "isEqual": True} for name, value in labels]
    # What expects the Watchdog would raise an alarm.
    matchers.append({"name": "alertname", "value": "MlMonitoringWatchdog", "isRegex": False, "isEqual": False})
    if not labels:
        # Alertmanager wants at least one matcher that does not match the empty text.
        matchers.append({"name": "alertname", "value": ".+", "isRegex": True, "isEqual": True})
    return client.silence(matchers, seconds, f"{_PREFIX}{reason}")


def in_force(client: AlertmanagerClient) -> list[Silence]:
    """Return the silences of maintenance that are in force.

    Raises:
        RemoteError: Alertmanager cannot be reached.
    """
    return [silence for silence in client.silences() if silence.comment.startswith(_PREFIX)]


def reason(silence: Silence) -> str:
    """Return why a maintenance was begun."""
    return silence.comment.removeprefix(_PREFIX)
