"""`alerts test`: run the unit tests of your own alerts and recording rules."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.operate.promtool import problems_of_tests
from ml_monitoring.exporter.errors import ConfigError

HELP = "check your own alerts and recording rules, and run their tests by promtool"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    own.add_settings(parser)


def run(options: argparse.Namespace) -> int:
    """Print a line for each alert and file of rules, and return the exit status."""
    thresholds, _layers = own.load(options)
    if thresholds.extensions is None:
        own.note_unnamed_folder(options, thresholds)
        # Where there is one that they should name, that is said already.
        hint = "" if own.unnamed_folder(own.settings_files(options)) else "; `ml-monitoring new alert` writes one"
        if not own.settings_files(options) and own.above() is not None:
            hint = f"; {own.how_to_name()}"
        raise ConfigError([f"extensions: no settings name a folder of your own alerts{hint}"])
    own.say_slips(options, thresholds)
    failed = False
    for name, problem in problems_of_tests(thresholds, Path(thresholds.extensions)):
        failed |= bool(problem)
        print(f"{'FAIL' if problem else 'ok  '}  {name}")
        if problem:
            print(problem, file=sys.stderr)
    return int(failed)
