"""What all command lines of the stack have in common: exit codes, errors in one line, `--version`.

| exit code | means                                                                              |
|-----------|------------------------------------------------------------------------------------|
| 0         | done, and all is well                                                              |
| 1         | not done, or something that was checked is not well; standard error says what      |
| 2         | the command line cannot be: a command or option that there is not, an option's     |
|           | value that cannot be, or options that do not fit; standard error says what         |
| 130       | interrupted by Ctrl-C                                                              |
"""

from __future__ import annotations

import argparse
import errno
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from importlib import import_module
from importlib.util import find_spec
from math import inf
from pathlib import Path
from typing import Any, Final, TypeAlias

from ml_monitoring.exporter import durations, version
from ml_monitoring.exporter.command_parser import CommandParser, FromVariable
from ml_monitoring.exporter.errors import ConfigError, MonitorError, UsageError
from ml_monitoring.exporter.http_addresses import problem_of
from ml_monitoring.exporter.redaction import redact

Commands: TypeAlias = "argparse._SubParsersAction[CommandParser]"

# Packages of others, and the extra of the distribution that brings each; the distribution itself where it is empty.
EXTRAS: Final = {
    **dict.fromkeys(
        ("aiohttp", "bcrypt", "prometheus_client", "psycopg2", "pydantic", "pydantic_core", "ruamel", "shtab"), ""
    ),
    **dict.fromkeys(("typing_extensions", "yaml"), ""),
    "grafanalib": "dashboards",
    "requests": "dashboards",
    "markdown_it": "render",
    "matplotlib": "render",
    "numpy": "render",
    "plotly": "render",
    "pyarrow": "fleet",
    "pymysql": "mysql",
}

# What an extra brings besides, of which another one is named where it alone is missing.
_ALSO: Final = {"render": ("pyarrow", "requests")}

_TIME_OF_DAY: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")
_ERRNO: Final = re.compile(r"^\[Errno \d+\] ")
_FARTHEST: Final = timedelta(days=366)


class _Version(argparse.Action):
    """Print the version; made when it is asked for, as it may have to run git."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_arguments: Any) -> None:
        print(version.describe())
        parser.exit()


def new_parser(prog: str, description: str, **options: Any) -> CommandParser:
    """Return a parser that has `--version`; the options are those of `argparse.ArgumentParser`."""
    parser = CommandParser(prog=prog, description=description, **options)
    parser.add_argument("--version", action=_Version)
    return parser


def add_subparsers(parser: CommandParser) -> Commands:
    """Return the parser's subparsers, of which one must be given."""
    return parser.add_subparsers(required=True, metavar="COMMAND")


def text(given: str) -> str:
    """Return an argument that must not be empty, for `type=`."""
    if not given.strip():
        raise argparse.ArgumentTypeError("is empty")
    return given


def path(given: str) -> Path:
    """Return an argument that is a path, for `type=`: an empty one is a variable that is not set, not this folder."""
    return Path(text(given))


def host_name(given: str) -> str:
    """Return an argument that is the name of a host, for `type=`."""
    if not re.fullmatch(r"[\w.-]+", given):
        raise argparse.ArgumentTypeError("is not a name of a host: give it without scheme, port and path")
    return given


def duration(text: str) -> float:
    """Return the seconds of an argument such as `90s` or `1h30m`, for `type=`."""
    if seconds := duration_or_zero(text):
        return seconds
    raise argparse.ArgumentTypeError("must be longer than 0")


def days(text: str) -> float:
    """Return the days of an argument such as `7`, `0.5` or `2w`, for `type=`."""
    try:
        found = float(text) if text.replace(".", "", 1).isdecimal() else durations.parse(text) / 86_400
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days, nor a duration such as 2w") from None
    if found <= 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return found


def duration_or_zero(text: str) -> float:
    """Return the seconds of an argument that may be 0, for `type=`."""
    if _NUMBER.fullmatch(text) and float(text):
        raise argparse.ArgumentTypeError(f"{text!r} has no unit: write it as 500ms, 30s, 5m, 6h or 1d")
    try:
        return durations.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


def seconds(text: str) -> float:
    """Return the seconds of an argument such as `90s`, or of a number alone, for `type=`."""
    return positive(text) if _NUMBER.fullmatch(text) else duration(text)


def within_a_year(text: str) -> float:
    """Return the seconds of an argument that is a duration of a year at most, for `type=`."""
    if (found := duration(text)) > _FARTHEST.total_seconds():
        raise argparse.ArgumentTypeError(f"{text!r} is longer than a year")
    return found


def coming_moment(text: str) -> datetime:
    """Return an argument that is a moment of the coming year, in local time unless it names a zone, for `type=`."""
    # Without a zone, so that it is the clock's next 22:00 also where the clock changes before.
    now = datetime.now()  # noqa: DTZ005  # `astimezone` finds the zone of each moment
    try:
        if found := _TIME_OF_DAY.fullmatch(text):
            today = now.replace(hour=int(found[1]), minute=int(found[2]), second=0, microsecond=0)
            moment = (today if today > now else today + timedelta(days=1)).astimezone()
        elif ":" in text:
            moment = datetime.fromisoformat(text).astimezone()
        else:
            raise ValueError
    # Years at the edge of the calendar have no local time.
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time: write it as 22:00, 2026-12-01T22:00 or 2026-12-01T22:00+01:00"
        ) from None
    if moment <= now.astimezone():
        raise argparse.ArgumentTypeError(f"{moment_text(moment)} is past")
    if moment > now.astimezone() + _FARTHEST:
        raise argparse.ArgumentTypeError(f"{moment_text(moment)} is more than a year ahead")
    return moment


