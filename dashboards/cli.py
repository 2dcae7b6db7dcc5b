"""The command line: what can be done with the pages."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ml_monitoring.dashboards.commands import publishing, viewing
from ml_monitoring.dashboards.commands.generate import OUTPUT_DIR, generate
from ml_monitoring.exporter.errors import ConfigError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status: 0 good, 1 not, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except ConfigError as error:
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dashboards", description="Grafana dashboards as code.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    generating = commands.add_parser("generate", help="write the dashboards' JSON", description="Write the JSON.")
    generating.add_argument(
        "--output-dir", type=Path, default=OUTPUT_DIR, metavar="DIR", help="where to (default: dashboards/generated)"
    )
    generating.set_defaults(command=_generate)
    viewing.add_commands(commands)
    publishing.add_commands(commands)
    return parser


def _generate(options: argparse.Namespace) -> int:
    for path in generate(options.output_dir):
        print(path)
    return 0
