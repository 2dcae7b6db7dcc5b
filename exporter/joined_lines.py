"""Comments of SQL that take in what follows them, as YAML joins the lines of a text that has no `|`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from ml_monitoring.exporter.regular_files import read_text
from ml_monitoring.exporter.settings_file import Layers
from ml_monitoring.exporter.settings_hints import Location

# Settings that hold SQL.
_KEYS: Final = ("sql", "query")
# Texts, quoted names and comments in brackets come first, so that -- in one of them begins nothing.
_COMMENT: Final = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|/\*.*?\*/|(--[^\n]*)", re.DOTALL)


def problems(layers: Layers, above: Location) -> Iterator[tuple[Location, str]]:
    """Yield which settings hold SQL with a comment that is longer than in its line of the file.

    Args:
        layers: The settings.
        above: Where those of a source stand.
    """
    for location, sql in _statements(layers.value(above), above):
        place = layers.place(location)
        if place is None or not place.line or "--" not in sql:
            continue
        written = _written(Path(place.origin), location)
        if written is not None and _comments(sql) - _comments(written):
            yield (
                location,
                "a -- comment leaves out what stands in the lines below it, which YAML joins to one: put | behind the "
                "colon, and the text in lines below",
            )


def _statements(node: Any, location: Location) -> Iterator[tuple[Location, str]]:
    for key, value in node.items() if isinstance(node, Mapping) else ():
        here = (*location, key)
        if key in _KEYS and isinstance(value, str):
            yield here, value
        else:
            yield from _statements(value, here)


def _comments(sql: str) -> set[str]:
    return {" ".join(found[1].split()) for found in _COMMENT.finditer(sql) if found[1]}


def _written(path: Path, location: Location) -> str | None:
    """Return a text as it stands in the file, line by line; None where it is not found."""
    try:
        text = read_text(path)
        node: Node | None = YAML(typ="safe", pure=True).compose(text)
    except (OSError, UnicodeDecodeError, YAMLError):
        return None
    for part in location:
        pairs = node.value if isinstance(node, MappingNode) else ()
        node = next((value for key, value in pairs if key.value == part), None)
    if not isinstance(node, ScalarNode):
        return None
    written = text[node.start_mark.index : node.end_mark.index]
    # Without YAML's own quotes.
    return written[1:-1] if node.style in ("'", '"') else written
