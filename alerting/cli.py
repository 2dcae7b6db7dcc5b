"""The command line: `python -m alerting generate`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from alerting import generate, thresholds
from alerting.alerts import ALERTS
from exporter.errors import ConfigError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        return _generate(arguments)
    except (ConfigError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m alerting", description="Recording rules, alerts and routing.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("generate", help="write the files that Prometheus and Alertmanager read")
    command.add_argument(
        "--thresholds",
        type=Path,
        default=thresholds.DEFAULT_PATH,
        metavar="FILE",
        help="the numbers (default: alerting/thresholds.yml)",
    )
    command.add_argument(
        "--output-dir",
        type=Path,
        default=generate.DEFAULT_DIRECTORY,
        metavar="DIR",
        help="where to write (default: alerting/generated)",
    )
    command.add_argument("--webhook-url", metavar="URL", help="post notifications here, whatever FILE says")
    return parser


def _generate(arguments: argparse.Namespace) -> int:
    numbers = thresholds.read(ALERTS, arguments.thresholds).overridden(os.environ, webhook=arguments.webhook_url)
    generate.write(generate.files(numbers), arguments.output_dir)
    return 0
