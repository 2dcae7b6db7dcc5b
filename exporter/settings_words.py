"""What is wrong with a value, in words for who wrote it, for each kind of problem that pydantic finds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic_core import ErrorDetails

from ml_monitoring.exporter.settings_hints import MISSING, PATTERNS
from ml_monitoring.exporter.suggestions import suggestion
from ml_monitoring.exporter.value_hints import number_hint, share_hint

# One of the names that pydantic lists.
_CHOICE: Final = re.compile(r"'([^']+)'")
_CHOICES: Final = ("literal_error", "enum")
_SETTINGS: Final = "must hold settings like `key: value`, on lines of their own below it"
_NO_NUMBER: Final = "is no number"
_NO_WHOLE: Final = "is no whole number"
_MESSAGES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("bool_parsing", "bool_type"), "is neither true nor false"),
    **dict.fromkeys(
        ("datetime_from_date_parsing", "datetime_parsing", "datetime_type"),
        "is no time: write it as 2026-01-31 or 2026-01-31T08:00, in UTC or with a zone such as +01:00",
    ),
    **dict.fromkeys(("float_parsing", "float_type"), _NO_NUMBER),
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), _NO_WHOLE),
    "finite_number": "must be a finite number",
    "dict_type": _SETTINGS,
    "model_attributes_type": _SETTINGS,
    **dict.fromkeys(("path_type", "url_type"), "must be a text"),
    "missing": MISSING,
    "string_type": "must be a text, in quotes where it looks like something else",
    "union_tag_not_found": "lacks its kind",
}
# What pydantic calls bounds, and the key of each in what it says of them.
_BOUNDS: Final[Mapping[str, tuple[str, str]]] = {
    "less_than": ("lt", "must be below"),
    "less_than_equal": ("le", "must be at most"),
    "greater_than": ("gt", "must be above"),
    "greater_than_equal": ("ge", "must be at least"),
}
# A number that is too large, and what is none: either may be a percentage.
_NO_SHARES: Final = frozenset({"less_than", "less_than_equal", "float_parsing", "float_type"})
# What pydantic calls a list, by what its values become.
_LISTS: Final = frozenset({"list_type", "tuple_type", "set_type", "frozen_set_type"})
# Of what was given only a plain word is said: it may be a secret in the wrong place.
_WORD: Final = re.compile(r"[A-Za-z_-]{1,30}")


def words(problem: ErrorDetails, value: object) -> str:
    """Return what is wrong; of what was given, only what a choice's names can be compared with.

    Args:
        problem: What pydantic found.
        value: What was given.
    """
    kind, context = problem["type"], problem.get("ctx", {})
    message = (
        PATTERNS.get(context.get("pattern", ""))
        or _of_context(kind, context, value)
        or _of_kind(kind, value)
        or problem["msg"].removeprefix("Value error, ")
    )
    first = message.partition(" ")[0]
    # A name such as MySQL keeps its capitals.
    if first[1:] == first[1:].lower():
        message = message[:1].lower() + message[1:]
    if kind in _NO_SHARES and context.get("lt", context.get("le", 1)) == 1:
        message += share_hint(value)
    if message in (_NO_NUMBER, _NO_WHOLE):
        message += number_hint(value, is_whole=message == _NO_WHOLE)
    return message


def _of_context(kind: str, context: Mapping[str, Any], value: object) -> str:
    """Return what is wrong where pydantic says what would be right; empty where it does not."""
    if kind in _BOUNDS:
        key, said = _BOUNDS[kind]
        return f"{said} {context[key]:.12g}"
    if kind in _CHOICES:
        names = _CHOICE.findall(str(context["expected"]))
        # Signs alone would not be seen without quotes.
        said = str(context["expected"]).replace("'", "") if all(map(str.isidentifier, names)) else context["expected"]
        return f"must be {said}{suggestion(str(value), names)}"
    if kind == "union_tag_invalid":
        key, tags = str(context["discriminator"]).strip("'"), _CHOICE.findall(str(context["expected_tags"]))
        return f"{key} is none of {', '.join(tags)}{suggestion(str(context['tag']), tags)}"
    if kind == "too_short":
        return f"needs at least {context['min_length']}, and has {context['actual_length']}"
    if kind == "string_too_short":
        least = context["min_length"]
        return "must not be empty" if least == 1 else f"must have at least {least} characters"
    return f"must have at most {context['max_length']} characters" if kind == "string_too_long" else ""


def _of_kind(kind: str, value: object) -> str:
    """Return what is wrong with a value of the wrong kind; empty where pydantic's own words do."""
    if kind in _LISTS:
        if isinstance(value, dict):
            return "must be a list: begin each of its items with a dash"
        is_word = isinstance(value, str) and _WORD.fullmatch(value)
        return f"must be a list: [{value}]" if is_word else "must be a list: [a, b], or lines that begin with a dash"
    if kind == "dict_type" and isinstance(value, list):
        first = value[0].get("name") if value and isinstance(value[0], dict) else None
        name = first if isinstance(first, str) and _WORD.fullmatch(first) else "NAME"
        return f"must be no list: write `{name}:` without a dash, and its settings indented below it"
    of_text = {
        list: "must be a text, not a list: write it without brackets or dashes",
        dict: "must be a text, not settings like `key: value`",
        bool: "must be a text; where there may be none, write null",
        type(None): "must be a text; there is none, or one that begins with & and is not in quotes",
    }
    return (of_text.get(type(value), "") if kind == "string_type" else "") or _MESSAGES.get(kind, "")
