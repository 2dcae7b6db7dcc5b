"""Every metric that this project exposes, declared once.

The family builder refuses what is not declared here, and the contract tests refuse a panel, recording rule or
alert that names a metric or label that is not declared here. To add a metric, add one entry to the tuple of its
domain; the README's table and the tests follow. To add a domain, add a module with a tuple and list it here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ml_monitoring.exporter.catalog.alertlog import ALERTLOG_METRICS, NOTIFY_BUCKETS, RESOLVE_BUCKETS
from ml_monitoring.exporter.catalog.base import Metric, MetricKind, Unit
from ml_monitoring.exporter.catalog.containers import CONTAINER_METRICS
from ml_monitoring.exporter.catalog.experiments import EXPERIMENT_METRICS
from ml_monitoring.exporter.catalog.exporter import EXPORTER_METRICS, REFRESH_BUCKETS
from ml_monitoring.exporter.catalog.fleet import FLEET_METRICS
from ml_monitoring.exporter.catalog.mlflow import MLFLOW_METRICS, RUN_BUCKETS
from ml_monitoring.exporter.catalog.mlflow_models import MLFLOW_MODEL_METRICS
from ml_monitoring.exporter.catalog.mlflow_traces import MLFLOW_TRACE_METRICS
from ml_monitoring.exporter.catalog.mlflow_training import MLFLOW_TRAINING_METRICS
from ml_monitoring.exporter.catalog.services import SERVICE_METRICS
from ml_monitoring.exporter.catalog.variants import KILL_BUCKETS, VARIANT_METRICS

__all__ = [
    "CATALOG",
    "KILL_BUCKETS",
    "METRICS",
    "NOTIFY_BUCKETS",
    "REFRESH_BUCKETS",
    "RESOLVE_BUCKETS",
    "RUN_BUCKETS",
    "Metric",
    "MetricKind",
    "Unit",
]

METRICS: tuple[Metric, ...] = (
    *EXPORTER_METRICS,
    *MLFLOW_METRICS,
    *MLFLOW_MODEL_METRICS,
    *MLFLOW_TRACE_METRICS,
    *MLFLOW_TRAINING_METRICS,
    *VARIANT_METRICS,
    *FLEET_METRICS,
    *CONTAINER_METRICS,
    *EXPERIMENT_METRICS,
    *SERVICE_METRICS,
    *ALERTLOG_METRICS,
)

CATALOG: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in METRICS})

if len(CATALOG) != len(METRICS):
    raise ValueError("two metrics share a name: " + ", ".join(sorted(metric.name for metric in METRICS)))
