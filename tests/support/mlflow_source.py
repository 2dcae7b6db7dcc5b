"""A source `mlflow` on a store, and what it exposes, to be compared with what one that reads everything exposes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ml_monitoring.exporter.exposition import render_text
from ml_monitoring.exporter.sources.mlflow import MlflowSettings, MlflowSource


@contextlib.contextmanager
def mlflow_source(uri: str, **settings: object) -> Iterator[MlflowSource]:
    """Give a source without trainings, whose steps are counted from its start, so that a fresh one has others."""
    source = MlflowSource(MlflowSettings.model_validate({"training": False, "uri": uri, **settings}))
    try:
        yield source
    finally:
        source.close()


def exposed(source: MlflowSource) -> str:
    """Return what it exposes after a refresh."""
    return render_text(source.collect()).decode()


def freshly_exposed(uri: str) -> str:
    """Return what a source exposes that has just begun."""
    with mlflow_source(uri) as source:
        return exposed(source)
