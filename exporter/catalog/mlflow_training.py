"""Metrics of the source `mlflow` about runs that are running: whether they get on, and what their machines do."""

from __future__ import annotations

from ml_monitoring.exporter.catalog.base import Unit, counter, gauge

MLFLOW_TRAINING_METRICS = (
    gauge(
        "mlflow_training_last_metric_timestamp_seconds",
        "When the running run that has been silent for longest last logged a metric, system metrics not counted.",
        Unit.TIMESTAMP,
        "experiment",
        origin="mlflow",
    ),
    counter(
        "mlflow_training_steps_total",
        "Steps by which running runs got on while the exporter ran.",
        Unit.COUNT,
        "experiment",
        origin="mlflow",
    ),
    gauge(
        "mlflow_training_runs_not_finite",
        "Running runs of which a metric where lower is better, such as a loss, was last NaN or infinite.",
        Unit.COUNT,
        "experiment",
        origin="mlflow",
    ),
    gauge(
        "mlflow_training_runs_rising",
        "Running runs of which a metric of the setting metrics.losses has risen for a quarter of what was seen of it.",
        Unit.COUNT,
        "experiment",
        origin="mlflow",
    ),
    gauge(
        "mlflow_training_utilization_ratio",
        "Mean utilization of the machines of running runs, of those that logged it within ten minutes, by resource.",
        Unit.RATIO,
        "experiment",
        "resource",
        origin="mlflow",
    ),
    gauge(
        "mlflow_training_gpu_lowest_utilization_ratio",
        "GPU utilization of the running run that uses its GPUs least, of those that logged it within ten minutes.",
        Unit.RATIO,
        "experiment",
        origin="mlflow",
    ),
    gauge(
        "mlflow_training_node_utilization_ratio",
        "Mean utilization of a machine over the running runs that name it by a node id and logged within ten minutes.",
        Unit.RATIO,
        "node",
        "resource",
        origin="mlflow",
    ),
    gauge(
        "mlflow_training_user_runs",
        "Running runs by user (tag mlflow.user), those with most runs first; (other) are all others.",
        Unit.COUNT,
        "user",
        origin="mlflow",
    ),
    gauge(
        "mlflow_training_source_runs",
        "Running runs by what started them (tag mlflow.source.name), those with most runs first; (other) as above.",
        Unit.COUNT,
        "source_name",
        origin="mlflow",
    ),
    gauge(
        "mlflow_training_labels",
        "Users and sources of running runs, by kind: how many there are, those in (other) counted one by one.",
        Unit.COUNT,
        "kind",
        origin="mlflow",
    ),
)
