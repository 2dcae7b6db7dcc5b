"""Problems of YAML's syntax and what often causes them, in the words of PyYAML and ruamel.yaml, which are the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, Protocol

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.tokens import (
    FlowMappingEndToken,
    FlowMappingStartToken,
    FlowSequenceEndToken,
    FlowSequenceStartToken,
    Token,
    ValueToken,
)

# What is said of a text without quotes that begins with a character of YAML's own.
_BEGINNINGS: Final = {
    "cannot start any token": "it",
    "expected the node content": "it",
    "sequence entries are not allowed": "-",
    "mapping keys are not allowed": "?",
}
# Where a comment may begin, if that is in no text in quotes.
_HASH: Final = re.compile(r"(?<=\s)#")
_COLON: Final = "a text with `: ` must be in quotes"
_IN_QUOTES: Final = "put a text that begins with {} in quotes"


class MarkedError(Protocol):
    """An error of either library, with the place that it names."""

    context: Any
    context_mark: Any
    problem: Any
    problem_mark: Any


def describe(error: MarkedError) -> str:
    """Return what is wrong, where in its line, and what often causes it; without the text, which may be a password."""
    problem = str(error.problem)
    if "'\\t'" in problem:
        return "a tab: indent with spaces"
    if error.problem_mark is None:
        return problem
    column = f" (column {error.problem_mark.column + 1})"
    if "undefined alias" in problem:
        return f"an alias that nothing defines{column}; {_IN_QUOTES.format('*')}"
    if "constructor for the tag" in problem:
        return f"a tag has no meaning here{column}; {_IN_QUOTES.format('!')}"
    if "chomping or indentation" in problem:
        return f"a text begins behind | or > in the same line{column}; {_IN_QUOTES.format('one of them')}"
    return f"{problem}{_hint(error, problem, column)}"


def _hint(error: MarkedError, problem: str, column: str) -> str:
    bracket = _open_bracket(error.problem_mark)
    # The end of the file is on no line of it.
    known = error.context_mark is not None and (error.context_mark.line, 0) != (
        error.problem_mark.line,
        error.problem_mark.column,
    )
    begun_at = bracket or (error.context_mark if known else None)
    begun = f" of line {begun_at.line + 1}" if begun_at else ""
    if of_colon := _hint_at_colon(error, problem):
        return f"{column}; {of_colon}"
    if "expected <block end>" in problem:
        if _is_within_line(error.problem_mark):
            return f"{column}; something stands behind a closed quote or bracket: put the whole text in quotes"
        if "<scalar>" in problem and (comment := _comment_before(error.problem_mark)):
            return (
                f"{column}; # begins a comment in line {comment}, which ends the text: put | behind the colon of the "
                "key, or the whole text in quotes"
            )
        return f"{column}; the indentation differs from that{begun}"
    if "<stream end>" in problem or "expected ','" in problem or "quoted scalar" in str(error.context):
        is_cut = _has_comment_for_value(bracket or error.context_mark, error.problem_mark)
        given = f"; # begins a comment: {_IN_QUOTES.format('#')}" if is_cut else ""
        return f"{column}; a bracket or a quote{begun} is not closed{given}"
    beginning = next((sign for said, sign in _BEGINNINGS.items() if said in problem), "")
    return f"{column}; {_IN_QUOTES.format(beginning)}" if beginning else ""


def _hint_at_colon(error: MarkedError, problem: str) -> str:
    """Return what often causes a problem at a colon; empty where another one is likely."""
    if "mapping values" not in problem and "but got ':'" not in problem:
        return ""
    if _follows_value(error.problem_mark):
        return _COLON if "mapping values" in problem else f"{_COLON}, or a comma is missing before it"
    if "mapping values" in problem:
        return "is the line indented further than the one before, or a text with `: ` not in quotes?"
    return ""


def _tokens_before(mark: Any) -> Iterator[Token]:
    """Yield what a text holds before a place in it, as far as it is YAML."""
    with suppress(YAMLError):
        yield from YAML(typ="safe", pure=True).scan((mark.buffer or "")[: mark.pointer])


def _follows_value(mark: Any) -> bool:
    """Tell whether the colon at a place is the second one of a key with its value, on one line."""
    colons = [token.start_mark.line for token in _tokens_before(mark) if isinstance(token, ValueToken)]
    return colons[-1:] == [mark.line]


def _open_bracket(mark: Any) -> Any:
    """Return where the innermost bracket begins that is not closed before a place; None where all are."""
    begun = []
    for token in _tokens_before(mark):
        if isinstance(token, FlowMappingStartToken | FlowSequenceStartToken):
            begun.append(token.start_mark)
        elif isinstance(token, FlowMappingEndToken | FlowSequenceEndToken):
            begun = begun[:-1]
    return begun[-1] if begun else None


def _is_within_line(mark: Any) -> bool:
    before: str = (mark.buffer or "")[: mark.pointer]
    return bool(before.rpartition("\n")[2].strip(" -"))


def _comments(text: str) -> Iterator[int]:
    """Yield where comments begin in a text, as far as it is YAML."""
    ends = 0
    try:
        for token in YAML(typ="safe", pure=True).scan(text):
            yield from (ends + found.start() for found in _HASH.finditer(text[ends : token.start_mark.index]))
            ends = token.end_mark.index
    except YAMLError:
        return


def _has_comment_for_value(begun: Any, end: Any) -> bool:
    """Tell whether a comment begins with a word of its own, such as #alerts, in what is not closed."""
    text: str = (end.buffer or "")[begun.index if begun else end.pointer : end.pointer]
    return any(not text[place + 1 : place + 2].isspace() for place in _comments(text))


def _comment_before(mark: Any) -> int:
    """Return the line of a comment that ends the last line before a place that has anything; 0 where none does."""
    before: str = (mark.buffer or "")[: mark.pointer].rstrip()
    lines = before.split("\n")
    return len(lines) if any(place >= len(before) - len(lines[-1]) for place in _comments(before + "\n")) else 0
