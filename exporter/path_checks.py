"""Whether each file and folder that the settings name can be used as it is meant, without changing anything."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from ml_monitoring.exporter.settings_hints import Location
from ml_monitoring.exporter.values import PathUse

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


def _of_reading(path: Path) -> str:
    try:
        if path.is_dir():
            next(path.iterdir(), None)
        else:
            with path.open("rb"):
                pass
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
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
