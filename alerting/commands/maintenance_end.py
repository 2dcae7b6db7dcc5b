"""`alerts maintenance-end`: end every maintenance, begun or planned, or those that are named, and no other silence."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ml_monitoring.alerting.commands.arguments import add_alertmanager, add_labels
from ml_monitoring.alerting.operate import maintenance
from ml_monitoring.alerting.operate.alertmanager_client import AlertmanagerClient, Silence
from ml_monitoring.exporter import command_line
from ml_monitoring.exporter.errors import MonitorError

HELP = "end every silence of `maintenance`, those that are planned for later, too, or those that are named; others stay"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_alertmanager(parser)
    parser.add_argument(
        "ids",
        nargs="*",
        metavar="ID",
        help="only these, as `maintenance` printed them (default: all, planned ones, too)",
    )
    add_labels(parser, "only those that were begun with this --label; repeat for several")


def run(options: argparse.Namespace) -> int:
    """End what there is to end and return the exit status."""
    client = AlertmanagerClient(options.alertmanager)
    found = client.silences()
    all_of_them = [silence for silence in found if maintenance.is_maintenance(silence)]
    silences = [
        silence
        for silence in all_of_them
        if maintenance.has_labels(silence, options.labels) and (not options.ids or silence.id in options.ids)
    ]
    for silence in silences:
        # Before it is ended: it has begun, then.
        ended = f"{'Ended before it began' if silence.is_pending else 'Ended'}: {_described(silence)}"
        client.end(silence)
        print(ended)
    if not options.ids and not options.labels and (planned := sum(one.is_pending for one in silences)):
        print(f"Of these, {planned} had yet to begin: an ID or --label ends only some.")
    known = {silence.id for silence in silences}
    if not known.issuperset(options.ids):
        # One that has ended is no mistake.
        known |= {silence.id for silence in client.silences(("expired",)) if maintenance.is_maintenance(silence)}
    unknown = [given for given in options.ids if given not in known]
    if not silences and not unknown and not options.labels:
        print("There is no such maintenance to end." if all_of_them else "There is no maintenance to end.")
    for silence in all_of_them:
        if silence not in silences:
            print(f"{'Still planned' if silence.is_pending else 'Goes on'}: {_described(silence)}")
    if others := len(found) - len(all_of_them):
        which = "1 silence of others stays" if others == 1 else f"{others} silences of others stay"
        print(f"{which}: listed by {command_line.spelled('alerts', 'silences')}")
    if options.labels and not silences and not options.ids:
        given = " and ".join(f"{name}={value}" for name, value in options.labels)
        raise MonitorError(f"no maintenance was begun with --label {given}; {_labels(all_of_them)}")
    if unknown:
        raise MonitorError(f"there is no maintenance to end with the ID {', '.join(unknown)}")
    return 0


def _labels(silences: Sequence[Silence]) -> str:
    known = sorted({whose for one in silences if (whose := maintenance.own_labels(one))})
    if not silences:
        return "there is none in force or planned"
    return f"those that there are have {'; '.join(known)}" if known else "those that there are have no labels"


def _described(silence: Silence) -> str:
    """Return why a maintenance is, its ID, whose alerts it silences, and when."""
    begins, ends = (command_line.moment_text(moment) for moment in (silence.starts, silence.ends))
    when = f"planned for {begins}" if silence.is_pending else f"since {begins}"
    return f"{maintenance.reason(silence)} ({silence.id}): {maintenance.whose(silence)}, {when} until {ends}"
