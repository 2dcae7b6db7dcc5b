"""The dashboards of the demo: in Grafana where one is installed, else in the viewer.

Grafana gets the provisioning files of `docker/grafana/`, with the demo's addresses in them.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.dashboards.commands.generate import write_pages
from tools.demo.parts.base import PortUse
from tools.processes import Process, http_ok
from tools.stack import ROOT

PORT = PortUse("dashboards", "the dashboards", 9849)
HOME_PAGE = "ml-monitoring-operations-overview"
# The demo is minutes old, whatever a page would show of a real system.
_RANGE = {"from": "now-15m", "to": "now"}
_FILES = ROOT / "docker" / "grafana" / "provisioning"
# Grafana reports an error for each that is missing.
_FOLDERS = ("plugins", "notifiers", "alerting", "access-control")
# `grafana` is also the name of the command-line tool of some packages of old; it has no `server`.
_PROGRAMS = {"grafana": ("server",), "grafana-server": ()}
_HOMES = ("/usr/share/grafana", "/usr/local/share/grafana", "/opt/grafana")
# It makes a database first.
_GRAFANA_TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class Grafana:
    """An installed Grafana: the command that starts it, and its home folder."""

    command: tuple[str, ...]
    home: Path


def find_grafana() -> Grafana | None:
    """Return the Grafana of this machine; None where there is none with its home folder."""
    for name, arguments in _PROGRAMS.items():
        program = shutil.which(name)
        if program is None:
            continue
        # As unpacked: bin/grafana below the home.
        beside = Path(program).resolve().parent.parent
        for home in (beside, *map(Path, _HOMES)):
            if (home / "conf" / "defaults.ini").is_file() and (home / "public").is_dir():
                return Grafana((program, *arguments), home)
    return None


def write_dashboards(directory: Path, thresholds: Thresholds) -> None:
    """Write the pages with the demo's numbers, links and time range."""
    for path in write_pages(directory, thresholds):
        page = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(page | {"time": _RANGE}), encoding="utf-8")


def viewer(directory: Path, port: int, prometheus: str, *, scrape: str, log: Path) -> Process:
    """Return the viewer, not yet started."""
    url = f"http://127.0.0.1:{port}"
    command: list[str | Path] = [
        sys.executable, "-m", "dashboards", "serve", directory, "--listen", f"127.0.0.1:{port}",
        "--prometheus", prometheus, "--scrape-interval", scrape,
    ]  # fmt: skip
    return Process("the viewer", command, log=log, cwd=ROOT, healthy=lambda: http_ok(f"{url}/-/healthy"))


def grafana(
    found: Grafana, directory: Path, dashboards: Path, port: int, addresses: dict[str, str], *, scrape: str, log: Path
) -> Process:
    """Return Grafana with the dashboards and data sources, not yet started.

    Args:
        found: The installed one.
        directory: Folder of its own.
        dashboards: What it shows.
        port: Where it listens, on loopback.
        addresses: Of the servers that it reads, by uid of the data source; others are left out.
        scrape: How often Prometheus scrapes.
        log: File for its output.
    """
    provisioning = _provision(directory / "provisioning", dashboards, addresses, scrape)
    url = f"http://127.0.0.1:{port}"
    settings = {
        "GF_PATHS_DATA": directory / "data",
        "GF_PATHS_LOGS": directory / "logs",
        "GF_PATHS_PLUGINS": directory / "plugins",
        "GF_PATHS_PROVISIONING": provisioning,
        "GF_SERVER_HTTP_ADDR": "127.0.0.1",
        "GF_SERVER_HTTP_PORT": port,
        "GF_SERVER_ROOT_URL": f"{url}/",
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": next(dashboards.rglob(f"{HOME_PAGE}.json")),
        # Who looks need not log in, nobody may change anything, and there is no password to guess.
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
        "GF_AUTH_DISABLE_LOGIN_FORM": "true",
        "GF_AUTH_BASIC_ENABLED": "false",
        "GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION": "true",
        # Nothing is sent to anybody, and nothing is fetched.
        "GF_SECURITY_DISABLE_GRAVATAR": "true",
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        "GF_NEWS_NEWS_FEED_ENABLED": "false",
        "GF_PLUGINS_PREINSTALL_DISABLED": "true",
        "GF_LOG_MODE": "console",
        # There is nothing that exemplars could lead to.
        "TRACES_DATASOURCE_UID": "",
        "TRACES_URL": "",
    }
    return Process(
        "Grafana",
        [*found.command, "--homepath", found.home],
        log=log,
        env={name: str(value) for name, value in settings.items()},
        cwd=found.home,
        healthy=lambda: http_ok(f"{url}/api/health"),
        start_timeout=_GRAFANA_TIMEOUT,
    )


def _provision(directory: Path, dashboards: Path, addresses: dict[str, str], scrape: str) -> Path:
    for name in _FOLDERS:
        (directory / name).mkdir(parents=True, exist_ok=True)
    for path in sorted(_FILES.glob("*/*.yaml")):
        content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        for provider in content.get("providers", ()):
            provider["options"]["path"] = str(dashboards)
        if "datasources" in content:
            sources = [one for one in content["datasources"] if one["uid"] in addresses]
            for one in sources:
                one["url"] = addresses[one["uid"]]
                if "timeInterval" in one.get("jsonData", {}):
                    one["jsonData"]["timeInterval"] = scrape
            content["datasources"] = sources
        target = directory / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return directory
