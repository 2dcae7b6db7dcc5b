"""`alerts route`: say who is notified of an alert with some labels."""

from __future__ import annotations

import argparse

from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.commands.arguments import label
from ml_monitoring.alerting.generate import alertmanager
from ml_monitoring.alerting.operate.routing import stops

HELP = "say who is notified of an alert with these labels"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    own.add_settings(parser)
    parser.add_argument(
        "--label",
        action="append",
        type=label,
        required=True,
        metavar="NAME=VALUE",
        dest="labels",
        help="a label of the alert, such as team=mlops; repeat for several",
    )


def run(options: argparse.Namespace) -> int:
    """Print the receivers and return the exit status."""
    thresholds, _layers = own.load(options)
    for stop in stops(alertmanager.build(thresholds=thresholds), dict(options.labels)):
        through = ", ".join(stop.kinds) or "nothing"
        print(f"{stop.receiver}: after {stop.group_wait}, again every {stop.repeat_interval}; through {through}")
    return 0
