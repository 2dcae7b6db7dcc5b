"""Recorded series about traces of LLM applications."""

from __future__ import annotations

from ml_monitoring.alerting.model.recording import Record

_EXPERIMENT = ("experiment",)


def _percentile(percent: int) -> Record:
    return Record(
        name=f"experiment:mlflow_trace_duration_seconds:p{percent}",
        meaning=f"Duration that {percent} % of the traces of the last <MlflowTraceLatencyHigh.window> did not exceed.",
        expr=f"histogram_quantile(0.{percent}, experiment_le:mlflow_trace_duration_seconds_bucket:rate)",
        by=_EXPERIMENT,
    )


RECORDS: tuple[Record, ...] = (
    Record(
        name="experiment:mlflow_traces_ended:recent",
        meaning="Traces that ended in the window of MlflowTraceErrorRatioHigh.",
        expr="""
            sum without (status) (
              max without (instance) (increase(mlflow_traces_total[<MlflowTraceErrorRatioHigh.window>]))
            )
        """,
        by=_EXPERIMENT,
    ),
    Record(
        name="experiment:mlflow_trace_errors_per_ended:recent_ratio",
        meaning="Failed share of the traces that ended in that window; absent when there were none.",
        expr="""
            sum without (status) (
              max without (instance) (
                increase(mlflow_traces_total{status="ERROR"}[<MlflowTraceErrorRatioHigh.window>])
              )
            )
            /
            (experiment:mlflow_traces_ended:recent > 0)
        """,
        by=_EXPERIMENT,
    ),
    Record(
        name="experiment_le:mlflow_trace_duration_seconds_bucket:rate",
        meaning="Traces a second that took up to so long, in the last <MlflowTraceLatencyHigh.window>.",
        expr="""
            max without (instance) (rate(mlflow_trace_duration_seconds_bucket[<MlflowTraceLatencyHigh.window>]))
        """,
        by=("experiment", "le"),
    ),
    Record(
        name="experiment:mlflow_traces_timed:recent",
        meaning="Traces in that window whose duration is known.",
        expr="""
            max without (instance, le) (
              increase(mlflow_trace_duration_seconds_bucket{le="+Inf"}[<MlflowTraceLatencyHigh.window>])
            )
        """,
        by=_EXPERIMENT,
    ),
    _percentile(50),
    _percentile(95),
)
