"""The command `ml-monitoring queries import`."""

from __future__ import annotations

import argparse
import sys

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from ml_monitoring.exporter import command_line
from ml_monitoring.exporter.sources.queries.conversion import convert


def add_commands(commands: command_line.Commands) -> None:
    """Add the commands to a parser's subparsers."""
    purpose = (
        "print settings made of a configuration of query-exporter or sql_exporter, and list what could not be taken"
    )
    command = commands.add_parser("import", help=purpose, description=purpose)
    command.add_argument(
        "file", type=command_line.path, metavar="FILE", help="query-exporter's or sql_exporter's configuration"
    )
    command.set_defaults(command=_import)


def _import(options: argparse.Namespace) -> int:
    conversion = convert(options.file)
    for query in conversion.queries.values():
        query["sql"] = LiteralScalarString(query["sql"].strip() + "\n")
    for kind, lines in (("not taken", conversion.left_out), ("to do", conversion.tasks)):
        for line in lines:
            print(f"{kind}: {line}", file=sys.stderr)
    if not conversion.queries:
        if not conversion.left_out:
            print(f"{options.file}: holds no query", file=sys.stderr)
        return 1
    writer = YAML()
    writer.width = 4096
    writer.dump({"sources": {"queries": conversion.queries}}, sys.stdout)
    return 0
