"""Whether each file and folder that the settings name can be used as it is meant, without changing anything."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from ml_monitoring.exporter.settings_hints import Location
from ml_monitoring.exporter.values import PathUse

_SCHEME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:/")
_RIGHTS: Final = os.W_OK | os.X_OK


def problems(settings: BaseModel, above: Location) -> Iterator[tuple[Location, str]]:
    """Yield which setting names a path that cannot be used, and what is wrong.

    Args:
        settings: Of a source, or another part of all settings.
        above: Where they stand, such as `sources.fleet`.
    """
    for setting, path, use in _paths(settings, above):
        problem = _of_reading(path) if use is PathUse.READ else _of_writing(path, use)
        if problem:
            yield setting, problem


def _paths(node: Any, above: Location) -> Iterator[tuple[Location, Path, PathUse]]:
    if isinstance(node, BaseModel):
        for field, info in type(node).model_fields.items():
            value = getattr(node, field)
            use = next((each for each in info.metadata if isinstance(each, PathUse)), None)
            if isinstance(value, Path) and use not in (None, PathUse.OWN):
                yield (*above, field), value, use
            else:
                yield from _paths(value, (*above, field))
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield from _paths(value, (*above, key))


def describe_missing(path: Path, *, takes_folder: bool = False) -> str:
    """Return what is odd in a path that leads to nothing; empty where nothing is.

    Args:
        path: As it was given.
        takes_folder: Whether a folder may stand for several files.
    """
    text = str(path)
    if text.startswith("~"):
        return "~ is not expanded: write the whole path"
    if _SCHEME.match(text):
        return "an address is not fetched: write the path of a file"
    if re.search(r"\$\w", text):
        return "a variable is written as ${NAME}"
    if re.search(r"[*?]|\[.+\]", text):
        return f"it takes one file, no pattern{'; a folder stands for all in it' if takes_folder else ''}"
    return ""


def _of_reading(path: Path) -> str:
    try:
        if path.is_dir():
            next(path.iterdir(), None)
        else:
            with path.open("rb"):
                pass
    except OSError as error:
        odd = describe_missing(path)
        return f"{path} cannot be read: {error.strerror}{f'; {odd}' if odd else ''}"
    return ""


def _of_writing(path: Path, use: PathUse) -> str:
    """Return why nothing can be written; parts of the path that are missing are made later."""
    above = path.parent if use is PathUse.WRITTEN_FILE else path
    try:
        if use is PathUse.WRITTEN_FILE and path.exists() and not path.is_file():
            return f"{path} is no file"
        while not above.exists():
            above = above.parent
        if not above.is_dir():
            return f"{path} cannot be written: {above} is no folder"
    except OSError as error:
        return f"{path} cannot be written: {error.strerror}"
    if not os.access(above, _RIGHTS) or os.statvfs(above).f_flag & os.ST_RDONLY:
        return f"{path} cannot be written: user {os.geteuid()} may not write into {above}"
    return ""
