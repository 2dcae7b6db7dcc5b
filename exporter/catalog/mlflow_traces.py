"""Metrics of the source `mlflow` about traces of LLM applications; they count from the start of the exporter."""

from __future__ import annotations

from ml_monitoring.exporter.catalog.base import Unit, counter, gauge, histogram

# A cached answer takes milliseconds, an agent minutes.
TRACE_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

MLFLOW_TRACE_METRICS = (
    counter(
        "mlflow_traces_total",
        "Traces that ended while the exporter ran, by how.",
        Unit.COUNT,
        "experiment",
        "status",
        origin="mlflow",
    ),
    gauge(
        "mlflow_traces_in_progress",
        "Traces begun within the setting trace_window that have not ended.",
        Unit.COUNT,
        "experiment",
        origin="mlflow",
    ),
    histogram(
        "mlflow_trace_duration_seconds",
        "Duration of the traces that ended while the exporter ran.",
        Unit.SECONDS,
        "experiment",
        origin="mlflow",
        buckets=TRACE_BUCKETS,
    ),
    counter(
        "mlflow_trace_tokens_total",
        "Tokens of the traces that ended while the exporter ran, by kind: input or output.",
        Unit.COUNT,
        "experiment",
        "kind",
        origin="mlflow",
    ),
    counter(
        "mlflow_trace_cost_dollars_total",
        "Cost of the traces that ended while the exporter ran, as MLflow reckons it, by kind: input or output.",
        Unit.COUNT,
        "experiment",
        "kind",
        origin="mlflow",
    ),
    counter(
        "mlflow_trace_feedback_total",
        "Feedback on traces that was given while the exporter ran, by result: pass, fail, score, other, error.",
        Unit.COUNT,
        "experiment",
        "feedback",
        "source_type",
        "result",
        origin="mlflow",
    ),
    gauge(
        "mlflow_trace_feedback_score",
        "Mean of the numbers that were given as feedback on traces within the setting trace_window.",
        Unit.ANY,
        "experiment",
        "feedback",
        "source_type",
        origin="mlflow",
    ),
    counter(
        "mlflow_prompt_traces_total",
        "Traces that ended while the exporter ran by the prompt versions that are linked to them, and by how.",
        Unit.COUNT,
        "experiment",
        "prompt",
        "prompt_version",
        "status",
        origin="mlflow",
    ),
    counter(
        "mlflow_prompt_trace_seconds_total",
        "How long these traces took.",
        Unit.SECONDS,
        "experiment",
        "prompt",
        "prompt_version",
        "status",
        origin="mlflow",
    ),
    counter(
        "mlflow_model_traces_total",
        "Traces that ended while the exporter ran by the logged model that they are of, and by how.",
        Unit.COUNT,
        "experiment",
        "model",
        "status",
        origin="mlflow",
    ),
    counter(
        "mlflow_model_trace_seconds_total",
        "How long these traces took.",
        Unit.SECONDS,
        "experiment",
        "model",
        "status",
        origin="mlflow",
    ),
)
