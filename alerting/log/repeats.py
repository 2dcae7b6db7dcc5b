"""How long Alertmanager may say nothing of an alert that fires."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ml_monitoring.alerting.model.notifications import NO_SEVERITY, SEVERITIES, AlertSeverity, Notifications
from ml_monitoring.exporter import durations

# For a notification that had to be sent twice, in seconds.
_MARGIN: Final = 60.0


@dataclass(frozen=True, slots=True)
class Repeats:
    """Seconds after which an alert that fires was notified again, by severity.

    Attributes:
        seconds: Of each severity.
        otherwise: Of every other: the first route of Alertmanager is for them.
    """

    seconds: Mapping[str, float]
    otherwise: float

    @classmethod
    def of(cls, notifications: Notifications) -> Repeats:
        """Return those of settings: what is due is sent with the next notification of its group, or without one."""
        severities: tuple[AlertSeverity, ...] = (*SEVERITIES, NO_SEVERITY)
        times = {name: notifications.timing(name) for name in severities}
        seconds: dict[str, float] = {
            name: durations.parse(each.repeat_interval) + durations.parse(each.group_interval) + _MARGIN
            for name, each in times.items()
        }
        return cls(seconds, seconds["warning"])

    def is_overdue(self, alert: Mapping[str, Any], now: float) -> bool:
        """Tell whether an alert without an end was not notified again in time, so that it may have ended in a silence.

        Args:
            alert: As `AlertLog.history` gives it.
            now: Seconds of the Unix epoch.
        """
        longest = self.seconds.get(alert["labels"].get("severity", ""), self.otherwise)
        return bool(alert["fires"]) and now - float(alert["last_notified"]) > longest
