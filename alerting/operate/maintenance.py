"""Work with a running Alertmanager: maintenance, and an alert that tests the channels."""

from __future__ import annotations

import getpass
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ml_monitoring.alerting.operate.remote import RemoteError, fetch, fetch_json

# How silences of `maintenance` are found again.
MAINTENANCE: Final = "maintenance: "
TEST_ALERT: Final = "TestAlert"
_TIMEOUT = 10.0
_POLL = 0.5
_SETTLE = 2.0


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence in force.

    Attributes:
        id: Alertmanager's name for it.
        ends: When it ends by itself.
        comment: Why.
    """

    id: str
    ends: datetime
    comment: str


class AlertmanagerClient:
    """The part of Alertmanager's API that is needed here.

    Args:
        url: Address without a slash at the end.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def begin_maintenance(self, seconds: float, reason: str, matchers: Sequence[tuple[str, str]] = ()) -> Silence:
        """Silence everything but the Watchdog, or what the matchers say, for a while.

        Raises:
            RemoteError: Alertmanager cannot be reached, or refuses.
        """
        now = datetime.now(UTC)
        ends = now + timedelta(seconds=seconds)
        chosen = [{"name": name, "value": value, "isRegex": False, "isEqual": True} for name, value in matchers]
        # Whoever expects the Watchdog would raise an alarm.
        chosen.append({"name": "alertname", "value": "MlMonitoringWatchdog", "isRegex": False, "isEqual": False})
        if not matchers:
            # Alertmanager wants at least one matcher that does not match the empty text.
            chosen.append({"name": "alertname", "value": ".+", "isRegex": True, "isEqual": True})
        body = {
            "matchers": chosen,
            "startsAt": now.isoformat(),
            "endsAt": ends.isoformat(),
            "createdBy": getpass.getuser(),
            "comment": f"{MAINTENANCE}{reason}",
        }
        answer = self._call("POST", "silences", body)
        return Silence(answer["silenceID"], ends, reason)

    def maintenance(self) -> list[Silence]:
        """Return the silences of maintenance that are in force.

        Raises:
            RemoteError: Alertmanager cannot be reached.
        """
        return [
            Silence(one["id"], datetime.fromisoformat(one["endsAt"]), str(one["comment"]).removeprefix(MAINTENANCE))
            for one in self._call("GET", "silences")
            if one["status"]["state"] == "active" and str(one["comment"]).startswith(MAINTENANCE)
        ]

    def end(self, silence: Silence) -> None:
        """End a silence now.

        Raises:
            RemoteError: Alertmanager cannot be reached, or refuses.
        """
        self._call("DELETE", f"silence/{silence.id}")

    def post_alert(self, labels: Mapping[str, str], annotations: Mapping[str, str], seconds: float) -> None:
        """Let an alert fire that ends by itself.

        Raises:
            RemoteError: Alertmanager cannot be reached, or refuses.
        """
        now = datetime.now(UTC)
        ends = now + timedelta(seconds=seconds)
        alert = {"labels": dict(labels), "annotations": dict(annotations)}
        self._call("POST", "alerts", [alert | {"startsAt": now.isoformat(), "endsAt": ends.isoformat()}])

    def receivers_of(self, labels: Mapping[str, str], *, timeout: float) -> list[str]:
        """Return the receivers that Alertmanager itself routes an alert to; waits until it has looked at it.

        Raises:
            RemoteError: Alertmanager cannot be reached, or does not know the alert in time.
        """
        deadline = time.monotonic() + timeout
        while True:
            for alert in self._call("GET", "alerts"):
                if alert["labels"] == dict(labels):
                    return [receiver["name"] for receiver in alert["receivers"]]
            if time.monotonic() > deadline:
                raise RemoteError("Alertmanager took the alert and does not list it")
            time.sleep(_POLL)

    def deliveries(self) -> dict[tuple[str, bool], float]:
        """Return how many notifications were sent through each kind of channel, and how many failed (True).

        Raises:
            RemoteError: Alertmanager cannot be reached.
        """
        found: dict[tuple[str, bool], float] = {}
        for line in fetch(self._url, "metrics", timeout=_TIMEOUT).decode().splitlines():
            name, _, rest = line.partition("{")
            if name in ("alertmanager_notifications_total", "alertmanager_notifications_failed_total"):
                kind = rest.split('integration="', 1)[1].split('"', 1)[0]
                key = (kind, "failed" in name)
                found[key] = found.get(key, 0.0) + float(rest.rsplit(" ", 1)[1])
        return found

    def _call(self, method: str, path: str, body: object = None) -> Any:
        return fetch_json(self._url, f"api/v2/{path}", timeout=_TIMEOUT, method=method, json_body=body)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a test alert.

    Attributes:
        receivers: Whom Alertmanager routed it to.
        sent: Notifications by kind of channel while the test ran; others that were sent meanwhile count too.
        failed: Those of them that failed.
    """

    receivers: tuple[str, ...]
    sent: Mapping[str, float]
    failed: Mapping[str, float]


def test_fire(client: AlertmanagerClient, *, team: str, severity: str, wait: float) -> Outcome:
    """Let a test alert fire, and wait until it was sent, or the time is over.

    Args:
        client: The Alertmanager.
        team: Who is to be told.
        severity: How loud.
        wait: Seconds to wait for the first delivery.

    Raises:
        RemoteError: Alertmanager cannot be reached, or refuses.
    """
    labels = {"alertname": TEST_ALERT, "team": team, "severity": severity, "test": f"{time.time():.0f}"}
    annotations = {
        "summary": "This is a test; nothing is wrong.",
        "description": f"{getpass.getuser()} tests who is told of alerts of team {team} with severity {severity}.",
    }
    before = client.deliveries()
    client.post_alert(labels, annotations, wait + _TIMEOUT)
    receivers = client.receivers_of(labels, timeout=_TIMEOUT)
    deadline = time.monotonic() + wait

    def grown(failed: bool) -> dict[str, float]:
        return {
            kind: count - before.get((kind, is_failed), 0.0)
            for (kind, is_failed), count in after.items()
            if is_failed is failed and count > before.get((kind, is_failed), 0.0)
        }

    while True:
        after = client.deliveries()
        if grown(failed=False) or time.monotonic() > deadline:
            break
        time.sleep(_POLL)
    if not grown(failed=True):
        # A notification counts when it is begun, and as failed when the answer is there.
        time.sleep(_SETTLE)
        after = client.deliveries()
    # Ended, so that nobody wonders about it; channels are told of the end as well.
    client.post_alert(labels, annotations, 0)
    return Outcome(tuple(receivers), grown(failed=False), grown(failed=True))
