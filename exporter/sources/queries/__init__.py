"""The source `queries`: metrics of one's own, each read by a query from any database."""

from __future__ import annotations

from ml_monitoring.exporter.sources.queries.settings import QueriesSettings, QueryMetric
from ml_monitoring.exporter.sources.queries.source import QueriesSource

__all__ = ["QueriesSettings", "QueriesSource", "QueryMetric"]
