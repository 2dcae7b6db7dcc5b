"""The part of Alertmanager's API that the commands use."""

from __future__ import annotations

import getpass
import re
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final

import yaml
from prometheus_client.parser import text_string_to_metric_families

from ml_monitoring.exporter import durations
from ml_monitoring.exporter.http_client import RemoteError, fetch, fetch_json

# Seconds.
TIMEOUT: Final = 10.0
POLL: Final = 0.5
_PROGRAM: Final = "Alertmanager"
# Alertmanager's own, where no route says another.
_GROUP_WAIT: Final = 30.0
_ONE_TEAM: Final = re.compile(r'\s*team\s*=\s*"?([^"~,{}]+?)"?\s*')


class Delivery(Enum):
    """What becomes of a notification: it arrived, was given up, or an attempt failed and others may follow."""

    SENT = "sent"
    FAILED = "failed"
    TRIED = "tried"


# Of requests, as a notification counts when it is begun, also one that Alertmanager tries again and again.
_COUNTED: Final[Mapping[str, Mapping[Delivery, int]]] = {
    "alertmanager_notification_requests_total": {Delivery.SENT: 1},
    "alertmanager_notification_requests_failed_total": {Delivery.SENT: -1, Delivery.TRIED: 1},
    "alertmanager_notifications_failed_total": {Delivery.FAILED: 1},
}


