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
# A key whose value stands at its colon, so that YAML takes both for one text; an address is one.
_JOINED: Final = re.compile(r"""\s*(?:-\s+)*["']?[\w.-]+["']?:(?!//)\S""")
_NO_BREAK: Final = "a no-break space or the like"
# Blanks that YAML takes for letters.
_ODD_BLANKS: Final = "\u00a0\u2007\u202f\u3000\u200b\ufeff"
_ODD_BLANK: Final = re.compile(f"[{_ODD_BLANKS}]")
# What begins a section of TOML or of an INI file.
_SECTION: Final = re.compile(r"\s*\[+[\w./ \"'-]+\]+\s*(?:[#;].*)?")
_COLON: Final = "a text with `: ` must be in quotes"
_IN_QUOTES: Final = "put a text that begins with {} in quotes"
# What is said in place of the library's words, with the column.
_SAID: Final = {
    "escape": "in double quotes \\ begins an escape{}: use single quotes",
    "another document": "a second document begins: settings are one, so take this line out",
    "expected alphabetic or numeric": f"an alias or an anchor without a name{{}}; {_IN_QUOTES.format('* or &')}",
    "undefined alias": f"an alias that nothing defines{{}}; {_IN_QUOTES.format('*')}",
    "constructor for the tag": f"a tag has no meaning here{{}}; {_IN_QUOTES.format('!')}",
    "chomping or indentation": f"a text begins behind | or > in the same line{{}}; {_IN_QUOTES.format('one of them')}",
}


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
    if cause := _cause_before(error):
        return cause[1]
    column = f" (column {error.problem_mark.column + 1})"
    if "<document start>" in problem:
        return _describe_second(error.problem_mark)
    if said := next((said for words, said in _SAID.items() if words in problem), ""):
        return said.format(column)
    return f"{problem}{_hint(error, problem, column)}"


def line_of(error: MarkedError) -> int:
    """Return the line of what is wrong, from 1; 0 where none is known."""
    if error.problem_mark is None:
        return 0
    cause = _cause_before(error)
    return cause[0] if cause else int(error.problem_mark.line) + 1


def blank_in(key: object) -> str:
    """Return what is wrong with a key that has a blank of another kind, as of a text from a web page; or nothing."""
    return f"{_NO_BREAK}: write a plain one" if isinstance(key, str) and _ODD_BLANK.search(key) else ""


def is_sectioned(text: str) -> bool:
    """Tell whether a text begins as TOML and INI files do: with a section, or with keys and `=` before one."""
    lines = [line for line in text.splitlines() if line.strip() and line.lstrip()[0] not in "#;"]
    first = next((line for line in lines if not re.match(r"\s*[\w.-]+\s*=", line)), "")
    return bool(lines) and (not first or _SECTION.fullmatch(first) is not None)


def _describe_second(mark: Any) -> str:
    """Return what is wrong where something stands behind what YAML takes for the whole."""
    first = next((line for line in (mark.buffer or "").splitlines() if line.strip() and line.lstrip()[0] != "#"), "")
    if first[:1] == " ":
        return "the line is indented less than the first one"
    return "settings are lines of `key: value`: is it YAML?"


def _cause_before(error: MarkedError) -> tuple[int, str] | None:
    """Return where the slip is that YAML notices only later, and what it is; None where another one is likely."""
    mark = error.problem_mark
    lines = (mark.buffer or "").split("\n")
    line: int = mark.line
    if "could not find expected ':'" in str(error.problem):
        line = error.context_mark.line
    elif "mapping values" in str(error.problem) and not _follows_value(mark):
        line = next((at for at in range(line - 1, -1, -1) if lines[at].strip()), line)
    else:
        return None
    if odd := blank_in(lines[line]):
        return line + 1, odd
    if _JOINED.match(lines[line]):
        return line + 1, "a key needs a blank behind its colon: `key: value`"
    return (line + 1, "a line of `key: value` has no colon") if "expected ':'" in str(error.problem) else None


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
