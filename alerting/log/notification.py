"""What Alertmanager posts to a webhook, read strictly."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ml_monitoring.exporter.errors import MonitorError

# Of alerts with some thirty labels in groups of two thousand, a few times over.
_MAX_OBJECTS = 100_000
_MAX_VALUES = 500_000
# More than any Alertmanager holds.
_MAX_LEFT_OUT = 1_000_000_000
# A time that is none, as seconds of the Unix epoch; and the last that has a name in every zone.
UNKNOWN = 0.0
_LAST = datetime(9999, 12, 30, tzinfo=UTC).timestamp()


class NotificationError(MonitorError):
    """Report a body that is not a notification; sending it again would not help."""


@dataclass(frozen=True, slots=True)
class NotifiedAlert:
    """One alert of a notification.

    Attributes:
        fingerprint: Alertmanager's name for the set of labels.
        status: `firing` or `resolved`.
        labels: Its labels.
        annotations: Its texts.
        starts: When it began, in seconds of the Unix epoch; `UNKNOWN` where that is no time.
        ends: When it ended; None while it fires.
    """

    fingerprint: str
    status: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts: float
    ends: float | None


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification.

    Attributes:
        received: When it came, in seconds of the Unix epoch.
        receiver: Who was notified.
        status: `firing` while one of its alerts fires, else `resolved`.
        group: Alertmanager's name for the group of alerts.
        alerts: The alerts.
        left_out: How many more alerts the group has, which Alertmanager did not send.
    """

    received: float
    receiver: str
    status: str
    group: str
    alerts: tuple[NotifiedAlert, ...]
    left_out: int

    @property
    def digest(self) -> str:
        """Return a short name of what is said; equal for the same notification sent twice."""
        said = sorted((alert.fingerprint, alert.starts, alert.status, alert.ends or 0) for alert in self.alerts)
        return hashlib.sha256(json.dumps([self.receiver, self.group, said]).encode()).hexdigest()[:32]


def parse(content: bytes, received: float) -> Notification:
    """Read a posted body.

    Raises:
        NotificationError: It is not what Alertmanager sends.
    """
    # Two bytes of JSON can become a hundred in memory.
    if content.count(b"{") + content.count(b"[") > _MAX_OBJECTS or content.count(b",") > _MAX_VALUES:
        raise NotificationError("too many values: notify in smaller groups, or set max_alerts")
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise NotificationError(f"not JSON: {error}") from None
    try:
        return Notification(
            received=received,
            receiver=_text(body["receiver"]),
            status=_status(body["status"]),
            group=_text(body.get("groupKey", "")),
            alerts=tuple(_alert(alert, received) for alert in body["alerts"]),
            left_out=_count(body.get("truncatedAlerts")),
        )
    except KeyError as error:
        raise NotificationError(f"not a notification of Alertmanager: it lacks {error.args[0]}") from None
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise NotificationError(f"not a notification of Alertmanager: {type(error).__name__}: {error}") from None


def _alert(value: Any, received: float) -> NotifiedAlert:
    status = _status(value["status"])
    # It is over, whenever that was.
    ends = (_time(value["endsAt"]) or received) if status == "resolved" else None
    return NotifiedAlert(
        fingerprint=_text(value["fingerprint"]),
        status=status,
        labels={_text(name): _text(text) for name, text in value["labels"].items()},
        annotations={_text(name): _text(text) for name, text in value.get("annotations", {}).items()},
        starts=_time(value["startsAt"]),
        ends=ends,
    )


def _status(value: Any) -> str:
    if value not in ("firing", "resolved"):
        raise ValueError(f"status {value!r}")
    return str(value)


def _count(value: Any) -> int:
    # An alert is worth keeping whatever is said of the others.
    return min(max(int(value), 0), _MAX_LEFT_OUT) if isinstance(value, int) else 0


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    # A lone surrogate is JSON but cannot be written as UTF-8.
    return value.encode("utf-8", "replace").decode()


def _time(value: Any) -> float:
    try:
        moment = datetime.fromisoformat(_text(value))
    except ValueError:
        # The rest of the alert is worth keeping.
        return UNKNOWN
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    # The year 1 is Go's word for no time; of the last ones, no other zone's calendar knows all hours.
    return min(max(seconds, UNKNOWN), _LAST)
