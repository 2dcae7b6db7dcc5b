"""What Alertmanager posts to a webhook, read strictly."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ml_monitoring.exporter.errors import MonitorError


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
        starts: When it began, in seconds of the Unix epoch.
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
        body: What was posted.
    """

    received: float
    receiver: str
    status: str
    group: str
    alerts: tuple[NotifiedAlert, ...]
    body: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Return a short name of what is said; equal for the same notification sent twice."""
        said = sorted((alert.fingerprint, alert.starts, alert.status, alert.ends or 0) for alert in self.alerts)
        return hashlib.sha256(json.dumps([self.receiver, self.group, said]).encode()).hexdigest()[:32]

    @property
    def line(self) -> str:
        """Return the notification as a line of JSON."""
        return json.dumps({"received": self.received, "notification": self.body}, ensure_ascii=False) + "\n"


def parse(content: bytes | str, received: float) -> Notification:
    """Read a posted body.

    Raises:
        NotificationError: It is not what Alertmanager sends.
    """
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
            alerts=tuple(map(_alert, body["alerts"])),
            body=body,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotificationError(f"not a notification of Alertmanager: {type(error).__name__}: {error}") from None


def parse_line(line: str) -> Notification:
    """Read a line that `Notification.line` wrote.

    Raises:
        NotificationError: It is no such line.
    """
    try:
        entry = json.loads(line)
        received, body = float(entry["received"]), entry["notification"]
    except (KeyError, TypeError, ValueError) as error:
        raise NotificationError(f"not a line of the journal: {error}") from None
    return parse(json.dumps(body), received)


def _alert(value: Any) -> NotifiedAlert:
    status = _status(value["status"])
    return NotifiedAlert(
        fingerprint=_text(value["fingerprint"]),
        status=status,
        labels={_text(name): _text(text) for name, text in value["labels"].items()},
        annotations={_text(name): _text(text) for name, text in value.get("annotations", {}).items()},
        starts=_time(value["startsAt"]),
        ends=_time(value["endsAt"]) if status == "resolved" else None,
    )


def _status(value: Any) -> str:
    if value not in ("firing", "resolved"):
        raise ValueError(f"status {value!r}")
    return str(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    # A lone surrogate is JSON but cannot be written as UTF-8.
    return value.encode("utf-8", "replace").decode()


def _time(value: Any) -> float:
    moment = datetime.fromisoformat(_text(value))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
