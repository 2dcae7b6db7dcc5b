"""The command line: a command is a module of `commands/` and its line here."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType, ModuleType

from ml_monitoring.alerting.commands import (
    backtest,
    diff,
    document,
    explain,
    fire,
    generate,
    grafana,
    log,
    maintenance,
    maintenance_end,
    route,
    silences,
    unit_test,
)
from ml_monitoring.alerting.commands.arguments import SERVERS
from ml_monitoring.exporter import command_line
from ml_monitoring.exporter.http_client import RemoteError

COMMANDS: Mapping[str, ModuleType] = MappingProxyType(
    {
        "generate": generate,
        "diff": diff,
        "grafana": grafana,
        "document": document,
        "log": log,
        "explain": explain,
        "route": route,
        "test-fire": fire,
        "maintenance": maintenance,
        "maintenance-end": maintenance_end,
        "silences": silences,
        "backtest": backtest,
        "test": unit_test,
    }
)


def main(arguments: Sequence[str] | None = None, *, prog: str = "ml-monitoring alerts") -> int:
    """Run a command and return the exit code (see `ml_monitoring.exporter.command_line`)."""
    parser = command_line.new_parser(prog, "Recording rules, alerts and routing.")
    add_commands(command_line.add_subparsers(parser))
    return command_line.run(parser, arguments)


def add_commands(commands: command_line.Commands) -> None:
    """Add the commands to a parser's subparsers."""
    for name, module in COMMANDS.items():
        parser = commands.add_parser(name, help=module.HELP, description=getattr(module, "DESCRIPTION", module.HELP))
        module.add_arguments(parser)
        parser.set_defaults(command=partial(_run, module.run))


def _run(run: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    """Run a command; where a server does not answer, say how another one is named."""
    try:
        return run(options)
    except RemoteError as error:
        asked = [name for name in SERVERS if name in options]
        if error.status or not asked:
            raise
        given = " or ".join(f"--{name} URL (${name.upper()}_URL)" for name in asked)
        raise RemoteError(f"{error}; give another address with {given}") from error
