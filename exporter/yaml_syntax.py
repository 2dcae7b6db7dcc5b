"""Problems of YAML's syntax and what often causes them, in the words of PyYAML and ruamel.yaml, which are the same."""

from __future__ import annotations

from typing import Any, Final, Protocol

# What is said of a text without quotes that begins with a character of YAML's own.
_BEGINNINGS: Final = {
    "cannot start any token": "it",
    "expected the node content": "it",
    "sequence entries are not allowed": "-",
    "mapping keys are not allowed": "?",
}
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
    # The end of the file is on no line of it.
    known = error.context_mark is not None and (error.context_mark.line, 0) != (
        error.problem_mark.line,
        error.problem_mark.column,
    )
    begun = f" of line {error.context_mark.line + 1}" if known else ""
    if "mapping values" in problem:
        return f"{column}; is the line indented further than the one before, or a text with `: ` not in quotes?"
    if "expected <block end>" in problem:
        if _is_within_line(error.problem_mark):
            return f"{column}; something stands behind a closed quote or bracket: put the whole text in quotes"
        return f"{column}; the indentation differs from that{begun}"
    if "<stream end>" in problem or "expected ','" in problem or "quoted scalar" in str(error.context):
        return f"{column}; a bracket or a quote{begun} is not closed"
    beginning = next((sign for said, sign in _BEGINNINGS.items() if said in problem), "")
    return f"{column}; {_IN_QUOTES.format(beginning)}" if beginning else ""


def _is_within_line(mark: Any) -> bool:
    before: str = (mark.buffer or "")[: mark.pointer]
    return bool(before.rpartition("\n")[2].strip(" -"))
