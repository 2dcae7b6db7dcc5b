"""The command line: what can be done with the pages."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from ml_monitoring.dashboards.commands import OUTPUT_DIR, publishing, viewing
from ml_monitoring.exporter import command_line
from ml_monitoring.exporter.version import CHECKOUT


def main(arguments: Sequence[str] | None = None, *, prog: str = "ml-monitoring dashboards") -> int:
    """Run a command and return the exit code (see `ml_monitoring.exporter.command_line`)."""
    parser = command_line.new_parser(prog, "Grafana dashboards as code.")
    add_commands(command_line.add_subparsers(parser))
    return command_line.run(parser, arguments)


def add_commands(commands: command_line.Commands) -> None:
    """Add the commands to a parser's subparsers."""
    generating = commands.add_parser("generate", help="write the dashboards' JSON", description="Write the JSON.")
    generating.add_argument(
        "--output-dir",
        type=Path,
        default=OUTPUT_DIR,
        required=CHECKOUT is None,
        metavar="DIR",
        help="where to (default in a checkout: dashboards/generated)",
    )
    generating.set_defaults(command=_generate)
    viewing.add_commands(commands)
    publishing.add_commands(commands)


def _generate(options: argparse.Namespace) -> int:
    # Here, as it brings grafanalib, which the other commands do without.
    for path in import_module("ml_monitoring.dashboards.commands.generate").generate(options.output_dir):
        print(path)
    return 0
