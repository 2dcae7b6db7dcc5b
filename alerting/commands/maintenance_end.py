"""`alerts maintenance-end`: end every maintenance now, and no other silence."""

from __future__ import annotations

import argparse

from ml_monitoring.alerting.commands.arguments import add_alertmanager
from ml_monitoring.alerting.operate import maintenance
from ml_monitoring.alerting.operate.alertmanager_client import AlertmanagerClient

HELP = "end every silence of `maintenance` now; others stay"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_alertmanager(parser)


def run(options: argparse.Namespace) -> int:
    """End what there is to end and return the exit status."""
    client = AlertmanagerClient(options.alertmanager)
    silences = maintenance.in_force(client)
    for silence in silences:
        client.end(silence)
        print(f"Ended: {maintenance.reason(silence)} ({silence.id})")
    if not silences:
        print("There is no maintenance to end.")
    return 0
