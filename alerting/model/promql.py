"""Expressions of PromQL and LogQL in one form, so that those that mean the same are the same text."""

from __future__ import annotations

import re
from typing import Final

from ml_monitoring.exporter import durations

TEXT: Final = r"""(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)"""
# Matchers, but for a variable of Grafana such as `${team}`; labels of a modifier; durations; white space around all.
_PARTS: Final = re.compile(
    rf"""{TEXT}
    |(?P<comment>\s*\#[^\n]*\s*)
    |(?<!\$)(?P<matchers>\{{(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|[^"'`{{}}])*\}})
    |(?P<modifier>\b(?:by|without|on|ignoring|group_left|group_right))\s*\((?P<labels>[\w\s,]*)\)\s*(?P<open>\(?\s*)
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
_SIGN: Final = re.compile(r"\s*(=~|!~|!=|=)\s*")
_ALTERNATIVES: Final = re.compile(r"""(\w+[=!]~)(["'`])([\w :-]+(?:\|[\w :-]+)+)\2""")


def normalised(expr: str) -> str:
    """Return an expression with its matchers and labels in order, durations in the largest units, and without comments.

    White space is one blank, and there is none where it says nothing.
    """
    return _SPACING.sub(_spaced, _PARTS.sub(_in_order, expr).strip()).strip()


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
    parts = (_SIGN.sub(r"\1", one.strip(), count=1) for one in _MATCHER.findall(text))
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
    if found["text"]:
        return found["text"]
    if found["matchers"]:
        return f"{{{','.join(split_matchers(found['matchers'][1:-1]))}}}"
    if found["modifier"]:
        labels = ", ".join(sorted(filter(None, re.split(r"[\s,]+", found["labels"]))))
        return f"{found['modifier']} ({labels}) {found['open'].strip()}"
    if found["duration"]:
        try:
            return durations.format_seconds(durations.parse(found["duration"]))
        except ValueError:
            return found["duration"]
    return " "
