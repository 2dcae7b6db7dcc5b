"""The command line: a command is a module of `commands/` and its line here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType, ModuleType

from ml_monitoring.alerting.commands import (
    backtest,
    document,
    explain,
    fire,
    generate,
    grafana,
    log,
    maintenance,
    maintenance_end,
    route,
    unit_test,
)
from ml_monitoring.exporter import command_line

COMMANDS: Mapping[str, ModuleType] = MappingProxyType(
    {
        "generate": generate,
        "grafana": grafana,
        "document": document,
        "log": log,
        "explain": explain,
        "route": route,
        "test-fire": fire,
        "maintenance": maintenance,
        "maintenance-end": maintenance_end,
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
        parser.set_defaults(command=module.run)
