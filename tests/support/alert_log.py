"""The alert log as a process, and what Alertmanager posts to it."""

from __future__ import annotations

import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from tools.processes import Process, free_port, http_ok, port_is_free
from tools.stack import ROOT

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
T0 = 1_795_000_000.0


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def body(
    number: int = 1,
    *,
    starts: float = T0,
    ends: float | None = None,
    receiver: str = "mlops-warning",
    labels: Mapping[str, str] = MappingProxyType({}),
    links: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    status = "firing" if ends is None else "resolved"
    alert = {
        "status": status,
        "labels": {"alertname": "Broken", "severity": "warning", "team": "mlops", "number": str(number), **labels},
        "annotations": {"summary": "It broke.", "description": f"Number {number} <broke>.", **links},
        "startsAt": moment(starts),
        "endsAt": "0001-01-01T00:00:00Z" if ends is None else moment(ends),
        "fingerprint": f"{number:016x}",
    }
    return json.dumps(
        {"version": "4", "receiver": receiver, "status": status, "groupKey": "g", "alerts": [alert]}
    ).encode()


class Server:
    """The service as a process."""

    def __init__(self, directory: Path, *options: str, start_timeout: float = 30, scheme: str = "http") -> None:
        port = free_port()
        self.url = f"{scheme}://127.0.0.1:{port}"
        self.directory = directory
        listen = f"--listen=127.0.0.1:{port}"
        self.process = Process(
            "alert log",
            [sys.executable, "-m", "alerting", "log", listen, f"--directory={directory}", *options],
            log=directory.parent / "alertlog.log",
            cwd=ROOT,
            # What answers with a full disk too.
            healthy=lambda: http_ok(f"{self.url}/metrics") if scheme == "http" else not port_is_free(port),
            start_timeout=start_timeout,
        )

    def post(self, content: bytes, **headers: str) -> int:
        given = {"Content-Type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
        request = urllib.request.Request(f"{self.url}/alerts", content, given)
        try:
            with _OPENER.open(request, timeout=10) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code

    def get(self, path: str, **headers: str) -> str:
        with _OPENER.open(urllib.request.Request(f"{self.url}{path}", headers=headers), timeout=10) as response:
            return str(response.read().decode())

    def status(self, path: str, **headers: str) -> int:
        try:
            self.get(path, **headers)
        except urllib.error.HTTPError as error:
            return error.code
        return 200

    def metric(self, name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.get("/metrics"), re.MULTILINE)
        assert found, f"no {name} in {self.get('/metrics')}"
        return float(found[1])
