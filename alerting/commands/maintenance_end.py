"""`alerts maintenance-end`: end every maintenance, begun or planned, or those that are named, and no other silence."""

from __future__ import annotations

import argparse

from ml_monitoring.alerting.commands.arguments import add_alertmanager, add_labels
from ml_monitoring.alerting.operate import maintenance
from ml_monitoring.alerting.operate.alertmanager_client import AlertmanagerClient
from ml_monitoring.exporter import command_line

HELP = "end every silence of `maintenance`, begun or planned, or those that are named; others stay"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_alertmanager(parser)
    parser.add_argument("ids", nargs="*", metavar="ID", help="only these, as `maintenance` printed them (default: all)")
    add_labels(parser, "only those that were begun with this --label; repeat for several")


def run(options: argparse.Namespace) -> int:
    """End what there is to end and return the exit status."""
    client = AlertmanagerClient(options.alertmanager)
    all_of_them = maintenance.not_ended(client)
    silences = [
        silence
        for silence in all_of_them
        if maintenance.has_labels(silence, options.labels) and (not options.ids or silence.id in options.ids)
    ]
    for silence in silences:
        ended = "Ended before it began" if silence.is_pending else "Ended"
        client.end(silence)
        print(f"{ended}: {maintenance.reason(silence)} ({silence.id})")
    if not silences:
        print("There is no such maintenance to end." if all_of_them else "There is no maintenance to end.")
    for silence in all_of_them:
        if silence not in silences:
            goes_on = f"Planned from {command_line.moment_text(silence.starts)}" if silence.is_pending else "Goes on"
            print(f"{goes_on}: {maintenance.reason(silence)} ({silence.id})")
    return 0
