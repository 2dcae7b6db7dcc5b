"""The command line: `python -m tools.chart generate`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.operate.promtool import refuse_broken
from ml_monitoring.exporter.errors import MonitorError
from tools.chart.files import CHART, files, write


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.chart", description="The Helm chart.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "generate",
        help="write the generated files of the chart",
        description="Write rules, pages, notifications, the schema of the values and their table; into another folder "
        "than that of the chart, the whole chart, made with your settings.",
    )
    command.add_argument(
        "--output-dir", type=Path, default=CHART, metavar="DIR", help="where to (default: %(default)s)"
    )
    own.add_settings(command)
    options = parser.parse_args(argv)
    try:
        own.refuse_committed(options, CHART)
        thresholds, _layers = own.load(options)
        refuse_broken(thresholds)
        write(files(thresholds), options.output_dir)
    except (MonitorError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0
