"""The sources: one module each, and this one list of them."""

from __future__ import annotations

from exporter.sources.base import Source
from exporter.sources.mlflow import MlflowSource

SOURCES: tuple[type[Source], ...] = (MlflowSource,)
