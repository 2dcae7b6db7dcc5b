"""What a source that does not work says of itself: its code may be a user's own, and no other source suffers."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from ml_monitoring.exporter.errors import CatalogError, Reason, SourceError
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.redaction import redact
from ml_monitoring.exporter.sources.base import Source, SourceSettings

_log = logging.getLogger(__name__)


def create(kind: type[Source], section: SourceSettings) -> Source:
    """Return a source, or where none can be made one that says why."""
    if lacking := sorted(kind.__abstractmethods__):
        return _Unusable(f"{kind.__name__} lacks the method{'s' * (len(lacking) > 1)} {', '.join(lacking)}")
    try:
        return kind(section)
    except Exception as error:  # noqa: BLE001  # foreign code may raise anything
        return _Unusable(describe(error, kind))


def describe(error: Exception, kind: type[Source]) -> str:
    """Return what was raised, and where in the source's own module."""
    said = redact(str(error) if isinstance(error, CatalogError) else f"{type(error).__name__}: {error}")
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == getattr(sys.modules[kind.__module__], "__file__", None)]
    if not (own or frames):
        return said
    last = (own or frames)[-1]
    return f"{said} ({_place(last.filename, last.lineno)})"


def describe_loading(error: Exception) -> str:
    """Return what was raised when a source was loaded, and the last line of its package that was reached."""
    said = redact(f"{type(error).__name__}: {error}")
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}: {error.msg} ({_place(error.filename, error.lineno)})"
    # The first is who asked; the import system follows, then the source.
    frames = traceback.extract_tb(error.__traceback__)[1:]
    reached = [frame for frame in frames if Path(frame.filename).is_file() and "importlib" not in frame.filename]
    own = [frame for frame in reached if Path(frame.filename).is_relative_to(Path(reached[0].filename).parent)]
    return f"{said} ({_place(own[-1].filename, own[-1].lineno)})" if own else said


def _place(file: str, line: int | None) -> str:
    path = Path(file)
    return f"{path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}:{line}"


def call(name: str, what: Callable[..., object], *arguments: object) -> None:
    """Call a method that only begins or ends the work of a source; what it raises is logged."""
    try:
        what(*arguments)
    except Exception:  # noqa: BLE001  # foreign code may raise anything
        _log.exception("defect in source", extra={"fields": {"source": name}})


class _Unusable(Source):
    name: ClassVar[str] = ""
    Settings: ClassVar[type[SourceSettings]] = SourceSettings

    def __init__(self, problem: Any) -> None:
        self._problem = problem

    def collect(self) -> FamilySet:
        raise SourceError(Reason.INTERNAL, self._problem)

    def check(self) -> str:
        raise SourceError(Reason.INTERNAL, self._problem)
