"""Signals of the page `mlflow-traces`: how do LLM applications answer, how long does it take, what does it use?"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.model.signal import Signal, loudest
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

TOKENS_TOGETHER: Final = Signal(
    name="tokens_together",
    title="Tokens per minute",
    question="How many tokens go in and out a minute, together?",
    expr=(
        "60 * sum by (cluster, namespace) "
        "(max without (instance) (rate(mlflow_trace_tokens_total{<filter>}[<window>])))"
    ),
    unit=Unit.COUNT,
    dashboard=PAGE,
    filters=_EXPERIMENT,
    legend="in and out",
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

FEEDBACK_PASSED: Final = Signal(
    name="trace_feedback_passed",
    title="Feedback that passed",
    question="Which share of the answers do judges, code and people find good, of those that they say yes or no to?",
    expr=(
        'sum without (result) (max without (instance) (increase(mlflow_trace_feedback_total{result="pass",<filter>}'
        "[<window>])))"
        " / (sum without (result) (max without (instance) "
        '(increase(mlflow_trace_feedback_total{result=~"pass|fail",<filter>}[<window>]))) > 0)'
    ),
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=("experiment", "feedback", "source_type"),
    filters=_EXPERIMENT,
)

FEEDBACK_SCORE: Final = Signal(
    name="trace_feedback_score",
    title="Feedback scores",
    question="Which scores do answers get, and do they fall?",
    expr="max without (instance) (mlflow_trace_feedback_score{<filter>})",
    unit=Unit.ANY,
    dashboard=PAGE,
    by=("experiment", "feedback", "source_type"),
    filters=_EXPERIMENT,
)

FEEDBACK_GIVEN: Final = Signal(
    name="trace_feedback_given",
    title="Feedback",
    question="How much feedback comes, and do judges fail?",
    expr="max without (instance) (increase(mlflow_trace_feedback_total{<filter>}[<window>]))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("experiment", "feedback", "source_type", "result"),
    filters=_EXPERIMENT,
)


_APPS = "cluster, namespace, job, store, experiment"


def _of_app(name: str, title: str, question: str, expr: str, unit: Unit = Unit.COUNT) -> Signal:
    return Signal(name, title, question, expr, unit, PAGE, by=_EXPERIMENT, filters=_EXPERIMENT)


def _firing(severity: str) -> str:
    alerts = f'ALERTS{{alertstate="firing",severity="{severity}",alertname=~"MlflowTrace.+",<own_alerts>,<filter>}}'
    return f"max by ({_APPS}) ({alerts})"


APP_STATE: Final = _of_app(
    "app_state",
    "State",
    "Does an alert on traces of the application fire, and what is the highest severity?",
    loudest(_firing, f"max by ({_APPS}) (experiment:mlflow_traces_ended:recent{{<filter>}})"),
    Unit.ANY,
)

APP_TRACES: Final = _of_app(
    "app_traces",
    "Traces",
    "How many traces of the application ended?",
    "sum without (status) (max without (instance) (increase(mlflow_traces_total{<filter>}[<window>])))",
)

APP_COST: Final = _of_app(
    "app_cost",
    "Cost (USD)",
    "What did the models of the application cost, as far as MLflow knows their prices?",
    "sum without (kind) (max without (instance) (increase(mlflow_trace_cost_dollars_total{<filter>}[<window>])))",
    Unit.ANY,
)


def _judged(result: str) -> str:
    counted = f'mlflow_trace_feedback_total{{result=~"{result}",<filter>}}'
    return f"sum without (feedback, source_type, result) (max without (instance) (increase({counted}[<window>])))"


APP_FEEDBACK: Final = _of_app(
    "app_feedback",
    "Feedback that passed",
    "Which share of the feedback on answers of the application is good, of what says yes or no?",
    f"{_judged('pass')} / ({_judged('pass|fail')} > 0)",
    Unit.RATIO,
)


def _traces_of(kind: str, title: str, *labels: str) -> tuple[Signal, Signal, Signal]:
    """Return traces, error ratio and mean duration of traces by what answered them."""
    by = ("experiment", *labels)

    def summed(what: str, matchers: str = "") -> str:
        family = f"mlflow_{kind}_{what}_total{{{matchers}<filter>}}"
        return f"sum without (status) (max without (instance) (increase({family}[<window>])))"

    def signal(name: str, of: str, question: str, expr: str, unit: Unit) -> Signal:
        return Signal(
            name=f"{kind}_trace_{name}",
            title=f"{of} by {title}",
            question=question,
            expr=expr,
            unit=unit,
            dashboard=PAGE,
            by=by,
            filters=_EXPERIMENT,
        )

    ended = summed("traces")
    failed = summed("traces", 'status="ERROR",')
    return (
        signal("ended", "Traces", f"Which {title} is used, and how much?", ended, Unit.COUNT),
        signal("errors", "Errors", f"With which {title} do traces fail?", f"{failed} / ({ended} > 0)", Unit.RATIO),
        signal(
            "duration",
            "Mean duration",
            f"How long do traces take with each {title}?",
            f"{summed('trace_seconds')} / ({ended} > 0)",
            Unit.SECONDS,
        ),
    )


PROMPT_TRACES, PROMPT_ERRORS, PROMPT_DURATION = _traces_of("prompt", "prompt version", "prompt", "prompt_version")

MODEL_TRACES, MODEL_ERRORS, MODEL_DURATION = _traces_of("model", "model", "model")