@dataclass(frozen=True, slots=True)
class LoadedReceiver:
    """A receiver of Alertmanager's configuration.

    Attributes:
        kinds: Kinds of channels through which it is notified, as Alertmanager counts them, and how many of each.
        group_wait: The longest time, in seconds, that one of its routes collects alerts first.
    """

    kinds: Mapping[str, int]
    group_wait: float


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence in force, or one that will be.

    Attributes:
        id: Alertmanager's name for it.
        starts: When it begins.
        ends: When it ends by itself.
        comment: Why.
        author: Who made it, as Alertmanager was told.
        matchers: What it matches, in Alertmanager's words.
    """

    id: str
    starts: datetime
    ends: datetime
    comment: str
    author: str
    matchers: tuple[Mapping[str, object], ...]

    @property
    def is_pending(self) -> bool:
        """Tell whether it has yet to begin."""
        return self.starts > datetime.now(UTC)


class AlertmanagerClient:
    """A running Alertmanager.

    Args:
        url: Address without a slash at the end.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def silence(
        self,
        matchers: Sequence[Mapping[str, object]],
        seconds: float,
        comment: str,
        starts: datetime | None = None,
    ) -> Silence:
        """Begin a silence, or plan one.

        Args:
            matchers: What it matches, in Alertmanager's words.
            seconds: How long after its start it ends by itself.
            comment: Why.
            starts: When it begins, with a time zone; at once without.

        Raises:
            RemoteError: Alertmanager cannot be reached, or refuses.
        """
        begins = starts or datetime.now(UTC)
        ends = begins + timedelta(seconds=seconds)
        author = getpass.getuser()
        body = {
            "matchers": list(matchers),
            "startsAt": begins.isoformat(),
            "endsAt": ends.isoformat(),
            "createdBy": author,
            "comment": comment,
        }
        return Silence(
            self._call("POST", "silences", body)["silenceID"], begins, ends, comment, author, tuple(matchers)
        )

    def silences(self, states: Collection[str] = ("active", "pending")) -> list[Silence]:
        """Return the silences that are in force, and those that have yet to begin.

        Args:
            states: Others, by Alertmanager's words.

        Raises:
            RemoteError: Alertmanager cannot be reached.
        """
        return [
            Silence(
                one["id"],
                datetime.fromisoformat(one["startsAt"]),
                datetime.fromisoformat(one["endsAt"]),
                str(one["comment"]),
                str(one["createdBy"]),
                tuple(one["matchers"]),
            )
            for one in self._call("GET", "silences")
            if one["status"]["state"] in states
        ]

    def labels(self) -> list[dict[str, str]]:
        """Return the labels of each alert that fires now.

        Raises:
            RemoteError: Alertmanager cannot be reached.
        """
        return [dict(alert["labels"]) for alert in self._call("GET", "alerts")]

    def routed_teams(self) -> set[str]:
        """Return the teams that the configuration in force has routes for.

        Raises:
            RemoteError: Alertmanager cannot be reached.
        """
        return set(_teams(yaml.safe_load(self._call("GET", "status")["config"]["original"])["route"]))

    def silenced(self) -> defaultdict[str, list[str]]:
        """Return the names of the alerts that fire now and are silenced by each silence, by its ID.

        Raises:
            RemoteError: Alertmanager cannot be reached.
        """
        names = defaultdict[str, list[str]](list)
        for alert in self._call("GET", "alerts"):
            for silence in alert["status"]["silencedBy"]:
                names[silence].append(alert["labels"].get("alertname", "an alert"))
        return names

    def end(self, silence: Silence) -> None:
        """End a silence now; one that has yet to begin never does.

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
        """Return the receivers that Alertmanager itself routes an alert to; waits until it lists it.

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
            time.sleep(POLL)

    def silences_of(self, labels: Mapping[str, str]) -> list[str]:
        """Return the ids of the silences that an alert is in.

        Raises:
            RemoteError: Alertmanager cannot be reached.
        """
        alerts = [alert for alert in self._call("GET", "alerts") if alert["labels"] == dict(labels)]
        return [one for alert in alerts for one in alert["status"]["silencedBy"]]

    def receivers(self) -> dict[str, LoadedReceiver]:
        """Return all receivers by name, by the configuration that is in force.

        Raises:
            RemoteError: Alertmanager cannot be reached.
        """
        config = yaml.safe_load(self._call("GET", "status")["config"]["original"])
        # Of several routes the one that waits longest.
        waits = dict(sorted(_waits(config["route"], _GROUP_WAIT), key=lambda each: each[1]))
        return {
            one["name"]: LoadedReceiver(
                {key.removesuffix("_configs"): len(value) for key, value in one.items() if key.endswith("_configs")},
                waits.get(one["name"], 0.0),
            )
            for one in config.get("receivers") or ()
        }

    def sent_to(self, *, but: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Yield the name of each alert that is sent, but of one, and the receiver.

        Args:
            but: The labels of the one that is left out.

        Raises:
            RemoteError: Alertmanager cannot be reached.
        """
        for group in self._call("GET", "alerts/groups?silenced=false&inhibited=false"):
            for alert in group["alerts"]:
                if alert["labels"] != dict(but):
                    yield alert["labels"].get("alertname", "an alert"), group["receiver"]["name"]

    def deliveries(self) -> dict[tuple[str, Delivery], float]:
        """Return what became of notifications so far, by kind of channel.

        Raises:
            RemoteError: Alertmanager cannot be reached.
        """
        found: dict[tuple[str, Delivery], float] = {}
        text = fetch(self._url, "metrics", timeout=TIMEOUT, program=_PROGRAM).decode()
        for sample in (sample for family in text_string_to_metric_families(text) for sample in family.samples):
            for delivery, sign in _COUNTED.get(sample.name, {}).items():
                key = (sample.labels["integration"], delivery)
                found[key] = found.get(key, 0.0) + sign * sample.value
        return found

    def _call(self, method: str, path: str, body: object = None) -> Any:
        return fetch_json(self._url, f"api/v2/{path}", timeout=TIMEOUT, method=method, json_body=body, program=_PROGRAM)


def _teams(route: Mapping[str, Any]) -> Iterator[str]:
    """Yield the value of each matcher of a route, and of those below it, that wants one team."""
    if team := (route.get("match") or {}).get("team"):
        yield str(team)
    for matcher in route.get("matchers") or ():
        if found := _ONE_TEAM.fullmatch(str(matcher)):
            yield found[1]
    for child in route.get("routes") or ():
        yield from _teams(child)


def _waits(route: Mapping[str, Any], inherited: float, receiver: str = "") -> Iterator[tuple[str, float]]:
    """Yield the receiver of a route and of each below it, and how many seconds the route waits."""
    wait = durations.parse(route["group_wait"]) if "group_wait" in route else inherited
    receiver = route.get("receiver", receiver)
    yield receiver, wait
    for child in route.get("routes") or ():
        yield from _waits(child, wait, receiver)
