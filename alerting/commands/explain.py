"""`alerts explain`: say everything about an alert."""

from __future__ import annotations

import argparse

from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.generate import alertmanager
from ml_monitoring.alerting.operate.explain import UnknownAlertError, explain

HELP = "say everything about an alert, and which file each of its numbers is from"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    own.add_settings(parser)
    parser.add_argument("name", metavar="ALERT", help="its name, such as MlMonitoringSourceDown")


def run(options: argparse.Namespace) -> int:
    """Print what there is to say and return the exit status."""
    thresholds, layers = own.load(options)
    try:
        text = explain(options.name, thresholds, layers, alertmanager.build(thresholds=thresholds))
    except UnknownAlertError:
        # It may be one of the folder.
        own.note_unnamed_folder(options, thresholds, [options.name])
        raise
    own.say_which(options)
    print(text, end="")
    return 0
