"""Templates in texts of alerts, which are Go's: what is wrong with them, as far as that can be said without Go."""

from __future__ import annotations

import re
from typing import Final

from ml_monitoring.exporter.suggestions import suggestion

_VARIABLES: Final = ("$labels", "$value", "$externalLabels", "$externalURL")
# Prometheus's own and Go's.
_FUNCTIONS: Final = (
    *("humanize", "humanize1024", "humanizeDuration", "humanizePercentage", "humanizeTimestamp", "toTime"),
    *("title", "toUpper", "toLower", "match", "reReplaceAll", "stripPort", "stripDomain", "parseDuration", "safeHtml"),
    *("query", "first", "label", "value", "strvalue", "sortByLabel", "graphLink", "tableLink", "externalURL"),
    *("args", "tmpl", "pathPrefix", "and", "or", "not", "len", "index", "slice", "print", "printf", "println", "html"),
    *("js", "urlquery", "call", "eq", "ne", "lt", "le", "gt", "ge"),
)
_UNDEFINED: Final = re.compile(r'(function) "(\w+)" not defined|undefined (variable) "(\$\w+)"')
_KEYWORDS: Final = ("if", "else", "end", "range", "with", "true", "false", "nil")
# Comments, variables and templates of one's own, of which nothing is said.
_BEYOND: Final = re.compile(r"/\*|:=|\b(?:define|template|block|break|continue)\b")
_OPEN: Final = "{{"
# What stands in an action: its end, texts, variables, fields, names and numbers; anything else is one sign.
_TOKEN: Final = re.compile(
    r"\s+|(?P<end>\}\})|\"(?:[^\"\\\n]|\\.)*\"|`[^`]*`|'(?:[^'\\\n]|\\.)+'|(?P<variable>\$\w*)|\.\w*"
    r"|(?P<name>[a-zA-Z_]\w*)|[-+]?\d[\w.]*|(?P<sign>.)",
    re.DOTALL,
)
# Signs that no action has. Others have their places, which only Go knows.
_NEVER: Final = frozenset("{}[]%&;?@#^~")


def of_go(said: str) -> str:
    """Return what is wrong with a template, by what Go says of it."""
    if undefined := _UNDEFINED.fullmatch(said):
        return _unknown(undefined[2] or undefined[4])
    return f"no template of an alert: {said}"


def problem_of(template: str) -> str:
    """Return what is surely wrong with a template, in the words of `of_go`; empty where nothing is found."""
    place = 0 if _BEYOND.search(template) is None else len(template)
    while (place := template.find(_OPEN, place)) >= 0:
        for token in _TOKEN.finditer(template, place + len(_OPEN)):
            place = token.end()
            if token["end"]:
                break
            if token["sign"] in _NEVER:
                return of_go(f'unexpected "{token["sign"]}" in operand')
            if token["name"] and token["name"] not in (*_FUNCTIONS, *_KEYWORDS):
                return _unknown(token["name"])
            if token["variable"] not in (None, "$", *_VARIABLES):
                return _unknown(token["variable"])
        else:
            return of_go("unclosed action")
    return ""


def _unknown(name: str) -> str:
    if name.startswith("$"):
        return f"no variable {name}{suggestion(name, _VARIABLES)}"
    # A variable without its sign is a function to Go.
    if f"${name}" in _VARIABLES:
        return f"no function {name}; did you mean ${name}?"
    return f"no function {name}{suggestion(name, (*_VARIABLES, *_FUNCTIONS))}"
