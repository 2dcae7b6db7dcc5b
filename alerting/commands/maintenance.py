"""`alerts maintenance`: silence all alerts for a while."""

from __future__ import annotations

import argparse

from ml_monitoring.alerting.commands.arguments import add_alertmanager, label
from ml_monitoring.alerting.operate import maintenance
from ml_monitoring.alerting.operate.alertmanager_client import AlertmanagerClient
from ml_monitoring.exporter import command_line

HELP = "silence all alerts but the Watchdog for a while"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_alertmanager(parser)
    parser.add_argument("--duration", type=command_line.duration, required=True, metavar="DURATION", help="such as 2h")
    parser.add_argument("--reason", required=True)
    parser.add_argument("--label", action="append", type=label, default=[], metavar="NAME=VALUE", dest="labels")


def run(options: argparse.Namespace) -> int:
    """Begin the maintenance and return the exit status."""
    client = AlertmanagerClient(options.alertmanager)
    silence = maintenance.begin(client, options.duration, options.reason, options.labels)
    print(f"Silenced until {silence.ends.astimezone():%Y-%m-%d %H:%M %Z}: {options.reason} ({silence.id})")
    print("The Watchdog is still sent. End it early with: make maintenance-end")
    return 0
