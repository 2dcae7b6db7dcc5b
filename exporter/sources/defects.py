"""What a source that does not work says of itself: the code of each may be a user's own, and no other suffers."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Final

from ml_monitoring.exporter.errors import CatalogError, Reason, SourceError
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.base import Source, SourceSettings

_log = logging.getLogger(__name__)
_PACKAGE: Final = Path(__file__).resolve().parents[1]


def create(kind: type[Source], section: SourceSettings) -> Source:
    """Return a source, or where it cannot be made one that says why."""
    if lacking := sorted(kind.__abstractmethods__):
        methods = "method" if len(lacking) == 1 else "methods"
        return _Unusable(f"{kind.__name__} lacks the {methods} {', '.join(lacking)}")
    try:
        return kind(section)
    except Exception as error:  # noqa: BLE001  # foreign code may raise anything
        return _Unusable(describe(error))


def describe(error: Exception) -> str:
    """Return what was raised, and where: in the code of a user's own where it came through that."""
    said = str(error) if isinstance(error, CatalogError) else f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    paths = [Path(frame.filename) for frame in frames]
    own = [index for index, path in enumerate(paths) if _PACKAGE not in path.resolve().parents]
    # What it calls, such as a driver, stands behind it; our own code is the first to be asked.
    first = next((index for index in own if not _is_library(paths[index])), len(frames) - 1)
    last = first
    while last + 1 < len(frames) and paths[last + 1] == paths[first]:
        last += 1
    if not frames:
        return said
    path = paths[last]
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{said} ({shown}:{frames[last].lineno})"
