"""Reading YAML settings so that every problem is named by its place and no secret is quoted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ml_monitoring.exporter.errors import ConfigError


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuse a key that is given twice: the first one would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _value in node.value:
            key = key_node.value
            if isinstance(key, str):
                if key in seen:
                    message = f"key {key!r} is given twice"
                    raise yaml.constructor.ConstructorError(None, None, message, key_node.start_mark)
                seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping that a YAML file holds; an empty file is an empty mapping.

    Raises:
        ConfigError: The file cannot be read, is not YAML or holds something else than a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {describe_read_error(error)}"]) from None
    try:
        content = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506  # derives from SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        # Only the problem, never the excerpt: the line may hold a password.
        raise ConfigError([f"{path}{where}: not valid YAML: {error.problem}"]) from None
    except yaml.YAMLError:
        raise ConfigError([f"{path}: not valid YAML"]) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError([f"{path}: must hold settings like `key: value`, not a {type(content).__name__}"])
    return content


def describe(error: ValidationError) -> list[str]:
    """Return one line for each problem, beginning with its dotted location."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        location = ".".join(str(part) for part in problem["loc"]) or "(top level)"
        message = "unknown key" if problem["type"] == "extra_forbidden" else problem["msg"]
        lines.append(f"{location}: {message.removeprefix('Value error, ')}")
    return lines


def describe_read_error(error: OSError | UnicodeDecodeError) -> str:
    """Return why a file could not be read, without its content."""
    return error.strerror or str(error) if isinstance(error, OSError) else "not UTF-8 text"
