"""Sources of a user's own, which packages give by the entry-point group `ml_monitoring.sources`.

One that cannot be used is a source all the same, whose section of the settings says why: nothing else suffers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar

from pydantic import model_validator

from ml_monitoring.exporter.catalog import CATALOG
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.own_files import GROUP
from ml_monitoring.exporter.sources.base import Source, SourceSettings
from ml_monitoring.exporter.sources.defects import describe_loading

_log = logging.getLogger(__name__)


def plugins(ours: Sequence[type[Source]]) -> Iterator[type[Source]]:
    """Yield the sources that are installed beside our own."""
    taken = {source.name for source in ours}
    metrics = set(CATALOG)
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        if point.name in taken or not point.name.isidentifier():
            _log.warning("the source %s of %s has no section: the name is taken or none", point.name, point.value)
            continue
        taken.add(point.name)
        source = _load(point, metrics)
        metrics.update(metric.name for metric in getattr(source, "metrics", ()))
        yield source


def _load(point: EntryPoint, metrics: set[str]) -> type[Source]:
    package = f" of {point.dist.name}" if point.dist else ""
    try:
        source = point.load()
    except Exception as error:  # noqa: BLE001  # foreign code may raise anything
        return _broken(point.name, f"the source{package} cannot be loaded: {describe_loading(error)}")
    if not (isinstance(source, type) and issubclass(source, Source) and hasattr(source, "Settings")):
        return _broken(point.name, f"{point.value}{package} is no Source")
    if source.name != point.name:
        return _broken(point.name, f"the source{package} is called {source.name}, its entry point {point.name}")
    declared = getattr(source, "metrics", ())
    if clash := sorted({metric.name for metric in declared} & metrics):
        return _broken(
            point.name, f"another source has the metric {', '.join(clash)}, which the source{package} declares"
        )
    return source


def _broken(name: str, reason: str) -> type[Source]:
    class BrokenSettings(SourceSettings):
        @model_validator(mode="before")
        @classmethod
        def _refuse(cls, _data: Any) -> Any:
            raise ValueError(reason)

    class BrokenSource(Source):
        Settings: ClassVar[type[SourceSettings]] = BrokenSettings

        def __init__(self, settings: SourceSettings) -> None:
            raise AssertionError(settings)

        def collect(self) -> FamilySet:
            raise AssertionError

        def check(self) -> str:
            raise AssertionError

    BrokenSource.name = name
    return BrokenSource
