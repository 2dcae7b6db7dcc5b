"""Write configuration as YAML that people read: comments above list items, expressions on lines of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

import yaml

_COMMENT_WIDTH = 110


class Commented(dict[str, Any]):
    """A mapping with a comment, which is written above it where it is an item of a list."""

    def __init__(self, comment: str, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.comment = comment


def dump(config: Mapping[str, Any], *, header: str) -> str:
    """Return the configuration as YAML under a header comment; equal input gives equal bytes."""
    lines = [*(f"# {line}".rstrip() for line in header.splitlines()), *_mapping(config)]
    return "\n".join(lines) + "\n"


def list_lines(items: Sequence[Any]) -> Iterator[str]:
    """Yield the lines of a list, which have no indentation of their own."""
    for item in items:
        if isinstance(item, Mapping):
            yield from _item(item)
        else:
            yield f"- {_inline(item)}"


def _mapping(values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        name = _inline(key)
        if isinstance(value, str) and "\n" in value:
            yield f"{name}: |-"
            yield from (f"  {line}".rstrip() for line in value.split("\n"))
        elif isinstance(value, Mapping) and value:
            yield f"{name}:"
            yield from (f"  {line}" if line else "" for line in _mapping(value))
        elif isinstance(value, Sequence) and any(isinstance(item, Mapping) for item in value):
            yield f"{name}:"
            yield from (f"  {line}" if line else "" for item in value for line in _item(item))
        else:
            yield f"{name}: {_inline(value)}"


def _item(values: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(values, Commented):
        yield from (f"# {line}" for line in wrap(values.comment, _COMMENT_WIDTH))
    for index, line in enumerate(_mapping(values)):
        yield f"  {line}" if index else f"- {line}"


def _inline(value: object) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, width=float("inf"), allow_unicode=True, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")
