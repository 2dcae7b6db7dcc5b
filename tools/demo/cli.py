"""The command line of the demo: start everything, say what there is to see, stop everything on Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.exporter.command_parser import CommandParser
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.values import merge
from tools.backfilled_prometheus import backfill
from tools.demo import dashboards, screen
from tools.demo import ports as demo_ports
from tools.demo.parts import PARTS
from tools.demo.parts.base import Contribution, Place, Server
from tools.packages import MissingProgram, ensure_programs
from tools.postgres import PostgresError
from tools.processes import ProcessError, wait_until
from tools.stack import ROOT, LocalStack, Ports, hurried

# Git ignores it. One folder a demo, so that two with different ports do not meet.
DIRECTORY = ROOT / ".demo"
SCRAPE_INTERVAL = "5s"
# Instead of minutes: people who try the demo look on.
ALERT_WAIT = "15s"
_FIRST_SCRAPE_TIMEOUT = 20.0
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Steps to a running demo: the parts, the servers of the stack, the dashboards.
_LAST = len(PARTS) + 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo until it is interrupted; return the exit status."""
    options = _parser().parse_args(arguments)
    uses = [*demo_ports.STACK_PORTS, *(use for part in PARTS for use in part.ports)]
    try:
        ports = demo_ports.assign(uses, options.port_base)
    except ValueError as error:
        print(f"demo: --port-base {error}", file=sys.stderr)
        return 2
    problems = demo_ports.problems(uses, ports)
    if problems:
        base = demo_ports.propose(uses)
        print("\n".join(f"demo: {problem}" for problem in problems), file=sys.stderr)
        print(f"Take others, for example: make demo PORT_BASE={base or 'N'}", file=sys.stderr)
        return 1
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.default_int_handler)
    try:
        with contextlib.ExitStack() as cleanup:
            try:
                _run(ports, cleanup, wait=options.wait, calm=options.calm)
            finally:
                # A second Ctrl-C must not leave half of the servers behind.
                for number in _STOP_SIGNALS:
                    signal.signal(number, signal.SIG_IGN)
                _say("stopping")
    except KeyboardInterrupt:
        pass
    except (ProcessError, PostgresError, ConfigError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    _say("everything is stopped")
    return 0


def _port(text: str) -> int:
    if not text.removeprefix("-").isdecimal():
        raise argparse.ArgumentTypeError(
            "is no port: give the first of some free ones, as in `make demo PORT_BASE=19000`"
        )
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="python -m tools.demo",
        description="Run exporter, Prometheus and Alertmanager on demo data, on loopback, until Ctrl-C.",
    )
    parser.add_argument(
        "--port-base", type=_port, metavar="N", help="take the ports from N on (default: 9847, 9090, 9093, 9849 ...)"
    )
    parser.add_argument(
        "--no-wait", dest="wait", action="store_false", help="stop everything again as soon as it was shown to work"
    )
    parser.add_argument(
        "--calm",
        action="store_true",
        help="let nothing go wrong: no incident, failures, worn patterns or bad splits",
    )
    return parser


def _run(ports: Mapping[str, int], cleanup: contextlib.ExitStack, *, wait: bool, calm: bool) -> None:
    directory = DIRECTORY / str(ports["exporter"])
    # Nobody uses it, or the port would be taken.
    shutil.rmtree(directory, ignore_errors=True)
    programs, missing = _find_programs()
    started: list[tuple[str, str, Server]] = []

    def run(what: str, url: str, server: Server) -> None:
        cleanup.callback(server.stop)
        server.start()
        started.append((what, url, server))

    settings: dict[str, Any] = {}
    contributions: list[Contribution] = []
    for number, part in enumerate(PARTS, start=1):
        folder = directory / part.name
        folder.mkdir(parents=True)
        _say(part.doing, step=number)
        own = {use.name: ports[use.name] for use in part.ports}
        prometheus_url = f"http://127.0.0.1:{ports['prometheus']}"
        contribution = part.prepare(
            Place(folder, directory / "logs", own, run, partial(_say, step=number), prometheus_url, calm)
        )
        settings = merge(settings, dict(contribution.settings))
        contributions.append(contribution)
    ours = Ports(ports["exporter"], ports["prometheus"], ports["alertmanager"])
    # Alerts link to the dashboards, and the dashboards to the runbooks.
    numbers = (
        hurried(load_thresholds(), wait=ALERT_WAIT)
        .changed(_thresholds(contributions))
        .overridden(
            {
                "GRAFANA_URL": f"http://127.0.0.1:{ports['dashboards']}",
                "RUNBOOKS_URL": f"http://127.0.0.1:{ports['exporter']}/runbooks",
            }
        )
    )
    stack = LocalStack(
        settings,
        directory,
        ours,
        programs,
        thresholds=numbers,
        webhook_url=next((each.webhook_url for each in contributions if each.webhook_url), None),
        alert_log_url=next((each.alert_log_url for each in contributions if each.alert_log_url), ""),
        scrape_interval=SCRAPE_INTERVAL,
        extra_jobs=[job for each in contributions for job in each.jobs],
    )
    _say(f"starting {', '.join(process.name for process in stack.processes)}", step=_LAST - 1)
    cleanup.callback(stack.stop)
    history = [line for each in contributions for line in each.history]
    if history and {"prometheus", "promtool"} <= programs.keys():
        backfill(programs, stack.prometheus_data, history)
    stack.start()
    if stack.prometheus is not None:
        what, server = _dashboards(stack, directory, ports["dashboards"], numbers)
        run(what, f"http://127.0.0.1:{ports['dashboards']}", server)
    # What parts say there is to see is their trouble.
    _show(stack, directory, started, [] if calm else contributions, missing)
    if wait:
        print("\nCtrl-C stops everything.", flush=True)
        _watch(directory, [*((p.name, p) for p in stack.processes), *((what, s) for what, _url, s in started)])


