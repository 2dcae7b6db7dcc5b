"""Texts of messages that need no file of templates: each brings the definitions that it uses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from ml_monitoring.alerting.generate.alertmanager import TEMPLATES, TEMPLATES_DIRECTORY

# With its name; two definitions have an empty line between them.
DEFINITION: Final = re.compile(
    r'^\{\{ define "(?P<name>[\w.]+)" (?:-\}\}\n.*?^\{\{- end \}\}|\}\}[^\n]*\{\{ end \}\})$(?=\n\n|\n?\Z)',
    re.MULTILINE | re.DOTALL,
)
_USED: Final = re.compile(r'\{\{-? template "(?P<name>[\w.]+)"')


def inlined(content: Any) -> Any:
    """Return a text, or all texts of a list or mapping, with the definitions before it that it uses, at any depth."""
    if isinstance(content, str):
        return "".join(_definitions()[name] for name in _used(content)) + content
    if isinstance(content, list):
        return [inlined(item) for item in content]
    if isinstance(content, Mapping):
        return {key: inlined(value) for key, value in content.items()}
    return content


@cache
def _definitions() -> Mapping[str, str]:
    texts = ((TEMPLATES_DIRECTORY / name).read_text("utf-8") for name in TEMPLATES)
    return {match["name"]: match[0] for text in texts for match in DEFINITION.finditer(text)}


def _used(text: str) -> list[str]:
    found: dict[str, None] = {}
    open_ = [text]
    while open_:
        for match in _USED.finditer(open_.pop()):
            name = match["name"]
            # A template of Alertmanager's own, or of a file that the reader gives it, stays a reference.
            if name in _definitions() and name not in found:
                found[name] = None
                open_.append(_definitions()[name])
    return sorted(found)
