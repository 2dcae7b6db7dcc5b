"""Metrics of the source `mlflow`."""

from __future__ import annotations

from dataclasses import replace

from ml_monitoring.exporter.catalog.base import Unit, gauge, histogram

# A run lasts seconds (a smoke test) to days (training from scratch).
RUN_BUCKETS = (1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 10800.0, 21600.0, 43200.0, 86400.0, 259200.0, 604800.0)

MLFLOW_METRICS = (
    gauge(
        "mlflow_experiments",
        "Experiments in the store by lifecycle stage.",
        Unit.COUNT,
        "lifecycle_stage",
        origin="mlflow",
    ),
    gauge(
        "mlflow_runs",
        "Active runs of active experiments by status.",
        Unit.COUNT,
        "experiment",
        "status",
        origin="mlflow",
    ),
    histogram(
        "mlflow_run_duration_seconds",
        "Duration of finished runs, deleted ones included so that the counts do not fall.",
        Unit.SECONDS,
        "experiment",
        origin="mlflow",
        buckets=RUN_BUCKETS,
    ),
    gauge(
        "mlflow_last_run_timestamp_seconds",
        "When a run of this status last ended, or started while it has not ended.",
        Unit.TIMESTAMP,
        "experiment",
        "status",
        origin="mlflow",
    ),
    gauge(
        "mlflow_running_run_start_timestamp_seconds",
        "When the oldest run that is still running was started.",
        Unit.TIMESTAMP,
        "experiment",
        origin="mlflow",
    ),
    replace(
        gauge(
            "mlflow_metric_latest",
            "Last logged value of the metric in the latest finished run of the experiment and variant.",
            Unit.ANY,
            "experiment",
            "model_variant",
            "metric",
            origin="mlflow",
            extensible=True,
        ),
        # Given by settings where simulated runs lie in a store: `labels: {origin: ["tag:origin"]}`.
        optional_labels=("origin",),
    ),
    gauge(
        "mlflow_metric_best",
        "Best last-logged value of the metric over all finished runs; lowest for metrics where lower is better.",
        Unit.ANY,
        "experiment",
        "metric",
        origin="mlflow",
    ),
    gauge(
        "mlflow_model_version_info",
        "Always 1; one series a registered version and alias, alias empty when the version has none.",
        Unit.INFO,
        "model",
        "version",
        "alias",
        "run_status",
        origin="mlflow",
    ),
    gauge(
        "mlflow_model_metric",
        "Last logged value of the metric in the run behind the aliased model version.",
        Unit.ANY,
        "model",
        "alias",
        "metric",
        origin="mlflow",
    ),
    gauge(
        "mlflow_store_rows",
        "Estimated rows of the store's table, from the database's own statistics.",
        Unit.COUNT,
        "table",
        origin="mlflow",
    ),
)
