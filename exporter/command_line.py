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
import errno
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from importlib import import_module
from importlib.util import find_spec
from math import inf
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias

from ml_monitoring.exporter import durations, version
from ml_monitoring.exporter.errors import ConfigError, MonitorError
from ml_monitoring.exporter.http_addresses import problem_of
from ml_monitoring.exporter.redaction import redact
from ml_monitoring.exporter.suggestions import suggestion, suggestion_or_all

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

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

_OPTION: Final = re.compile(r"--?[a-z][a-z.-]*")
_TIME_OF_DAY: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_FARTHEST: Final = timedelta(days=366)
_SETTINGS_FILE: Final = re.compile(r"[\w./-]{1,100}\.ya?ml")
# Options for one thing: each command takes one or none of them, and other programs take the others.
_SAME: Final = (
    ("--config", "--settings", "-c"),
    (
        *("--web.listen-address", "--listen", "--listen-address", "--address", "--addr", "--bind", "--host", "--port"),
        *("--web.host", "--web.port", "-p"),
    ),
    ("--log.level", "--debug", "--quiet", "--verbose", "-q", "-v"),
    ("--output-dir", "--out", "--output", "--directory", "-o"),
)
_WORD: Final = re.compile(r"[A-Za-z-]{1,30}")


class _Version(argparse.Action):
    """Print the version; made when it is asked for, as it may have to run git."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_arguments: Any) -> None:
        print(version.describe())
        parser.exit()


class _FromVariable(str):
    """A default that a variable of the environment gave, which is named where something is wrong with it."""

    variable: str


class CommandParser(argparse.ArgumentParser):
    """Says of a wrong command, option or choice which one may be meant.

    What was given is said only where it is a plain word: it may be a secret in the wrong place.
    """

    def parse_args(  # type: ignore[override]  # nobody gives a namespace of another type
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Parse as argparse does, but for words that the command does not take."""
        options: argparse.Namespace
        options, superfluous = self.parse_known_args(args, namespace)
        if superfluous:
            option = next((word for word in superfluous if _OPTION.fullmatch(word)), "")
            files = "--config" if "files" in options else "--settings" if "settings" in options else ""
            # Of what was given only a plain word is said: it may be a secret in the wrong place.
            word = next(filter(_WORD.fullmatch, superfluous), "")
            hint = f": {word!r} is one too many; words that belong together stand in quotes" if word else ""
            if files and (file := next(filter(_SETTINGS_FILE.fullmatch, superfluous), "")):
                hint = f": settings are given by {files} {file}"
            if any("://" in word for word in superfluous):
                hint = ": an address belongs behind the option that takes it"
                if "files" in options:
                    hint = (
                        ": an address belongs in the settings, such as sources.mlflow.uri in a file given by --config"
                    )
            chosen = self._chosen(sys.argv[1:] if args is None else args)
            near = _meant(option, chosen._option_string_actions)
            chosen.error(
                f"there is no option {option}{near}" if option else f"more arguments than the command takes{hint}"
            )
        return options

    def _chosen(self, args: Sequence[str]) -> argparse.ArgumentParser:
        """Return the parser of the command that the arguments name."""
        chosen: argparse.ArgumentParser = self
        for word in args:
            for action in chosen._actions:
                if isinstance(action, argparse._SubParsersAction) and word in action.choices:
                    chosen = action.choices[word]
                    break
        return chosen

    def error(self, message: str) -> NoReturn:
        """Print usage and message, and exit."""
        below = (action for action in self._actions if isinstance(action, argparse._SubParsersAction))
        if (commands := next(below, None)) and message.endswith(f": {commands.metavar}"):
            message = f"give a {str(commands.metavar).lower()}: {', '.join(commands.choices)}"
        super().error(redact(message))

    def parse_known_args(self, args: Iterable[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parse as argparse does, but for an option that there is not."""
        given = sys.argv[1:] if args is None else list(args)
        for word in self._own_options(given):
            name = word.partition("=")[0]
            if not any(option.startswith(name) for option in self._option_string_actions):
                self.error(f"there is no option {name}{_meant(name, self._option_string_actions)}")
        return super().parse_known_args(given, namespace)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            meant = suggestion_or_all(str(value), map(str, action.choices))
            shown = repr(value) if _WORD.fullmatch(str(value)) else "such choice"
            raise argparse.ArgumentError(action, f"there is no {shown}{meant}")

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        if action.type is Path and "://" in arg_string:
            raise argparse.ArgumentError(action, "holds an address, where the path of a file or folder belongs")
        if isinstance(arg_string, _FromVariable):
            try:
                return super()._get_value(action, str(arg_string))
            except (argparse.ArgumentError, argparse.ArgumentTypeError) as error:
                message = error.message if isinstance(error, argparse.ArgumentError) else str(error)
                raise argparse.ArgumentError(None, f"{arg_string.variable}: {message}") from None
        if action.type is int and not re.fullmatch(r"[+-]?\d+", arg_string):
            raise argparse.ArgumentError(action, "is no whole number")
        return super()._get_value(action, arg_string)

    def _own_options(self, given: Sequence[str]) -> Iterator[str]:
        """Yield what looks like an option of this parser, and not of one below it."""
        below = any(action.nargs in (argparse.PARSER, argparse.REMAINDER) for action in self._actions)
        for word in given:
            if word == "--" or (below and not word.startswith("-")):
                return
            if word.startswith("--"):
                yield word


def _meant(option: str, known: Collection[str]) -> str:
    """Return which option may be meant by one that there is not, as the end of a message."""
    same = (other for options in _SAME if option in options for other in options if other in known)
    other = next(same, "")
    return f"; did you mean {other}?" if other else suggestion(option, known)


def new_parser(prog: str, description: str, **options: Any) -> CommandParser:
    """Return a parser that has `--version`; the options are those of `argparse.ArgumentParser`."""
    parser = CommandParser(prog=prog, description=description, **options)
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
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


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
    value = _FromVariable(given)
    value.variable = name
    return value


def address(text: str) -> str:
    """Return an argument that is an http(s) address, for `type=`; what is wrong names no part of a password."""
    if problem := problem_of(text):
        raise argparse.ArgumentTypeError(problem)
    return text


def run(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    """Parse the arguments, call the `command` that they name with them, and return the exit code."""

    def parsed() -> int:
        options = parser.parse_args(arguments)
        try:
            return int(options.command(options))
        except OSError as error:
            folder = getattr(options, "output_dir", None)
            if folder is not None and error.filename is not None and Path(error.filename).is_relative_to(folder):
                raise ConfigError([f"--output-dir: {sentence}" for sentence in _sentences(error)]) from None
            raise

    return guarded(parsed)


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
    return 1


def _sentences(error: MonitorError | OSError | ModuleNotFoundError) -> Sequence[str]:
    """Return what an error says to users; one that is a defect is raised again."""
    if isinstance(error, ConfigError):
        return error.problems
    if isinstance(error, FileExistsError) and error.filename:
        # Files are overwritten: it is a folder that could not be made.
        return [f"{error.filename}: is a file, not a folder"]
    if isinstance(error, OSError) and error.filename and error.strerror:
        return [f"{error.filename}: {error.strerror}"]
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return [f"what is printed cannot be written: {error.strerror}"]
    if isinstance(error, ModuleNotFoundError):
        command = how_to_install((error.name or "").partition(".")[0])
        if not command:
            raise error
        return [f"{error.name} is not installed: {command}"]
    return [str(error)]


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
