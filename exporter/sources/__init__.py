"""The sources: one package each, and this one list of them."""

from __future__ import annotations

from ml_monitoring.exporter.sources.base import Source
from ml_monitoring.exporter.sources.containers import ContainersSource
from ml_monitoring.exporter.sources.experiments import ExperimentsSource
from ml_monitoring.exporter.sources.fleet import FleetSource
from ml_monitoring.exporter.sources.mlflow import MlflowSource
from ml_monitoring.exporter.sources.plugins import plugins
from ml_monitoring.exporter.sources.queries import QueriesSource
from ml_monitoring.exporter.sources.variants import VariantsSource

_OURS: tuple[type[Source], ...] = (
    MlflowSource,
    VariantsSource,
    FleetSource,
    ContainersSource,
    ExperimentsSource,
    QueriesSource,
)

# Ours first: a source of a user's own never takes the place of one.
SOURCES: tuple[type[Source], ...] = (*_OURS, *plugins(_OURS))
