"""A test alert, sent through Alertmanager to try its channels."""

from __future__ import annotations

import getpass
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ml_monitoring.alerting.operate.alertmanager_client import POLL, TIMEOUT, AlertmanagerClient

TEST_ALERT: Final = "TestAlert"
# Seconds that a failed delivery takes to be counted.
_SETTLE = 2.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a test alert.

    Attributes:
        receivers: Who Alertmanager routed it to.
        sent: Notifications by kind of channel while the test ran; others that were sent meanwhile count too.
        failed: Those of them that failed.
    """

    receivers: tuple[str, ...]
    sent: Mapping[str, float]
    failed: Mapping[str, float]


def test_fire(
    client: AlertmanagerClient, *, team: str, severity: str, wait: float, labels: Mapping[str, str]
) -> Outcome:
    """Let a test alert fire, and wait until it was sent, or the time is over.

    Args:
        client: The Alertmanager.
        team: Who is to be notified.
        severity: How loud.
        wait: Seconds to wait for the first delivery.
        labels: Those that every alert has, see `Thresholds.alert_labels`.

    Raises:
        RemoteError: Alertmanager cannot be reached, or refuses.
    """
    labels = {**labels, "alertname": TEST_ALERT, "team": team, "severity": severity, "test": f"{time.time():.0f}"}
    annotations = {
        "summary": "This is a test; nothing is wrong.",
        "description": f"{getpass.getuser()} tests who is notified of alerts of team {team} with severity {severity}.",
    }
    before = client.deliveries()
    client.post_alert(labels, annotations, wait + TIMEOUT)
    receivers = client.receivers_of(labels, timeout=TIMEOUT)
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
        time.sleep(POLL)
    if not grown(failed=True):
        # A notification counts when it is begun, and as failed when the answer is there.
        time.sleep(_SETTLE)
        after = client.deliveries()
    # Ended, so that nobody wonders about it; channels get its end as well.
    client.post_alert(labels, annotations, 0)
    return Outcome(tuple(receivers), grown(failed=False), grown(failed=True))
