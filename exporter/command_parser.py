"""The parser of all command lines: says of what is not understood which command or option may be meant."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NoReturn

from ml_monitoring.exporter.redaction import redact
from ml_monitoring.exporter.suggestions import suggestion, suggestion_or_all

_OPTION: Final = re.compile(r"--?[a-z][a-z.-]*")
_SHORT_OPTION: Final = re.compile(r"-[A-Za-z]")
_SETTINGS_FILE: Final = re.compile(r"[\w./-]{1,100}\.ya?ml")
# Options for one thing: each command takes one or none of them, and other programs take the others.
_SAME: Final = (
    ("--version", "-V", "-v"),
    ("--config", "--settings", "-c"),
    (
        *("--web.listen-address", "--listen", "--listen-address", "--address", "--addr", "--bind", "--host", "--port"),
        *("--web.host", "--web.port", "-p"),
    ),
    ("--log.level", "--debug", "--quiet", "--verbose", "-q", "-v"),
    ("--output-dir", "--out", "--output", "--directory", "-o"),
)
# How argparse begins to say what is missing.
_REQUIRED: Final = "the following arguments are required: "
_WORD: Final = re.compile(r"[A-Za-z-]{1,30}")
# Longer than any usage.
_ONE_LINE: Final = 10_000


class FromVariable(str):
    """A default that a variable of the environment gave, which is named where something is wrong with it."""

    variable: str


class CommandParser(argparse.ArgumentParser):
    """Says of a wrong command, option or choice which one may be meant.

    What was given is said only where it is a plain word: it may be a secret in the wrong place.

    Attributes:
        whole: Returns the parser of all commands, of which another one may be meant.
    """

    whole: Callable[[], argparse.ArgumentParser] | None = None

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
            chosen = self.chosen(sys.argv[1:] if args is None else args)
            near = _meant(option, chosen._option_string_actions)
            chosen.error(
                f"there is no option {option}{near}" if option else f"more arguments than the command takes{hint}"
            )
        return options

    def chosen(self, args: Sequence[str]) -> argparse.ArgumentParser:
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
        start, colon, names = message.partition(_REQUIRED)
        if colon and not start:
            message = _REQUIRED + ", ".join(map(self._with_value, names.split(", ")))
        super().error(redact(message))

    def format_usage(self) -> str:
        """Return one line above a message: what must be given, as `--help` lists the rest."""
        formatter = argparse.HelpFormatter(self.prog, width=_ONE_LINE)
        shown = [one for one in self._actions if one.required or not one.option_strings or one.dest == "help"]
        formatter.add_usage(None, shown, [group for group in self._mutually_exclusive_groups if group.required])
        return formatter.format_help()

    def parse_known_args(self, args: Iterable[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parse as argparse does, but for an option that there is not."""
        given = sys.argv[1:] if args is None else list(args)
        for word in self._own_options(given):
            name = word.partition("=")[0]
            if not any(option.startswith(name) for option in self._option_string_actions):
                misplaced = self._behind_command(name, given)
                meant = _meant(name, self._option_string_actions)
                self.error(misplaced or f"there is no option {name}{meant}")
        return super().parse_known_args(given, namespace)

    def _behind_command(self, option: str, given: Sequence[str]) -> str:
        """Return where an option belongs that stands before the command that takes it; empty where none does."""
        chosen = self.chosen(given)
        if chosen is self and any(other in self._option_string_actions for other in _others(option)):
            return ""
        commands = [chosen] if chosen is not self else [below for _, below in _commands(self)]
        for command in commands:
            known = command._option_string_actions
            if name := next((name for name in (option, *_others(option)) if name in known), ""):
                place = next(place for place, word in enumerate(given) if word.partition("=")[0] == option)
                value = given[place].partition("=")[2] or "".join(given[place + 1 : place + 2])
                shown = f" {value}" if _SETTINGS_FILE.fullmatch(value) else "" if known[name].nargs == 0 else " ..."
                return f"{option} belongs behind the command: {command.prog} {name}{shown}"
        return ""

    def _with_value(self, name: str) -> str:
        action = self._option_string_actions.get(name.partition("/")[0])
        return f"{name} {action.metavar or action.dest.upper()}" if action is not None else name

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            meant = suggestion(str(value), known)
            if not meant and isinstance(action, argparse._SubParsersAction):
                option = f"--{value}"
                meant = f"; did you mean {option}?" if option in self._option_string_actions else self._elsewhere(value)
            meant = meant or suggestion_or_all(str(value), known)
            shown = repr(value) if _WORD.fullmatch(str(value)) else "such choice"
            raise argparse.ArgumentError(action, f"there is no {shown}{meant}")

    def _elsewhere(self, command: str) -> str:
        """Return which commands of this name there are elsewhere, as the end of a message."""
        # What another command needs may not be installed.
        with suppress(ModuleNotFoundError):
            found = [words for words, _ in _commands(self.whole()) if words[-1] == command] if self.whole else []
            return f"; did you mean {' or '.join(map(' '.join, found))}?" if found else ""
        return ""

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        if action.type is Path and "://" in arg_string:
            raise argparse.ArgumentError(action, "holds an address, where the path of a file or folder belongs")
        if isinstance(arg_string, FromVariable):
            try:
                return super()._get_value(action, str(arg_string))
            except (argparse.ArgumentError, argparse.ArgumentTypeError) as error:
                message = error.message if isinstance(error, argparse.ArgumentError) else str(error)
                raise argparse.ArgumentError(None, f"{arg_string.variable}: {message}") from None
        if action.type is int and not re.fullmatch(r"[+-]?\d+", arg_string):
            raise argparse.ArgumentError(action, "is no whole number")
        try:
            return super()._get_value(action, arg_string)
        except argparse.ArgumentError:
            if action.type is float:
                raise argparse.ArgumentError(action, "is no number") from None
            raise

    def _get_option_tuples(self, option_string: str) -> Any:
        """Return the options that a beginning of one may mean; two names of one option are one."""
        found: list[Any] = super()._get_option_tuples(option_string)
        return found[:1] if len({one[0].dest for one in found}) == 1 else found

    def _own_options(self, given: Sequence[str]) -> Iterator[str]:
        """Yield what looks like an option of this parser, and not of one below it."""
        below = any(action.nargs in (argparse.PARSER, argparse.REMAINDER) for action in self._actions)
        for word in given:
            if word == "--" or (below and not word.startswith("-")):
                return
            if word.startswith("--") or _SHORT_OPTION.fullmatch(word):
                yield word


def _others(option: str) -> Iterator[str]:
    """Yield the options that are for the same thing as another."""
    return (other for options in _SAME if option in options for other in options)


def _commands(
    parser: argparse.ArgumentParser, *words: str
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Yield the words and the parser of each command, those that have commands of their own as well."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield (*words, name), below
                yield from _commands(below, *words, name)


def _meant(option: str, known: Collection[str]) -> str:
    """Return which option may be meant by one that there is not, as the end of a message."""
    other = next((other for other in _others(option) if other in known), "")
    return f"; did you mean {other}?" if other else suggestion(option, known)
