"""Sources that alerts of a user's own name, whose failure would mute them, and that there are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ml_monitoring.alerting.extension_alerts import OwnAlert
from ml_monitoring.alerting.extension_files import queries, read_each
from ml_monitoring.exporter.own_files import sources_in
from ml_monitoring.exporter.suggestions import closest, suggestion, suggestion_or_all

_QUERIES: Final = "queries"


def unknown_sources(folder: Path) -> Iterator[str]:
    """Yield the sentence about each own alert whose `source` is no source, or no query of the folder that has some."""
    # They take long to import, and most commands need none.
    from ml_monitoring.exporter.sources import SOURCES  # noqa: PLC0415

    known = queries(folder)
    kinds = [*(source.name for source in SOURCES), *(path.name for path in sources_in(folder))]
    for _, alert, layers in read_each(folder, "alerts", OwnAlert, []):
        source = alert.usable.source if alert.usable is not None else ""
        kind, _, name = source.partition("/")
        if not source or alert.touches(("source",)):
            continue
        if kind == _QUERIES and name:
            if known and name not in known:
                hint = suggestion(source, [f"{_QUERIES}/{each}" for each in known])
                hint = hint or "; unless the exporter's settings have it, nothing mutes the alert"
                yield layers.problem(("source",), f"no query in {folder / _QUERIES} is called {source}{hint}")
        elif kind not in kinds or source == _QUERIES:
            query = closest(name or kind, known)
            hint = f"; did you mean {_QUERIES}/{query}?" if query else suggestion(kind, kinds)
            hint = hint or suggestion_or_all(source, [*kinds[:-1], f"{_QUERIES}/NAME"])
            yield layers.problem(("source",), f"no source is called {source}, so nothing mutes the alert{hint}")
