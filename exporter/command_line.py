"""What all command lines of the stack have in common: exit codes, errors in one line, `--version`.

| exit code | means                                                                              |
|-----------|------------------------------------------------------------------------------------|
| 0         | done, and all is well                                                              |
| 1         | not done, or something that was checked is not well; standard error says what      |
| 2         | the command was not understood; standard error shows how it is used                |
| 130       | interrupted by Ctrl-C                                                              |
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from ml_monitoring.exporter import durations, version
from ml_monitoring.exporter.errors import ConfigError, MonitorError

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

# Packages that only some commands need, and the extra of the distribution that brings each.
EXTRAS: Final = {
    "grafanalib": "dashboards",
    "requests": "dashboards",
    "markdown_it": "render",
    "matplotlib": "render",
    "numpy": "render",
    "plotly": "render",
    "pyarrow": "fleet",
    "pymysql": "mysql",
}


class _Version(argparse.Action):
    """Print the version; made when it is asked for, as it may have to run git."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_arguments: Any) -> None:
        print(version.describe())
        parser.exit()


def new_parser(prog: str, description: str, **options: Any) -> argparse.ArgumentParser:
    """Return a parser that has `--version`; the options are those of `argparse.ArgumentParser`."""
    parser = argparse.ArgumentParser(prog=prog, description=description, **options)
    parser.add_argument("--version", action=_Version)
    return parser


def add_subparsers(parser: argparse.ArgumentParser) -> Commands:
    """Return the parser's subparsers, of which one must be given."""
    return parser.add_subparsers(required=True, metavar="COMMAND")


def duration(text: str) -> float:
    """Return the seconds of an argument such as `90s` or `1h30m`, for `type=`."""
    if seconds := duration_or_zero(text):
        return seconds
    raise argparse.ArgumentTypeError("must be longer than 0")


def duration_or_zero(text: str) -> float:
    """Return the seconds of an argument that may be 0, for `type=`."""
    try:
        return durations.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    """Parse the arguments, call the `command` that they name with them, and return the exit code."""
    try:
        options = parser.parse_args(arguments)
        return int(options.command(options))
    except ConfigError as error:
        for problem in error.problems:
            _complain(problem)
        return 1
    except BrokenPipeError:
        # `once | head` closes the pipe; Python would complain again when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (MonitorError, OSError) as error:
        _complain(str(error))
        return 1
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        _complain(f"{error.name} is not installed: pip install '{version.NAME}[{extra}]'")
        return 1
    except KeyboardInterrupt:
        return 130


def _complain(problem: str) -> None:
    print(f"error: {problem}", file=sys.stderr)
