"""The commands `ml-monitoring services ...`: which servers are there to read?"""

from __future__ import annotations

import argparse

from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.commands.arguments import add_server
from ml_monitoring.alerting.services.adapters import ADAPTERS
from ml_monitoring.alerting.services.discover import discover, lines
from ml_monitoring.exporter import command_line


def add_commands(commands: command_line.Commands) -> None:
    """Add the commands to a parser's subparsers."""
    purpose = "say which jobs of Prometheus have a server that an adapter reads, and print the settings for them"
    parser = commands.add_parser("discover", help=purpose, description=purpose)
    own.add_settings(parser)
    add_server(parser, "prometheus", "http://127.0.0.1:9090")
    parser.set_defaults(command=_discover)


def _discover(options: argparse.Namespace) -> int:
    thresholds, _layers = own.load(options)
    print("\n".join(lines(discover(options.prometheus, ADAPTERS.values()), thresholds.services.adapters)))
    return 0
