"""The source `experiments`."""

from __future__ import annotations

from ml_monitoring.exporter.sources.experiments.settings import ExperimentsSettings
from ml_monitoring.exporter.sources.experiments.source import ExperimentsSource

__all__ = ["ExperimentsSettings", "ExperimentsSource"]