def moment_text(moment: datetime) -> str:
    """Return a moment to the minute as people read it, in local time."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M %Z}"


def positive(text: str) -> float:
    """Return an argument that is a number above 0, for `type=`."""
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 < number < inf:
        raise argparse.ArgumentTypeError("must be more than 0")
    return number


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return a `type=` of whole numbers between two, which may be either."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"must be from {low} to {high}")
        return number

    return parse


# Where to listen; 0 takes a free one.
PORT: Final = whole(0, 65535)


def variable_or(name: str, default: str) -> str:
    """Return what a variable holds, as the default of an option with a `type`; another default where it is not set."""
    given = os.environ.get(name)
    if given is None:
        return default
    value = FromVariable(given)
    value.variable = name
    return value


def address(text: str) -> str:
    """Return an argument that is an http(s) address, for `type=`; what is wrong names no part of a password."""
    if problem := problem_of(text):
        raise argparse.ArgumentTypeError(problem)
    return text


def run(parser: CommandParser, arguments: Sequence[str] | None) -> int:
    """Parse the arguments, call the `command` that they name with them, and return the exit code."""

    def parsed() -> int:
        options = parser.parse_args(arguments)
        try:
            return int(options.command(options))
        except OSError as error:
            folder = getattr(options, "output_dir", None)
            if folder is not None and error.filename is not None and Path(error.filename).is_relative_to(folder):
                raise ConfigError([f"--output-dir: {sentence}" for sentence in _sentences(error)]) from None
            if error.errno == errno.ENOSPC and error.filename is None and (target := _target(options)):
                raise ConfigError([f"{target}: {error.strerror}"]) from None
            raise

    return guarded(parsed)


def _target(options: argparse.Namespace) -> Path | None:
    """Return what a command writes into; None where it prints."""
    return next(filter(None, (getattr(options, name, None) for name in ("output_dir", "out", "output", "into"))), None)


def start(module: str, prog: str) -> int:
    """Import a module, call its `main` with what the user typed to come here, and return the exit code."""
    return guarded(lambda: int(import_module(module).main(prog=prog)))


def guarded(call: Callable[[], int]) -> int:
    """Return the exit code that a call returns; what stops it is said in a line."""
    try:
        return call()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # `once | head` closes the pipe; Python would complain again when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (MonitorError, OSError, ModuleNotFoundError) as error:
        for sentence in _sentences(error):
            print(f"error: {redact(sentence)}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    return 1


def _sentences(error: MonitorError | OSError | ModuleNotFoundError) -> Sequence[str]:
    """Return what an error says to users; one that is a defect is raised again."""
    if isinstance(error, ConfigError):
        return error.problems
    if isinstance(error, OSError):
        return [of_system(error)]
    if isinstance(error, ModuleNotFoundError):
        command = how_to_install((error.name or "").partition(".")[0])
        if not command:
            raise error
        return [f"{error.name} is not installed: {command}"]
    return [str(error)]


def of_system(error: OSError) -> str:
    """Return what the system says of a file, in words that hold for what it was wanted for."""
    if isinstance(error, shutil.Error):
        # A list of what could not be copied, all of it most likely for the same reason.
        _source, target, reason = error.args[0][0]
        return f"{target}: {_ERRNO.sub('', str(reason)).partition(':')[0]}"
    if isinstance(error, FileExistsError | NotADirectoryError) and error.filename:
        # Files are overwritten: it is a folder that could not be made, or one above it.
        path = Path(error.filename)
        above = (one for one in (path, *path.parents) if one.exists() and not one.is_dir())
        return f"{next(above, path)}: is a file, not a folder"
    if error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    if error.errno == errno.ENOSPC:
        return f"what is printed cannot be written: {error.strerror}"
    return str(error)


def spelled(*words: str) -> str:
    """Return a command of this program as it can be pasted where it was started: installed or in a checkout."""
    started = Path(sys.argv[0])
    if started.name == version.NAME:
        found = shutil.which(version.NAME)
        on_path = found is not None and Path(found).resolve() == started.resolve()
        program = [version.NAME if on_path else str(started)]
    else:
        python = Path(sys.executable)
        here = python.is_relative_to(Path.cwd())
        program = [str(python.relative_to(Path.cwd()) if here else python), "-m", "ml_monitoring"]
    return shlex.join([*program, *words])


def how_to_install(package: str) -> str:
    """Return the command that installs a package; empty where it is none of others that this project needs."""
    extra = EXTRAS.get(package)
    if extra is None:
        return ""
    if version.CHECKOUT is not None:
        return how_to_make_environment()
    return f"pip install '{version.NAME}[{extra}]'" if extra else f"pip install {version.NAME}"


def require(*extras: str) -> None:
    """Refuse a command of which packages are not installed, before one after the other is missed.

    Args:
        extras: Those of the distribution that the command needs.

    Raises:
        ConfigError: Packages are missing; all of them are named, and the one command that installs them.
    """
    missing = {
        extra: [
            package
            for package in (*(name for name, brings in EXTRAS.items() if brings == extra), *_ALSO.get(extra, ()))
            if find_spec(package) is None
        ]
        for extra in extras
    }
    if names := list(dict.fromkeys(package for packages in missing.values() for package in packages)):
        wanted = [extra for extra, packages in missing.items() if packages]
        command = f"pip install '{version.NAME}[{','.join(wanted)}]'"
        command = command if version.CHECKOUT is None else how_to_make_environment()
        raise ConfigError([f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} not installed: {command}"])


def how_to_make_environment() -> str:
    """Return what makes the environment of a checkout, with everything."""
    return f"run `make -C {shlex.quote(str(version.CHECKOUT))} .venv`, and then this with .venv/bin/python"
