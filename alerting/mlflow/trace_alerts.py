"""Alerts on LLM applications: their traces fail, or take long."""

from __future__ import annotations

from ml_monitoring.alerting.mlflow.trace_signals import TRACE_DURATION_P95, TRACE_ERROR_RATIO
from ml_monitoring.alerting.model.alert import Alert, Kind
from ml_monitoring.alerting.model.evidence import Events, Percentile, Trials

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="MlflowTraceErrorRatioHigh",
        condition=("More than <threshold> of the traces of an experiment that ended within <window> failed."),
        signal=TRACE_ERROR_RATIO,
        comparison=">",
        evidence=(
            Trials("experiment:mlflow_traces_ended:recent"),
            Events("experiment:mlflow_traces_ended:recent", "minimum_traces", "traces that ended"),
        ),
        parameters={"window": Kind.DURATION, "minimum_traces": Kind.COUNT},
        source="mlflow",
        absent=(
            "Traces are optional, and experiments without recent ones have none; when the store cannot be "
            "read, MlMonitoringSourceDown fires."
        ),
        summary="The error ratio of an LLM application is high.",
        description=(
            '{{ $value | humanizePercentage }} of the recent traces of experiment "{{ $labels.experiment }}" failed.'
        ),
    ),
    Alert(
        name="MlflowTraceLatencyHigh",
        condition="5 % of the traces of an experiment that ended within <window> took longer than <threshold>.",
        signal=TRACE_DURATION_P95,
        comparison=">",
        evidence=(
            Percentile(
                "experiment:mlflow_traces_timed:recent", "experiment_le:mlflow_trace_duration_seconds_bucket:rate", 95
            ),
        ),
        parameters={"window": Kind.DURATION},
        source="mlflow",
        absent=(
            "Traces are optional, and experiments without recent ones have none; when the store cannot be "
            "read, MlMonitoringSourceDown fires."
        ),
        summary="The latency of an LLM application is high.",
        description=(
            'The slowest 5 % of the traces of experiment "{{ $labels.experiment }}" take '
            "{{ $value | humanizeDuration }}."
        ),
    ),
)
