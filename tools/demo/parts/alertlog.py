"""The alert log: everything that Alertmanager sends."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tools.demo.parts.base import Contribution, Look, Place, PortUse
from tools.processes import Process, http_ok
from tools.stack import ROOT


class AlertLog:
    """The part; `ml-monitoring alerts log` is the service."""

    name = "alertlog"
    doing = "starting the alert log"
    ports: Sequence[PortUse] = (PortUse("alertlog", "the alert log", 9848),)

    def prepare(self, place: Place) -> Contribution:
        """Start the service."""
        address = f"127.0.0.1:{place.ports['alertlog']}"
        url = f"http://{address}"
        command = [sys.executable, "-m", "alerting", "log", f"--listen={address}", f"--directory={place.directory}"]
        log = place.logs / "alertlog.log"
        place.run("Alert log", url, Process("the alert log", command, log=log, cwd=ROOT, healthy=lambda: http_ok(url)))
        return Contribution(
            alert_log_url=f"{url}/alerts",
            looks=(Look("Who was notified of what, and how soon:", url=f"{url}/"),),
        )
