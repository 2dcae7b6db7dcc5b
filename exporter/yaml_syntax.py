"""What often causes a problem of YAML's syntax, in the words of PyYAML and ruamel.yaml, which are the same."""

from __future__ import annotations

from typing import Any, Protocol


class MarkedError(Protocol):
    """An error of either library, with the place that it names."""

    context: Any
    context_mark: Any
    problem: Any
    problem_mark: Any


def syntax_hint(error: MarkedError) -> str:
    """Return where in its line a problem is, and what often causes one of this kind."""
    if error.problem_mark is None:
        return ""
    problem, column = str(error.problem), f" (column {error.problem_mark.column + 1})"
    # The end of the file is on no line of it.
    known = error.context_mark is not None and (error.context_mark.line, 0) != (
        error.problem_mark.line,
        error.problem_mark.column,
    )
    begun = f" of line {error.context_mark.line + 1}" if known else ""
    if "mapping values" in problem:
        return f"{column}; is the line indented further than the one before, or a text with `: ` not in quotes?"
    if "expected <block end>" in problem:
        return f"{column}; the indentation differs from that{begun}"
    if "<stream end>" in problem or "expected ','" in problem or "quoted scalar" in str(error.context):
        return f"{column}; a bracket or a quote{begun} is not closed"
    return ""
