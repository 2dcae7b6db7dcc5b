"""The command `ml-monitoring`: the exporter's commands, `completion`, and groups of commands (`_GROUPS`).

Only the commands that the arguments name are imported: serving metrics needs nothing that draws.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Final

from ml_monitoring.exporter import command_line
from ml_monitoring.exporter.command_parser import CommandParser

_EXPORTER = "ml_monitoring.exporter.cli"
# Commands with commands of their own: where those are, and what they are about.
_GROUPS: Final = {
    "alerts": ("ml_monitoring.alerting.cli", "recording rules, alerts and routing: generate, explain, test, silence"),
    "services": ("ml_monitoring.alerting.commands.services", "model servers: which of them are there to read?"),
    "experiments": ("ml_monitoring.exporter.sources.experiments.cli", "experiments: what is read, and may one go on?"),
    "queries": (
        "ml_monitoring.exporter.sources.queries.cli",
        "metrics by query: taken over from query-exporter or sql_exporter",
    ),
    "new": (
        "ml_monitoring.dashboards.extensions.cli",
        "files of your own: a metric, a recording rule, an alert, a panel, a page or a source",
    ),
    "dashboards": ("ml_monitoring.dashboards.cli", "dashboards: generate, push, draw, prove, report, export"),
    "kubernetes": ("ml_monitoring.k8s.cli", "Kubernetes: write the Helm chart or manifests, with what is your own"),
}
_SHELLS = ("bash", "zsh")


def main(arguments: Sequence[str] | None = None, *, prog: str | None = None) -> int:
    """Run a command and return the exit code (see `ml_monitoring.exporter.command_line`)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    words = [argument for argument in arguments if not argument.startswith("-")]
    # Before the command only options stand, and their values where they are misplaced.
    chosen = next((word for word in words if word in _GROUPS or word == arguments[0]), next(iter(words), None))
    return command_line.guarded(lambda: command_line.run(new_parser(prog or Path(sys.argv[0]).name, chosen), arguments))


def new_parser(prog: str, chosen: str | None = None, *, complete: bool = False) -> CommandParser:
    """Return the parser of the command line.

    Args:
        prog: What the user typed to come here.
        chosen: The command that will be parsed; the others are not imported.
        complete: Import all commands.
    """
    parser = command_line.new_parser(prog, "Monitoring of ML systems: Prometheus exporter, alerts and dashboards.")
    commands = command_line.add_subparsers(parser)
    parser.whole = whole = partial(new_parser, prog, complete=True)
    if complete or chosen not in {*_GROUPS, "completion"}:
        import_module(_EXPORTER).add_commands(commands)
    for name, (module, purpose) in _GROUPS.items():
        group = commands.add_parser(name, help=purpose, description=purpose)
        group.whole = whole
        if complete or chosen == name:
            import_module(module).add_commands(command_line.add_subparsers(group))
    purpose = "print the completion script of a shell"
    completion = commands.add_parser("completion", help=purpose, description=purpose)
    completion.add_argument("shell", choices=_SHELLS, help="the shell that is to run the script")
    completion.set_defaults(command=_completion)
    return parser


def _completion(options: argparse.Namespace) -> int:
    # Here, as no other command needs it.
    import shtab  # noqa: PLC0415

    # The command's name, under whatever path it was started: that is what the shell completes.
    parser = new_parser("ml-monitoring", complete=True)
    _complete_paths(parser)
    print(shtab.complete(parser, options.shell))
    return 0


def _complete_paths(parser: argparse.ArgumentParser) -> None:
    """Let the shell complete files and folders where the command takes them."""
    import shtab  # noqa: PLC0415

    for action in parser._actions:  # argparse has no public way to go through them
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                _complete_paths(subparser)
        elif action.type is Path:
            action.complete = shtab.DIRECTORY if action.metavar == "DIR" else shtab.FILE  # type: ignore[attr-defined]  # shtab reads it
