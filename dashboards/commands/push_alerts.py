"""`dashboards push-alerts`: bring the alerts into Grafana's own alerting, without Alertmanager."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing

from ml_monitoring.alerting import options as alerting
from ml_monitoring.alerting.generate.grafana import DEFAULT_FOLDER
from ml_monitoring.dashboards.commands.options import add_grafana, grafana

HELP = "bring the alerts into Grafana's own alerting, without Alertmanager"
DESCRIPTION = (
    "Write rules, contact points, mute timings, messages and a branch of the policy tree through Grafana's API. The "
    "token needs the role Admin. Recording rules stay with Prometheus. Secrets of channels are read where this runs."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_grafana(parser)
    alerting.add_settings(parser)
    parser.add_argument(
        "--datasource", default="", metavar="SOURCE", help="name or uid of the Prometheus (default: the default one)"
    )
    parser.add_argument(
        "--folder", default=DEFAULT_FOLDER, metavar="TITLE", help=f"folder of the rules (default: {DEFAULT_FOLDER})"
    )
    parser.add_argument("--no-policies", action="store_true", help="leave the policy tree of the organisation alone")
    parser.add_argument("--prune", action="store_true", help="delete pushed rules that are no longer generated")


def run(options: argparse.Namespace) -> int:
    """Push the alerts and return the exit status."""
    from ml_monitoring.dashboards.publish import push_alerts  # noqa: PLC0415  # it brings an HTTP client

    thresholds, _layers = alerting.load(options)
    with closing(grafana(options)) as client:
        if not client.encrypted:
            print(f"note: {client.url} is not encrypted: everybody on the way can read the token", file=sys.stderr)
        for line in push_alerts.push(
            client,
            thresholds,
            datasource=options.datasource,
            folder=options.folder,
            policies=not options.no_policies,
            prune=options.prune,
        ):
            print(line)
    return 0
