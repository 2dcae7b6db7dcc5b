"""Write the reference of all commands into docs/cli.md: `python -m tools.command_reference [--check]`.

Made from the parsers, but not with argparse's own help, whose layout changes from one Python to the next.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from ml_monitoring.cli import new_parser

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
_BLOCK = re.compile(r"(?<=<!-- generated:commands -->\n).*(?=<!-- /generated:commands -->)", re.DOTALL)


def filled(text: str) -> str:
    """Return the page with the reference in its block."""
    reference = "\n".join(_reference(new_parser("ml-monitoring", complete=True)))
    return _BLOCK.sub(lambda _match: f"\n{reference}\n", text)


def _reference(parser: argparse.ArgumentParser, purpose: str = "") -> Iterator[str]:
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for group in groups:
        # argparse keeps the one line of each command apart from its parser.
        purposes = {choice.dest: choice.help or "" for choice in group._choices_actions}
        for name, subparser in group.choices.items():
            yield from _reference(subparser, purposes[name])
    if not groups:
        yield f"### `{parser.prog}`\n"
        yield f"{_sentence(parser.description or purpose)}\n"
        yield "| argument | meaning |\n|---|---|"
        for action in parser._actions:
            if not isinstance(action, argparse._HelpAction):
                yield f"| {_names(action)} | {_meaning(action)} |"
        yield ""


def _names(action: argparse.Action) -> str:
    value = _value(action)
    if not action.option_strings:
        return f"`{value}`" if action.nargs != "*" else f"`[{value} ...]`"
    names = ", ".join(action.option_strings)
    return f"`{names}`" if action.nargs == 0 else f"`{names} {value}`"


def _value(action: argparse.Action) -> str:
    if action.metavar is None and action.choices is not None:
        return f"{{{','.join(map(str, action.choices))}}}"
    return str(action.metavar or (action.dest.upper() if action.option_strings else action.dest))


def _meaning(action: argparse.Action) -> str:
    words = [action.help or "", "required" if action.option_strings and action.required else ""]
    return "; ".join(filter(None, words)).replace("|", "\\|").replace("<", "&lt;")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or say that it is old; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.command_reference", description="Write docs/cli.md.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail when the page is old")
    options = parser.parse_args(arguments)
    old = PAGE.read_text(encoding="utf-8")
    new = filled(old)
    if options.check and new != old:
        print("docs/cli.md is old. Write it with: make generate", file=sys.stderr)
        return 1
    if not options.check:
        PAGE.write_text(new, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
