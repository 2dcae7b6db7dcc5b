"""Files of YAML: their contents with the line of each part, and in words what is wrong with them."""

from __future__ import annotations

import linecache
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import ConstructorError, RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import Node

from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.regular_files import describe_read_error, read_text
from ml_monitoring.exporter.settings_hints import Location
from ml_monitoring.exporter.yaml_syntax import blank_in, describe, is_sectioned, line_of

_IMPOSSIBLE: Final = "this is a number or a time that there cannot be"
_SECTIONED: Final = "is it YAML? It looks like TOML or an INI file, and settings are lines of `key: value`"
_DECIMAL: Final = re.compile(r"-?\d+,\d+(?=\s*[,}#]|\s*$)")
# The key of a value, on the value's line.
_KEY_BEFORE: Final = re.compile(r"""([\w.-]+)["']?\s*:\s*$""")
# What makes a value or an item empty.
_COMMENT: Final = re.compile(r"^[^#]*(?::|(?:^|\s)-)\s+#")
# Origin and line of settings, see `settings_file.Place`.
Places = Mapping[Location, tuple[str, int]]


def read(path: Path) -> tuple[dict[str, Any], Places]:
    """Return the settings of a YAML file, and where each stands; an empty file has none.

    Raises:
        ConfigError: The file cannot be read, is not YAML or holds something else than a mapping.
    """
    content = _load(path)
    # As in Compose files: what anchors stand in.
    for key in [key for key in content if str(key).startswith("x-")]:
        del content[key]
    return _plain(content), {location: (str(path), line) for location, line in _lines(content, ())}


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping that a YAML file holds; an empty file is an empty mapping.

    Raises:
        ConfigError: See `read`.
    """
    return read(path)[0]


class _Constructor(RoundTripConstructor):
    """Keeps lines and comments; refuses keys that are given twice, whose first value would be lost, and tags."""

    def check_mapping_key(self, node: Node, key_node: Node, mapping: Any, key: Hashable, _value: Any) -> bool:
        if key in mapping:
            first = next((each.start_mark.line for each, _ in node.value if each.value == key_node.value), None)
            where = f"; the first time in line {first + 1}" if first not in (None, key_node.start_mark.line) else ""
            raise ConstructorError(None, None, f"key {key!r} is given twice{where}", key_node.start_mark)
        return True

    def construct_object(self, node: Node, deep: bool = False) -> Any:  # as the library calls it
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, OverflowError):
            # Without the library's words, which may hold a password.
            raise ConstructorError(None, None, _IMPOSSIBLE, node.start_mark) from None

    def refuse_tag(self, node: Node) -> None:
        raise ConstructorError(None, None, "no constructor for the tag", node.start_mark)


_Constructor.add_constructor(None, _Constructor.refuse_tag)


def _load(path: Path) -> CommentedMap:
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {describe_read_error(error)}"]) from None
    loader = YAML()
    loader.Constructor = _Constructor
    try:
        content = loader.load(text)
    except MarkedYAMLError as error:
        if is_sectioned(text):
            raise ConfigError([f"{path}: {_SECTIONED}"]) from None
        where = f"{path}:{line}" if (line := line_of(error)) else f"{path}"
        # Only the problem, never the excerpt: the line may hold a password.
        problem = describe(error)
        if problem == _IMPOSSIBLE and (mark := error.problem_mark):
            key = _KEY_BEFORE.search(text.splitlines()[mark.line][: mark.column])
            problem = f"{key[1]}: {problem}" if key else problem
        raise ConfigError([f"{where}: not valid YAML: {problem}"]) from None
    except RecursionError:
        raise ConfigError([f"{path}: not valid YAML: nested too deeply"]) from None
    except YAMLError:
        raise ConfigError([f"{path}: not valid YAML"]) from None
    if content is None:
        return CommentedMap()
    if not isinstance(content, CommentedMap):
        # A list in brackets looks like a section, but is YAML.
        if not isinstance(content, list) and is_sectioned(text):
            raise ConfigError([f"{path}: {_SECTIONED}"])
        kind = "list" if isinstance(content, list) else "text"
        raise ConfigError([f"{path}:1: must hold settings like `key: value`, not a {kind}"])
    odd = ((line, blank_in(at[-1])) for at, line in _lines(content, ()) if at)
    if problems := [f"{path}:{line}: not valid YAML: {problem}" for line, problem in odd if problem]:
        raise ConfigError(problems)
    _join_decimals(content, text.splitlines())
    return content


def _join_decimals(node: object, lines: Sequence[str]) -> None:
    """Make one text again of a number with a decimal comma, which in braces begins another key."""
    if isinstance(node, CommentedMap):
        keys = list(node)
        for key, rest in pairwise(keys):
            place = (node.lc.data or {}).get(key)
            if isinstance(rest, int) and node[rest] is None and isinstance(node[key], int) and place:
                _, _, line, column = place
                if written := _DECIMAL.match(lines[line], column):
                    node[key] = written[0]
                    del node[rest]
    for value in node.values() if isinstance(node, CommentedMap) else node if isinstance(node, CommentedSeq) else ():
        _join_decimals(value, lines)


def _lines(node: object, location: Location) -> Iterator[tuple[Location, int]]:
    """Yield the line of each key and item, and of the whole."""
    if not location:
        yield (), 1
    if isinstance(node, CommentedMap | CommentedSeq):
        for key, value in node.items() if isinstance(node, CommentedMap) else enumerate(node):
            here = (*location, key)
            # What came by a merge key has no line of its own.
            if position := (node.lc.data or {}).get(key):
                yield here, position[0] + 1
            yield from _lines(value, here)


def _plain(node: Any) -> Any:
    """Return a node without what the library keeps of the file's form."""
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(item) for item in node]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def is_left_empty(path: str, line: int, key: str) -> bool:
    """Tell whether nothing stands behind a key in a line of a file, not even a `null` that says so on purpose."""
    if not Path(path).is_file():
        return False
    linecache.checkcache(path)
    empty = rf"""(?<![\w-]){re.escape(key)}["']?\s*(?::?\s*[,}}]|:?\s*$|:?\s+#)"""
    return re.search(empty, linecache.getline(path, line)) is not None


def has_comment_for_value(path: str, line: int) -> bool:
    """Tell whether in a line of a file a comment begins where the value of a key or an item would stand."""
    if not Path(path).is_file():
        return False
    linecache.checkcache(path)
    return _COMMENT.search(linecache.getline(path, line)) is not None


def line_hint(path: str, line: int, value: object, *, is_item: bool) -> str:
    """Return what in a line of a file YAML reads otherwise than it may be meant, as the end of a message.

    Args:
        path: The file.
        line: Where the value stands.
        value: What was refused.
        is_item: Whether it is one of a list.
    """
    if not Path(path).is_file() or isinstance(value, bool):
        return ""
    linecache.checkcache(path)
    written = linecache.getline(path, line)
    if value and isinstance(value, str) and re.match(r"\s+#\S", written.partition(value)[2]):
        return "; # begins a comment: where it is a part of the text, put that in quotes"
    # Other numbers with nothing between them may be two items.
    pairs = re.findall(r"(?<![\w.,])(0),(\d+)(?![\w.])", written) if is_item and isinstance(value, int) else ()
    decimal = next((f"{first}.{rest}" for first, rest in pairs if value in (int(first), int(rest))), "")
    return f": write {decimal}, with a point" if decimal else ""
