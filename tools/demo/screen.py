"""What the demo prints: the table of servers and what to look at first."""

from __future__ import annotations

import re
import shlex
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from ml_monitoring.alerting.model.signal import UID_PREFIX
from tools.demo.parts.base import Look, Server
from tools.packages import find_program
from tools.stack import ROOT, LocalStack

Row = tuple[str, str, str]
# What the table calls the server of the dashboards.
DASHBOARDS = "Dashboards"
GRAFANA = "Grafana"
_SOURCE_UP = re.compile(r'^ml_monitoring_source_up\{source="([^"]+)"\} (\d)', re.MULTILINE)


def rows(stack: LocalStack, started: Sequence[tuple[str, str, Server]]) -> list[Row]:
    """Return a row for each server: what, where, how it is; the dashboards first, which the rest is for."""
    table = [(what, url or "-", "running" if server.running else "ended") for what, url, server in started]
    first = [row for row in table if row[0] in (DASHBOARDS, GRAFANA)] or [(DASHBOARDS, "-", "need Prometheus")]
    others = [row for row in table if row not in first]
    table = [*first, ("Exporter", stack.exporter_url, _exporter_state(stack))]
    for what, url, process in (
        ("Prometheus", stack.prometheus_url, stack.prometheus),
        ("Alertmanager", stack.alertmanager_url, stack.alertmanager),
    ):
        if process is None:
            table.append((what, "-", "missing, see below"))
        else:
            table.append((what, url, _targets(stack) if process is stack.prometheus else "ready"))
    return [*table, *others]


def table(content: Sequence[Row]) -> str:
    """Return rows as aligned text under a heading."""
    lines = [("What", "URL", "State"), *content]
    widths = [max(len(line[column]) for line in lines) for column in range(2)]
    return "\n".join(f"  {what:{widths[0]}}  {url:{widths[1]}}  {state}" for what, url, state in lines)


def look_first(dashboards: str, looks: Sequence[Look]) -> Iterator[str]:
    """Yield the lines of what to look at first.

    Args:
        dashboards: Address of the dashboards; empty without Prometheus, which they need.
        looks: What there is to see.
    """
    for look in looks:
        if look.page and not dashboards:
            continue
        yield f"  - {look.text}"
        if look.page:
            yield f"      {dashboards}/d/{UID_PREFIX}{look.page}"
        yield from (f"      {each}" for each in (look.command, look.url) if each)


def dashboards_url(started: Sequence[tuple[str, str, Server]]) -> str:
    """Return where the dashboards are; empty if nothing shows them."""
    return next((url for what, url, _server in started if what in {DASHBOARDS, GRAFANA}), "")


def dashboard_looks(started: Sequence[tuple[str, str, Server]]) -> Iterator[Look]:
    """Yield where the dashboards are."""
    for what, url, _server in started:
        if what == DASHBOARDS:
            yield Look("The dashboards, live (read-only, without Grafana):", url=f"{url}/")
        elif what == GRAFANA:
            yield Look("The dashboards, in Grafana (as a viewer, without a login):", url=f"{url}/dashboards")


def stack_looks(stack: LocalStack, config: Path) -> Iterator[Look]:
    """Yield what there is to see whatever the parts are."""
    yield Look("The alerts; the first ones fire within a minute:", page="alerts")
    if stack.alertmanager is not None:
        amtool = find_program("amtool")
        command = f"{shown(amtool)} alert --alertmanager.url={stack.alertmanager_url}" if amtool else ""
        yield Look("Who is notified:", command=command, url="" if amtool else f"{stack.alertmanager_url}/#/alerts")
    yield Look("The sources and how they are:", url=f"{stack.exporter_url}/")
    yield Look("A check of everything:", command=f".venv/bin/python -m ml_monitoring check --config {shown(config)}")


def _exporter_state(stack: LocalStack) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{stack.exporter_url}/metrics", timeout=5) as response:
            text = response.read().decode()
    except (OSError, urllib.error.URLError):
        return "does not answer"
    sources = [f"{name} {'up' if up == '1' else 'DOWN'}" for name, up in _SOURCE_UP.findall(text)]
    return f"ready: {', '.join(sources)}"


def _targets(stack: LocalStack) -> str:
    health = targets(stack)
    return f"ready: {health.count('up')} of {len(health)} targets up"


def targets(stack: LocalStack) -> list[str]:
    """Return how each target of Prometheus is: `up`, `down`, or `unknown` before its first scrape."""
    answer = stack.get_json(f"{stack.prometheus_url}/api/v1/targets", state="active")
    return [target["health"] for target in answer["data"]["activeTargets"]]


def shown(path: Path) -> str:
    """Return a path as one would type it in the checkout."""
    return shlex.quote(str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path))
