"""A test alert, sent through Alertmanager to try its channels."""

from __future__ import annotations

import getpass
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ml_monitoring.alerting.generate.alertmanager import TEST_FIRE
from ml_monitoring.alerting.operate.alertmanager_client import POLL, TIMEOUT, AlertmanagerClient, Delivery

TEST_ALERT: Final = "TestAlert"
# Seconds that a failed delivery takes to be counted.
_SETTLE = 2.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a test alert.

    Attributes:
        receivers: Who Alertmanager routed it to.
        mark: The label that only this test alert has.
        kinds: Kinds of channel through which it was due, and how many channels of each.
        sent: Notifications that arrived since it was due, by kind of channel.
        failed: Those that Alertmanager gave up.
        tried: Attempts that failed, after which Alertmanager tries again.
        others: By kind of channel other alerts that are sent through it, so that a notification may be of them.
        channels: How many channels of each kind all its receivers have in the loaded configuration.
        silences: Ids of the silences that it is in.
        late: Receivers that are notified only after the time that there was, and after how many seconds.
    """

    receivers: tuple[str, ...]
    mark: str
    kinds: Mapping[str, int]
    sent: Mapping[str, float]
    failed: Mapping[str, float]
    tried: Mapping[str, float]
    others: Mapping[str, frozenset[str]]
    late: Mapping[str, float]
    channels: Mapping[str, int]
    silences: tuple[str, ...] = ()

    @property
    def is_delivered(self) -> bool:
        """Tell whether as much was sent as it was due through channels of each kind, and nothing failed."""
        return bool(self.kinds) and not self.silences and not self.missed and not self.doubtful

    @property
    def doubtful(self) -> set[str]:
        """Return the kinds of channel through which others are sent too, and some attempt failed."""
        return {kind for kind, count in self.tried.items() if count > 0 and kind in self.others}

    @property
    def missed(self) -> set[str]:
        """Return the kinds of channel through which less was sent than was due, or something failed."""
        return {
            kind for kind, due in self.kinds.items() if self.sent.get(kind, 0) < due or self.failed.get(kind, 0) > 0
        }

    @property
    def answered(self) -> set[str]:
        """Return the kinds of channel through which something was sent or given up."""
        return {*self.sent, *self.failed}

    @property
    def is_certain(self) -> bool:
        """Tell whether what was sent can be of no other alert."""
        return not self.others.keys() & self.sent.keys()


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
    mark = f"{time.time() * 1000:.0f}"
    labels = {**labels, "alertname": TEST_ALERT, "team": team, "severity": severity, TEST_FIRE: mark}
    annotations = {
        "summary": "This is a test; nothing is wrong.",
        "description": f"{getpass.getuser()} tests who is notified of alerts of team {team} with severity {severity} "
        f"({TEST_FIRE}={mark}).",
    }
    known = client.receivers()
    before = after = client.deliveries()
    begun = time.monotonic()
    client.post_alert(labels, annotations, wait + TIMEOUT)
    receivers = client.receivers_of(labels, timeout=TIMEOUT)
    late = {name: known[name].group_wait for name in receivers if known[name].group_wait > wait}
    due = [known[name] for name in receivers if name not in late]
    kinds: Counter[str] = sum((Counter(one.kinds) for one in due), Counter())
    others: dict[str, set[str]] = {}

    def look() -> None:
        nonlocal before, after
        after = client.deliveries()
        # Until then no notification is of this alert.
        if time.monotonic() - begun < min((one.group_wait for one in due), default=0.0):
            before = after
        for name, receiver in client.sent_to(but=labels):
            for kind in known[receiver].kinds.keys() & kinds.keys() if receiver in known else ():
                others.setdefault(kind, set()).add(name)

    def grown(delivery: Delivery) -> dict[str, float]:
        counts = {kind: after.get((kind, delivery), 0.0) - before.get((kind, delivery), 0.0) for kind in kinds}
        return {kind: count for kind, count in counts.items() if count > 0}

    look()

    def is_open() -> bool:
        sent, failed = grown(Delivery.SENT), grown(Delivery.FAILED)
        return any(sent.get(kind, 0) + failed.get(kind, 0) < count for kind, count in kinds.items())

    while is_open() and time.monotonic() - begun < wait:
        time.sleep(POLL)
        look()
    if not grown(Delivery.FAILED):
        # Another receiver of the same kind may still wait for its answer.
        time.sleep(_SETTLE)
        look()
    silences = client.silences_of(labels)
    # Ended, so that nobody wonders about it; channels get its end as well.
    client.post_alert(labels, annotations, 0)
    found = {kind: frozenset(names) for kind, names in others.items()}
    return Outcome(
        receivers=tuple(receivers),
        mark=mark,
        kinds=kinds,
        sent=grown(Delivery.SENT),
        failed=grown(Delivery.FAILED),
        tried=grown(Delivery.TRIED),
        others=found,
        late=late,
        channels=sum((Counter(known[name].kinds) for name in receivers), Counter()),
        silences=tuple(silences),
    )
