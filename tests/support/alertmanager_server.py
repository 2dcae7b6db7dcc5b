"""A real Alertmanager for tests: post alerts as Prometheus does, and ask for their state."""

from __future__ import annotations

import contextlib
import json
import re
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ml_monitoring.alerting.generate.files import render, templates, write
from ml_monitoring.alerting.model.thresholds import Timing
from tools.processes import Process, free_port, http_ok, wait_until

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
# Seconds that only a defect takes.
_PATIENCE = 30.0
_MINUTE = timedelta(minutes=1)
AT_ONCE = Timing(group_wait="0s", group_interval="1s", repeat_interval="1h")


class Alertmanager:
    """Posts alerts as Prometheus does, and returns their state."""

    def __init__(self, url: str) -> None:
        self.url = url

    def fire(
        self, *alerts: dict[str, str], annotations: Mapping[str, str] | None = None, age: timedelta = _MINUTE
    ) -> None:
        self._post(alerts, annotations or {}, datetime.now(UTC) - age, None)

    def resolve(self, *alerts: dict[str, str], annotations: Mapping[str, str] | None = None) -> None:
        now = datetime.now(UTC)
        self._post(alerts, annotations or {}, now - _MINUTE, now)

    def silence(self, **labels: str) -> None:
        now = datetime.now(UTC)
        matchers = [{"name": name, "value": value, "isRegex": False, "isEqual": True} for name, value in labels.items()]
        times = {"startsAt": now.isoformat(), "endsAt": (now + timedelta(hours=1)).isoformat()}
        self._send("silences", {"matchers": matchers, **times, "createdBy": "test", "comment": "test"})

    def wait_until_muted(self, labels: Mapping[str, str], *, by: str) -> None:
        """Wait until the alert with these labels is muted by one of the alerts whose names the pattern matches."""
        assert wait_until(lambda: re.fullmatch(by, self.muted_by(labels)) is not None, timeout=_PATIENCE), (
            f"{labels} is muted by {self.muted_by(labels) or 'none'}, not by {by}"
        )

    def muted_by(self, labels: Mapping[str, str]) -> str:
        """Return the name of the alert that mutes the one with these labels now; Alertmanager names one of them."""
        alerts = self.alerts()
        (alert,) = [alert for alert in alerts if alert["labels"] == labels]
        names = {one["fingerprint"]: one["labels"]["alertname"] for one in alerts}
        return ", ".join(names[by] for by in alert["status"]["inhibitedBy"])

    def alerts(self) -> list[dict[str, Any]]:
        with _OPENER.open(f"{self.url}/api/v2/alerts", timeout=30) as response:
            alerts: list[dict[str, Any]] = json.load(response)
            return alerts

    def reload(self) -> None:
        """Let it read its file again; it answers with an error where it cannot be used."""
        _OPENER.open(urllib.request.Request(f"{self.url}/-/reload", method="POST"), timeout=30).close()

    def _post(
        self,
        alerts: tuple[dict[str, str], ...],
        annotations: Mapping[str, str],
        started: datetime,
        ends: datetime | None,
    ) -> None:
        body = [
            {
                "labels": labels,
                "annotations": dict(annotations),
                "startsAt": started.isoformat(),
                **({"endsAt": ends.isoformat()} if ends else {}),
            }
            for labels in alerts
        ]
        self._send("alerts", body)
        wanted = {json.dumps(labels, sort_keys=True) for labels in alerts}

        def processed() -> bool:
            states = {json.dumps(one["labels"], sort_keys=True): one["status"]["state"] for one in self.alerts()}
            return all(states.get(labels, "unprocessed") != "unprocessed" for labels in wanted)

        # An alert has a state when its group was looked at, which is a moment after it was taken.
        assert ends or wait_until(processed, timeout=_PATIENCE)

    def _send(self, what: str, body: object) -> None:
        request = urllib.request.Request(
            f"{self.url}/api/v2/{what}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        _OPENER.open(request, timeout=30).close()


@contextlib.contextmanager
def running(program: Path, config: Mapping[str, Any], directory: Path) -> Iterator[Alertmanager]:
    """Run Alertmanager with a configuration and the project's templates."""
    write(templates() | {"alertmanager.yml": render("alertmanager.yml", config)}, directory)
    with serving(program, directory / "alertmanager.yml", directory) as server:
        yield server


@contextlib.contextmanager
def serving(program: Path, config: Path, directory: Path) -> Iterator[Alertmanager]:
    """Run Alertmanager with a file of configuration."""
    url = f"http://127.0.0.1:{free_port()}"
    process = Process(
        "alertmanager",
        [
            program,
            f"--config.file={config}",
            f"--storage.path={directory / 'data'}",
            f"--web.listen-address={url.removeprefix('http://')}",
            f"--web.external-url={url}",
            "--cluster.listen-address=",
        ],
        log=directory / "alertmanager.log",
        healthy=lambda: http_ok(f"{url}/-/ready"),
    )
    with process:
        yield Alertmanager(url)
