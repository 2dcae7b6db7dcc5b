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
_PADDING: Final = re.compile(rf"{TEXT}|(?P<left>[(\[])\s+|\s+(?P<right>[)\],])")
_SIGN: Final = re.compile(r"\s*(=~|!~|!=|=)\s*")


def normalised(expr: str) -> str:
    """Return an expression with its matchers and labels in order, durations in the largest units, and without comments.

    White space is one blank.
    """
    text = _PARTS.sub(_in_order, expr).strip()
    return _PADDING.sub(lambda found: found["text"] or found["left"] or found["right"], text)


def inside_quotes(text: str) -> str:
    """Return a text as it stands between double quotes in PromQL."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _in_order(found: re.Match[str]) -> str:
    if found["text"]:
        return found["text"]
    if found["matchers"]:
        parts = (_SIGN.sub(r"\1", one.strip(), count=1) for one in _MATCHER.findall(found["matchers"][1:-1]))
        return f"{{{','.join(sorted(filter(None, parts)))}}}"
    if found["modifier"]:
        labels = ", ".join(sorted(filter(None, re.split(r"[\s,]+", found["labels"]))))
        return f"{found['modifier']} ({labels}) {found['open'].strip()}"
    if found["duration"]:
        try:
            return durations.format_seconds(durations.parse(found["duration"]))
        except ValueError:
            return found["duration"]
    return " "
