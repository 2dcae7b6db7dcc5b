"""The sources: one package each, and this one list of them."""

from __future__ import annotations

from ml_monitoring.exporter.sources.base import Source
from ml_monitoring.exporter.sources.containers import ContainersSource
from ml_monitoring.exporter.sources.experiments import ExperimentsSource
from ml_monitoring.exporter.sources.fleet import FleetSource
from ml_monitoring.exporter.sources.mlflow import MlflowSource
from ml_monitoring.exporter.sources.queries import QueriesSource
from ml_monitoring.exporter.sources.variants import VariantsSource

SOURCES: tuple[type[Source], ...] = (
    MlflowSource,
    VariantsSource,
    FleetSource,
    ContainersSource,
    ExperimentsSource,
    QueriesSource,
)
