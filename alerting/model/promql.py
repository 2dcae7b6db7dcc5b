"""Expressions of PromQL and LogQL in one form, so that those that mean the same are the same text."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from ml_monitoring.exporter import durations

TEXT: Final = r"""(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)"""
_AGGREGATIONS: Final = (
    r"(?:sum|avg|min|max|count|count_values|group|stddev|stdvar|topk|bottomk|quantile|limitk|limit_ratio)"
)
# Matchers, but for a variable of Grafana such as `${team}`; labels of a modifier; durations; white space around all.
_PARTS: Final = re.compile(
    rf"""{TEXT}
    |(?P<comment>\s*\#[^\n]*\s*)
    |(?<!\$)(?P<matchers>\{{(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|[^"'`{{}}])*\}})
    |(?P<modifier>\b(?:by|without|on|ignoring|group_left|group_right))\s*\((?P<labels>[\w\s,]*)\)\s*(?P<open>\(?\s*)
    |(?P<number>(?<![\w:.$])(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?(?![\w:.]))
    |(?P<keyword>(?<![\w:.$])(?:(?:inf|nan|and|or|unless|bool|offset)(?![\w:.])|{_AGGREGATIONS}(?=\s*\(|\s+(?:by|without)\b)))
    |(?P<duration>(?:(?<![\w:.$])|(?<=:)(?=\w+\s*\]))(?:[0-9]+(?:ms|[smhdwy]))+\b)
    |(?P<space>\s+)""",
    re.VERBOSE | re.IGNORECASE,
)
_MATCHER: Final = re.compile(r"""(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|[^"'`,])+""")
_WORDS: Final = r"(?:and|or|unless|bool|offset|by|without|on|ignoring|group_left|group_right|atan2)"
# Where white space says nothing: what is in quotes or braces and numbers stay as they are.
_SPACING: Final = re.compile(
    rf"""{TEXT}
    |(?P<kept>\$?\{{(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|[^"'`{{}}])*\}}|(?<![\w.])[0-9.]+e[+-]?[0-9]+\b)
    |(?P<left>[(\[])\s+|\s+(?P<right>[)\]])
    |(?P<blank>(?<=\}})\s+(?=\[))
    |\b(?P<keyword>(?:on|ignoring|group_left|group_right)\ \([^()]*\)|{_WORDS}(?=\s*\())\s*
    |(?P<name>(?!{_WORDS}\b)(?<![\w:.$])[a-zA-Z_:][\w:]*)\s+(?=[({{\[])
    |(?<=[\w)\]}}])(?<!\band)(?<!\bor)(?<!\bunless)(?<!\bbool)(?<!\boffset)\s*(?P<minus>-)\s*
    |\s*(?P<operator>\|=|\|~|==|!=|>=|<=|=~|!~|[+*/%^<>])\s*
    |\s*(?P<comma>,)\s*""",
    re.VERBOSE | re.IGNORECASE,
)
_QUOTED: Final = re.compile(TEXT)
_SIGN: Final = re.compile(r"\s*(=~|!~|!=|=)\s*")
_ALTERNATIVES: Final = re.compile(r"""(\w+[=!]~)(["'`])([\w :-]+(?:\|[\w :-]+)+)\2""")
_TEXT_OR_BRACKET: Final = re.compile(rf"{TEXT}|[()]")
_TEXT_OR_AGGREGATION: Final = re.compile(rf"{TEXT}|(?P<aggregation>\b{_AGGREGATIONS})(?=\()")
_GROUPING: Final = re.compile(r" (?:by|without) \([^()]*\) ?")
# What stands before brackets that may be needless, and what one thing in them may begin with.
_BEFORE_BRACKETS: Final = re.compile(r"(?:^|\(|, |(?:[-+*/%^<>=]|\b(?:and|or|unless|bool)) )$")
_GROUPED: Final = re.compile(rf"{_AGGREGATIONS} (?:by|without) \([^()]*\) ")
_TEXT_OR_BLANK: Final = re.compile(rf"{TEXT}|[(){{}}\[\] ]")
# Decimals of more digits stay as they are written.
_MOST_DIGITS: Final = 30


def normalised(expr: str) -> str:
    """Return an expression in one form of those that mean the same.

    Matchers and labels are in order, durations in the largest units, numbers without exponents, texts in double
    quotes; groupings stand before what is aggregated, and brackets only where there is more than one thing in them.
    Comments are left out; white space is one blank, and there is none where it says nothing.
    """
    return _without_brackets(_grouped_first(_SPACING.sub(_spaced, _PARTS.sub(_in_order, expr).strip()).strip()))


def matchers_changed(old: str, new: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the matchers that series of an expression gained and lost, both empty where anything else changed too."""
    (before, bare), (after, other) = (_apart(normalised(expr)) for expr in (old, new))
    if bare != other:
        return frozenset(), frozenset()
    places = {*before, *after}
    gained, lost = (
        frozenset(matcher for place in places for matcher in one.get(place, set()) - others.get(place, set()))
        for one, others in ((after, before), (before, after))
    )
    return gained, lost


def _grouped_first(expr: str) -> str:
    """Return an expression with the labels of each aggregation before what it aggregates."""
    # The last ones first: what is before them stays where it is.
    for found in reversed([*_TEXT_OR_AGGREGATION.finditer(expr)]):
        end = _closing(expr, found.end()) if found["aggregation"] else 0
        if grouping := _GROUPING.match(expr, end) if end else None:
            rest = f" {expr[grouping.end() :]}" if grouping[0].endswith(" ") else expr[grouping.end() :]
            expr = f"{expr[: found.end()]}{grouping[0].rstrip()} {expr[found.end() : end]}{rest}"
    return expr


def _without_brackets(expr: str) -> str:
    """Return an expression without brackets around one thing, or around all of it."""
    for found in reversed([*_TEXT_OR_BRACKET.finditer(expr)]):
        start = found.start()
        end = _closing(expr, start) if found[0] == "(" and _BEFORE_BRACKETS.search(expr[:start]) else 0
        if not end or expr[end : end + 1] == "[":
            continue
        inside = expr[start + 1 : end - 1]
        if (start, end) == (0, len(expr)) or _is_one_thing(inside):
            expr = f"{expr[:start]}{inside}{expr[end:]}"
    return expr


def _closing(expr: str, start: int) -> int:
    """Return where the brackets end that open here; 0 if they do not."""
    depth = 0
    for found in _TEXT_OR_BRACKET.finditer(expr, start):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth == 0:
            return found.end()
    return 0


def _is_one_thing(expr: str) -> bool:
    """Tell whether an expression is a selector, a number or a call, without operators between or a sign before it."""
    depth = 0
    for found in _TEXT_OR_BLANK.finditer(_GROUPED.sub("", expr, count=1)):
        depth += {"(": 1, "{": 1, "[": 1, ")": -1, "}": -1, "]": -1}.get(found[0], 0)
        if found[0] == " " and depth == 0:
            return False
    return not expr.startswith(("-", "+"))


def _apart(expr: str) -> tuple[dict[int, set[str]], str]:
    """Return the matchers of an expression by where they stand in what is left without them, and that."""
    found: dict[int, set[str]] = {}
    parts: list[str] = []
    end = 0
    for part in _SPACING.finditer(expr):
        if (part["kept"] or "").startswith("{"):
            parts.append(expr[end : part.start()])
            found[sum(map(len, parts))] = {*split_matchers(part["kept"][1:-1])}
            end = part.end()
    return found, "".join([*parts, expr[end:]])


def inside_quotes(text: str) -> str:
    """Return a text as it stands between double quotes in PromQL."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def split_matchers(text: str) -> list[str]:
    """Return the matchers that stand in braces, in order and in one form."""
    parts = (
        _QUOTED.sub(lambda found: _in_double_quotes(found[0]), _SIGN.sub(r"\1", one.strip(), count=1))
        for one in _MATCHER.findall(text)
    )
    return sorted(_alternatives_in_order(one) for one in parts if one)


def _alternatives_in_order(matcher: str) -> str:
    """Return a matcher with its alternatives in order, where they are no more than names."""
    found = _ALTERNATIVES.fullmatch(matcher)
    return f"{found[1]}{found[2]}{'|'.join(sorted(found[3].split('|')))}{found[2]}" if found else matcher


def _spaced(found: re.Match[str]) -> str:
    kind = found.lastgroup
    text = found[kind] if kind else found[0]
    if kind in ("keyword", "comma"):
        return f"{text} "
    return f" {text} " if kind in ("minus", "operator") else "" if kind == "blank" else text


def _in_order(found: re.Match[str]) -> str:
    if found["modifier"]:
        labels = ", ".join(sorted(filter(None, re.split(r"[\s,]+", found["labels"]))))
        return f"{found['modifier'].lower()} ({labels}) {found['open'].strip()}"
    return next((write(found[kind]) for kind, write in _WRITTEN.items() if found[kind]), " ")


def _in_double_quotes(text: str) -> str:
    return f'"{text[1:-1]}"' if not {*'"\\\n'} & {*text[1:-1]} else text


def _in_braces(matchers: str) -> str:
    listed = ",".join(split_matchers(matchers[1:-1]))
    return f"{{{listed}}}" if listed else ""


def _without_exponent(number: str) -> str:
    digits = format(Decimal(number).normalize(), "f")
    return digits if len(digits) <= _MOST_DIGITS else number


def _in_largest_units(duration: str) -> str:
    try:
        return durations.format_seconds(durations.parse(duration))
    except ValueError:
        return duration


# How parts are written in one form, by their groups.
_WRITTEN: Final[dict[str, Callable[[str], str]]] = {
    "text": _in_double_quotes,
    "matchers": _in_braces,
    "number": _without_exponent,
    "keyword": str.lower,
    "duration": _in_largest_units,
}
