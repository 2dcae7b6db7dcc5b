"""The command line: serve, once, check, config and init."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ml_monitoring.exporter import checks, command_line, logs
from ml_monitoring.exporter.app import read_once, serve
from ml_monitoring.exporter.config import FLAGS, Reading, Settings, read_all
from ml_monitoring.exporter.environment import DEFAULT_FILES, FILES_VARIABLE, STORE_VARIABLES, settings_files
from ml_monitoring.exporter.errors import ConfigError, SettingError
from ml_monitoring.exporter.init import cli as init
from ml_monitoring.exporter.logs import event
from ml_monitoring.exporter.settings_file import Layers

_log = logging.getLogger(__name__)

_EPILOG = f"""\
Settings come from files, over them from environment variables, over them from flags. Without --config.file the files
are those of ${FILES_VARIABLE}, else the first of {" and ".join(map(str, DEFAULT_FILES))} that exists.
ML_MONITORING_SOURCES__MLFLOW__URI sets sources.mlflow.uri, and the same name with _FILE appended reads it from a file.
Where nothing else says what to read, {" or ".join(STORE_VARIABLES)} does.
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
    for name, command, purpose, flags in (
        ("serve", _serve, "serve metrics over HTTP until SIGTERM; SIGHUP reads the settings again", tuple(FLAGS)),
        ("once", _once, "read every source once, print the metrics and exit", ("--log.level", "--log.format")),
        ("check", _check, "try everything that is configured and say what is wrong", tuple(FLAGS)),
        ("config", _config, "print the settings in force, secrets masked, and where each comes from", tuple(FLAGS)),
    ):
        subparser = commands.add_parser(
            name,
            help=purpose,
            description=purpose,
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        subparser.add_argument(
            "--config.file",
            "--config",
            dest="files",
            action="append",
            type=command_line.path,
            metavar="FILE",
            help="settings; repeat for several: they are merged, the last one goes first",
        )
        for flag in flags:
            subparser.add_argument(flag, dest=flag, **_OPTIONS[flag])
        if command is _check:
            subparser.add_argument(
                "--syntax-only",
                action="store_true",
                help="check the settings and experiments in files alone, and connect to nothing, as for CI",
            )
        subparser.set_defaults(command=command)
    init.add_command(commands)


_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "--web.listen-address": {
        "action": "append",
        "metavar": "ADDRESS",
        "help": "where to listen: host:port, [::1]:port, or :port for all addresses; repeat for several",
    },
    "--web.telemetry-path": {"metavar": "PATH", "help": "path of the metrics (default /metrics)"},
    "--web.config.file": {
        "type": Path,
        "metavar": "FILE",
        "help": "TLS, basic authentication and rate limit, as for Prometheus's own exporters",
    },
    "--web.enable-lifecycle": {
        "action": "store_const",
        "const": True,
        "help": "let POST requests to /-/reload and /-/reset/SOURCE in",
    },
    "--log.level": {"metavar": "LEVEL", "help": "debug, info, warning or error (default info)"},
    "--log.format": {"metavar": "FORMAT", "help": "logfmt or json (default logfmt)"},
}


def _read_all(options: argparse.Namespace) -> Reading:
    given = vars(options)
    flags = {flag: given[flag] for flag in FLAGS if given.get(flag) is not None}
    return read_all(settings_files(options.files), flags=flags)


def _read(options: argparse.Namespace) -> tuple[Settings, Layers]:
    return _read_all(options).whole()


def _start(options: argparse.Namespace) -> tuple[Settings, Layers]:
    settings, layers = _read(options)
    _begin(settings, layers)
    return settings, layers


def _begin(settings: Settings, layers: Layers) -> None:
    logs.setup(settings.log.level, settings.log.format)
    place = layers.place(("sources", "mlflow", "uri"))
    if place is not None and place.origin in STORE_VARIABLES:
        event(_log, logging.INFO, "MLflow store taken from the environment", variable=place.origin)


def _serve(options: argparse.Namespace) -> int:
    settings, layers = _start(options)
    try:
        serve(settings, lambda: _read(options)[0])
    except SettingError as error:
        raise ConfigError([layers.problem(error.location, error.message)]) from None
    return 0


def _once(options: argparse.Namespace) -> int:
    text, succeeded = read_once(_start(options)[0])
    sys.stdout.buffer.write(text)
    sys.stdout.flush()
    return 0 if succeeded else 1


def _check(options: argparse.Namespace) -> int:
    try:
        reading = _read_all(options)
    except ConfigError as error:
        results = [checks.Result("settings", False, problem) for problem in error.problems]
    else:
        found = ", ".join(map(str, settings_files(options.files))) or "from the environment"
        results = [checks.Result("settings", False, problem) for problem in reading.problems]
        results = results or [checks.Result("settings", True, found)]
        if (settings := reading.settings) is not None:
            _begin(settings, reading.layers)
            tried = checks.declarations if options.syntax_only else checks.run
            results += tried(settings, reading.layers, reading.checked)
    for line in checks.lines(results):
        print(line)
    return 0 if all(result.ok for result in results) else 1


def _config(options: argparse.Namespace) -> int:
    # Only this command needs it.
    from ml_monitoring.exporter import settings_text  # noqa: PLC0415

    print(settings_text.write(*_read(options)), end="")
    return 0
