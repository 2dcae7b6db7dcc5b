"""The command line: what can be done with the pages. A command is a module of `commands/` and its line here."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Final

from ml_monitoring.alerting import options as own
from ml_monitoring.dashboards.commands import (
    data,
    diff,
    export,
    generate,
    prove,
    pull,
    push,
    push_alerts,
    render,
    report,
    serve,
)
from ml_monitoring.dashboards.render.errors import RenderError
from ml_monitoring.exporter import command_line
from ml_monitoring.exporter.errors import MonitorError

# All are light to import: what draws, or talks to Grafana, is loaded when a command runs.
COMMANDS: Mapping[str, ModuleType] = MappingProxyType(
    {
        "generate": generate,
        "render": render,
        "serve": serve,
        "prove": prove,
        "data": data,
        "report": report,
        "diff": diff,
        "push": push,
        "push-alerts": push_alerts,
        "pull": pull,
        "export": export,
    }
)
_DRAWING: Final = (render, serve, prove, data, report)


def main(arguments: Sequence[str] | None = None, *, prog: str = "ml-monitoring dashboards") -> int:
    """Run a command and return the exit code (see `ml_monitoring.exporter.command_line`)."""
    parser = command_line.new_parser(prog, "Grafana dashboards as code.")
    add_commands(command_line.add_subparsers(parser))
    return command_line.run(parser, arguments)


def add_commands(commands: command_line.Commands) -> None:
    """Add the commands to a parser's subparsers."""
    for name, module in COMMANDS.items():
        parser = commands.add_parser(name, help=module.HELP, description=module.DESCRIPTION)
        module.add_arguments(parser)
        parser.set_defaults(command=_translated(module.run, draws=module in _DRAWING))


def _translated(run: Callable[[argparse.Namespace], int], *, draws: bool) -> Callable[[argparse.Namespace], int]:
    """Return the command with the renderer's errors, which know nothing of this project, as the project's own.

    Of packages that are not installed all that the command needs are named, not the first.
    """

    def command(options: argparse.Namespace) -> int:
        try:
            return run(options)
        except RenderError as error:
            raise MonitorError(str(error)) from error
        except ModuleNotFoundError:
            # Pages by the defaults are written already.
            makes_pages = not draws or own.settings_files(options) not in ([], [Path(os.devnull)])
            command_line.require(*(["dashboards"] if makes_pages else []), *(["render"] if draws else []))
            raise

    return command
