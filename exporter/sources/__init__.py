"""The sources: one package each, and this one list of them."""

from __future__ import annotations

from exporter.sources.base import Source
from exporter.sources.containers import ContainersSource
from exporter.sources.fleet import FleetSource
from exporter.sources.mlflow import MlflowSource
from exporter.sources.variants import VariantsSource

SOURCES: tuple[type[Source], ...] = (MlflowSource, VariantsSource, FleetSource, ContainersSource)
