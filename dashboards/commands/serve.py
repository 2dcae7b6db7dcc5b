"""`dashboards serve`: look at dashboards in a browser, live, without Grafana."""

from __future__ import annotations

import argparse
import ipaddress
import json
import re
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.domains import ALERTS
from ml_monitoring.dashboards.commands import OUTPUT_DIR
from ml_monitoring.dashboards.commands.options import add_prometheus, generated, live_options, noting
from ml_monitoring.exporter import addresses, command_line
from ml_monitoring.exporter.addresses import ListenAddress, refusal
from ml_monitoring.exporter.errors import ConfigError

if TYPE_CHECKING:
    from ml_monitoring.dashboards.render.prometheus import Prometheus
    from ml_monitoring.dashboards.viewer.library import Library

HELP = "serve dashboards to a browser, live and read-only, without Grafana"
DESCRIPTION = "Serve dashboards to a browser: live, read-only, drawn from Prometheus. Ctrl-C stops it."

DEFAULT_LISTEN = "127.0.0.1:9849"
# The matcher of teams, in a query in JSON.
_TEAMS = re.compile(r'team=~\\"([^"\\]+)\\"')
_LATELY = 3600


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "dashboards",
        nargs="*",
        metavar="UID|FILE|DIR",
        help="generated dashboards by uid, files, or folders of files (default: all generated)",
    )
    parser.add_argument("--generated", action="store_true", help="serve all generated ones beside those that are named")
    own.add_settings(parser)
    add_prometheus(parser)
    parser.add_argument(
        "--listen",
        type=addresses.argument,
        default=DEFAULT_LISTEN,
        metavar="ADDRESS",
        help=f"host:port, [::1]:port, or :port for all addresses (default: {DEFAULT_LISTEN})",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        type=command_line.host_name,
        default=[],
        metavar="NAME",
        help="answer under this name too, such as that of a proxy; addresses and localhost always are",
    )


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C and return the exit status."""
    from aiohttp import web  # noqa: PLC0415  # only where it is needed

    from ml_monitoring.dashboards.render.errors import RenderError  # noqa: PLC0415  # these bring matplotlib
    from ml_monitoring.dashboards.viewer.library import Library  # noqa: PLC0415
    from ml_monitoring.dashboards.viewer.server import Viewer  # noqa: PLC0415

    listen: ListenAddress = options.listen
    named = {name.lower() for name in (listen.host, *options.allow_host) if name}
    every = options.generated or not options.dashboards
    with ExitStack() as stack:
        made = stack.enter_context(generated(options, [] if every else options.dashboards))
        pages = made.folder
        library = Library([*options.dashboards, *([str(pages)] if every else [])], pages)
        with noting(made, options.dashboards):
            library.check()
        queries = live_options(options)
        stack.enter_context(queries.prometheus)
        viewer = Viewer(library, queries, frozenset(named))

        def announce(_text: str) -> None:
            if pages != OUTPUT_DIR and (files := own.settings_files(options)):
                print(f"Pages by the settings of {', '.join(map(str, files))}", flush=True)
            try:
                teams = unknown_teams(library, queries.prometheus)
            except RenderError as error:
                print(f"Pages are empty until Prometheus answers (--prometheus): {error}", flush=True)
                teams = set()
            if teams:
                print(
                    f"Prometheus has alerts of {', '.join(sorted(teams))}, which these pages do not ask for: "
                    "give --settings with these teams",
                    flush=True,
                )
            print(f"Dashboards: http://{_reached(listen)}/", flush=True)
            if not _is_loopback(listen.host):
                print(
                    f"{listen} can be reached from elsewhere, and there is no login: put a proxy that asks before it.",
                    flush=True,
                )

        try:
            web.run_app(
                viewer.application(),
                host=listen.host or None,
                port=listen.port,
                # Called once it listens.
                print=announce,
                access_log=None,
                # Of who still waits for an answer when it stops.
                shutdown_timeout=2.0,
            )
        except OSError as error:
            raise ConfigError([f"--listen: {refusal(listen, error, '--listen')}"]) from None
    return 0


def unknown_teams(library: Library, prometheus: Prometheus) -> set[str]:
    """Return teams that had alerts of ours lately and that no page asks for.

    Raises:
        RenderError: Prometheus does not answer.
    """
    from ml_monitoring.dashboards.render.intervals import TimeRange  # noqa: PLC0415  # it brings an HTTP client

    pages = (one for dashboards in library.shelf().folders.values() for one in dashboards)
    patterns = (pattern for page in pages for pattern in _TEAMS.findall(json.dumps(page.raw)))
    asked = {team for pattern in patterns for team in pattern.split("|")}
    if not asked:
        return set()
    ours = "|".join(alert.name for alert in ALERTS)
    now = time.time()
    found = prometheus.label_values("team", f'ALERTS{{alertname=~"{ours}"}}', TimeRange(now - _LATELY, now))
    return {*found} - asked


def _reached(listen: ListenAddress) -> str:
    return str(ListenAddress(listen.host if listen.host not in ("", "0.0.0.0", "::") else "localhost", listen.port))  # noqa: S104  # compared, not bound


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