def _dashboards(stack: LocalStack, directory: Path, port: int, numbers: Thresholds) -> tuple[str, Server]:
    """Return what is to show the dashboards, and what the table calls it."""
    pages, log = directory / "dashboards", directory / "logs" / "dashboards.log"
    dashboards.write_dashboards(pages, numbers)
    found = dashboards.find_grafana()
    if found is None:
        _say("starting the viewer of the dashboards; no Grafana is installed", step=_LAST)
        viewer = dashboards.viewer(pages, port, stack.prometheus_url, scrape=SCRAPE_INTERVAL, log=log)
        return screen.DASHBOARDS, viewer
    _say(f"starting the Grafana that is installed ({found.command[0]}), with the dashboards", step=_LAST)
    addresses = {"prometheus": stack.prometheus_url, "alertmanager": stack.alertmanager_url}
    grafana = dashboards.grafana(found, directory / "grafana", pages, port, addresses, scrape=SCRAPE_INTERVAL, log=log)
    return screen.GRAFANA, grafana


def _thresholds(contributions: Sequence[Contribution]) -> dict[str, Any]:
    """Return what the parts change of `thresholds.yml`."""
    changes: dict[str, Any] = {}
    for each in contributions:
        changes = merge(changes, dict(each.thresholds))
    return changes


def _find_programs() -> tuple[dict[str, Path], str]:
    """Return the programs that can be had, and a message about those that cannot."""
    programs: dict[str, Path] = {}
    messages = []
    for name in ("prometheus", "promtool", "alertmanager"):
        try:
            programs |= ensure_programs([name])
        except MissingProgram as error:
            messages.append(str(error))
    return programs, "\n".join(messages)


def _show(
    stack: LocalStack,
    directory: Path,
    started: Sequence[tuple[str, str, Server]],
    contributions: Sequence[Contribution],
    missing: str,
) -> None:
    if stack.prometheus is not None:
        # Otherwise the table would say that nothing has been scraped yet.
        wait_until(lambda: _all_scraped(stack), timeout=_FIRST_SCRAPE_TIMEOUT, poll=0.2)
    looks = [
        *screen.dashboard_looks(started),
        *(look for each in contributions for look in each.looks),
        *screen.stack_looks(stack, directory / "config" / "exporter.yml"),
    ]
    print(f"\n{screen.table(screen.rows(stack, started))}\n")
    if missing:
        print(f"{missing}\n")
    print("What to look at first:")
    print("\n".join(screen.look_first(screen.dashboards_url(started), looks)))
    print(f"\nData, configuration and logs: {directory.relative_to(ROOT)}/", flush=True)


def _all_scraped(stack: LocalStack) -> bool:
    health = screen.targets(stack)
    return bool(health) and "unknown" not in health


def _watch(directory: Path, servers: Sequence[tuple[str, Server]]) -> None:
    """Wait to be interrupted, and report servers that end by themselves."""
    reported: set[str] = set()
    while True:
        time.sleep(1)
        for name, server in servers:
            if not server.running and name not in reported:
                reported.add(name)
                print(f"demo: {name} ended by itself; see {directory.relative_to(ROOT)}/logs/", file=sys.stderr)


def _say(line: str, *, step: int | None = None) -> None:
    print(f">> {'' if step is None else f'{step}/{_LAST} '}{line}", flush=True)
