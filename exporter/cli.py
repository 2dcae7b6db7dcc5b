"""The command line: serve, once and check."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ml_monitoring.exporter import checks, command_line, logs
from ml_monitoring.exporter.app import read_once, serve
from ml_monitoring.exporter.config import CONFIG_PATH_VARIABLE, Settings, load
from ml_monitoring.exporter.errors import ConfigError

_EPILOG = f"""\
Settings come from the file given by --config or ${CONFIG_PATH_VARIABLE}, and from environment variables:
ML_MONITORING_SOURCES__MLFLOW__URI sets sources.mlflow.uri, and the same name with _FILE appended reads it from a file.
"""


def main(arguments: Sequence[str] | None = None, *, prog: str = "ml-monitoring") -> int:
    """Run a command and return the exit code (see `command_line`)."""
    parser = command_line.new_parser(
        prog,
        "Prometheus exporter for MLflow stores, variant tables and fleet files.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_commands(command_line.add_subparsers(parser))
    return command_line.run(parser, arguments)


def add_commands(commands: command_line.Commands) -> None:
    """Add the exporter's commands to a parser's subparsers."""
    for name, command, purpose in (
        ("serve", _serve, "serve metrics over HTTP until SIGTERM; SIGHUP reads the settings again"),
        ("once", _once, "read every source once, print the metrics and exit"),
        ("check", _check, "try everything that is configured and say what is wrong"),
    ):
        subparser = commands.add_parser(
            name,
            help=purpose,
            description=purpose,
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        subparser.add_argument(
            "--config", type=Path, metavar="FILE", help=f"settings (default ${CONFIG_PATH_VARIABLE})"
        )
        subparser.set_defaults(command=command)


def _load(options: argparse.Namespace) -> tuple[Path | None, Settings]:
    path = options.config
    if path is None and os.environ.get(CONFIG_PATH_VARIABLE):
        path = Path(os.environ[CONFIG_PATH_VARIABLE])
    settings = load(path)
    logs.setup(settings.log.level, settings.log.format)
    return path, settings


def _serve(options: argparse.Namespace) -> int:
    serve(*_load(options))
    return 0


def _once(options: argparse.Namespace) -> int:
    _path, settings = _load(options)
    text, succeeded = read_once(settings)
    sys.stdout.buffer.write(text)
    sys.stdout.flush()
    return 0 if succeeded else 1


def _check(options: argparse.Namespace) -> int:
    try:
        path, settings = _load(options)
    except ConfigError as error:
        results = [checks.Result("settings", False, problem) for problem in error.problems]
    else:
        found = str(path) if path else "from the environment"
        results = [checks.Result("settings", True, found), *checks.run(settings)]
    width = max(len(result.subject) for result in results)
    for result in results:
        print(f"{'ok  ' if result.ok else 'FAIL'}  {result.subject:{width}}  {result.message}")
    return 0 if all(result.ok for result in results) else 1
