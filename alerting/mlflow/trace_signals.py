"""Signals of the page `mlflow-traces`: how do LLM applications answer, how long does it take, what does it use?"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.exporter.catalog import Unit

PAGE: Final = "ml-monitoring-mlflow-traces"
_EXPERIMENT = ("experiment",)


def _duration(percent: str, title: str, question: str) -> Signal:
    return Signal(
        name=f"trace_duration_p{percent}",
        title=title,
        question=question,
        expr=f"experiment:mlflow_trace_duration_seconds:p{percent}{{<filter>}}",
        unit=Unit.SECONDS,
        dashboard=PAGE,
        by=_EXPERIMENT,
        filters=_EXPERIMENT,
        legend=f"p{percent} {{{{experiment}}}}",
    )


TRACES_ENDED: Final = Signal(
    name="traces_ended",
    title="Traces by outcome",
    question="How much is each application used, and how do its traces end?",
    expr="max without (instance) (increase(mlflow_traces_total{<filter>}[<window>]))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("experiment", "status"),
    filters=_EXPERIMENT,
)

TRACE_ERROR_RATIO: Final = Signal(
    name="trace_error_ratio",
    title="Trace error ratio",
    question="Do traces fail more often than they should?",
    expr="experiment:mlflow_trace_errors_per_ended:recent_ratio{<filter>}",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=_EXPERIMENT,
    filters=_EXPERIMENT,
)

TRACE_DURATION_P50: Final = _duration("50", "Trace duration (p50)", "How long does a usual answer take?")

TRACE_DURATION_P95: Final = _duration("95", "Trace duration (p95)", "How long does a slow answer take?")

TRACE_RATE: Final = Signal(
    name="trace_rate",
    title="Traces per minute",
    question="How much are the applications used?",
    expr="60 * sum by (cluster, namespace) (max without (instance) (rate(mlflow_traces_total{<filter>}[<window>])))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    filters=_EXPERIMENT,
    legend="traces",
)

TOKEN_RATE: Final = Signal(
    name="token_rate",
    title="Tokens per minute",
    question="How many tokens go in and out a minute?",
    expr=(
        "60 * sum by (cluster, namespace, kind) "
        "(max without (instance) (rate(mlflow_trace_tokens_total{<filter>}[<window>])))"
    ),
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("kind",),
    filters=_EXPERIMENT,
)

TRACE_TOKENS: Final = Signal(
    name="trace_tokens",
    title="Tokens",
    question="How many tokens go in and out?",
    expr="max without (instance) (increase(mlflow_trace_tokens_total{<filter>}[<window>]))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("experiment", "kind"),
    filters=_EXPERIMENT,
)

TRACE_COST: Final = Signal(
    name="trace_cost",
    title="Cost (USD)",
    question="What do the models of each application cost, as far as MLflow knows their prices?",
    expr="max without (instance) (increase(mlflow_trace_cost_dollars_total{<filter>}[<window>]))",
    unit=Unit.ANY,
    dashboard=PAGE,
    by=("experiment", "kind"),
    filters=_EXPERIMENT,
)

TOKENS_PER_TRACE: Final = Signal(
    name="tokens_per_trace",
    title="Tokens per trace",
    question="Do answers become longer, and so slower and more expensive?",
    expr=(
        "sum without (kind) (max without (instance) (increase(mlflow_trace_tokens_total{<filter>}[<window>])))"
        " / (sum without (status) (max without (instance) (increase(mlflow_traces_total{<filter>}[<window>]))) > 0)"
    ),
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_EXPERIMENT,
    filters=_EXPERIMENT,
)
