"""The page `MLflow traces`: how do LLM applications answer, how long does it take, what does it use, is it good?"""

from __future__ import annotations

from ml_monitoring.alerting.mlflow.trace_signals import (
    APP_COST,
    APP_FEEDBACK,
    APP_STATE,
    APP_TRACES,
    FEEDBACK_GIVEN,
    FEEDBACK_PASSED,
    FEEDBACK_SCORE,
    MODEL_DURATION,
    MODEL_ERRORS,
    MODEL_TRACES,
    PAGE,
    PROMPT_DURATION,
    PROMPT_ERRORS,
    PROMPT_TRACES,
    TOKEN_RATE,
    TOKENS_PER_TRACE,
    TOKENS_TOGETHER,
    TRACE_COST,
    TRACE_DURATION_P50,
    TRACE_DURATION_P95,
    TRACE_ERROR_RATIO,
    TRACE_RATE,
    TRACE_TOKENS,
    TRACES_ENDED,
)
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.links import cell, page_url
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import LIGHT_WORDS, Column, Panel, stat, table, timeseries
from ml_monitoring.dashboards.lib.queries import SHOWN_RANGE, Query
from ml_monitoring.dashboards.lib.style import OUTCOME
from ml_monitoring.dashboards.lib.variables import datasource, label_values
from ml_monitoring.dashboards.pages.common import chosen, firing_alerts, verdict

_EXPERIMENT = Column("experiment", "Experiment")
_NONE = "no traces, or no data from Prometheus"
_NO_FEEDBACK = "no feedback on traces, or no data from Prometheus"
_NO_PROMPTS = "no traces with prompts of the registry, or no data from Prometheus"
_NO_MODELS = "no traces of logged models, or no data from Prometheus"
_NO_COST = "no cost in MLflow, or no data from Prometheus"
# Alerts of what is chosen above.
_CHOSEN = chosen(experiment="experiment")


def build(context: PageContext) -> Page:
    """Return the page."""
    return Page(
        uid=PAGE,
        title="MLflow traces",
        description="For those who run LLM applications: do they answer, how fast, and with how many tokens?",
        folder="ML",
        tags=("mlflow",),
        variables=(
            datasource(),
            label_values("experiment", "mlflow_traces_total", title="Experiment", may_be_empty=True),
        ),
        rows=(
            verdict(
                context,
                "Do the LLM applications answer, how fast, and with how many tokens?",
                stat(
                    Query(TRACE_ERROR_RATIO, name="{{experiment}}", highest=1),
                    title="Highest error ratio",
                    show="value_and_name",
                    empty=_NONE,
                ),
                stat(
                    Query(TRACE_DURATION_P95, name="{{experiment}}", highest=1),
                    title="Highest p95 duration",
                    show="value_and_name",
                    empty=_NONE,
                ),
                stat(TRACE_RATE, width=4, empty=_NONE),
                stat(TOKENS_TOGETHER, width=4, empty=_NONE),
                page=PAGE,
                only=_CHOSEN,
            ),
            Row(
                "Applications and answers over time",
                (
                    _applications(),
                    firing_alerts(context, PAGE, only=_CHOSEN, width=24, height=5),
                    timeseries(TRACE_ERROR_RATIO, empty=_NONE),
                    timeseries(
                        TRACE_DURATION_P95,
                        Query(TRACE_DURATION_P50, dashed=True),
                        title="Trace duration",
                        width=12,
                        empty=_NONE,
                    ),
                ),
            ),
            Row(
                "Feedback",
                (
                    timeseries(FEEDBACK_PASSED, empty=_NO_FEEDBACK),
                    timeseries(FEEDBACK_SCORE, empty=_NO_FEEDBACK),
                    timeseries(FEEDBACK_GIVEN, bars=True, stacked=True, width=24, empty=_NO_FEEDBACK),
                ),
                collapsed=True,
            ),
            Row(
                "Models and prompts",
                (
                    table(
                        (_EXPERIMENT, Column("prompt", "Prompt"), Column("prompt_version", "Version")),
                        Query(PROMPT_TRACES, name="Traces", window=SHOWN_RANGE),
                        Query(PROMPT_ERRORS, name="Errors", window=SHOWN_RANGE),
                        Query(PROMPT_DURATION, name="Mean duration", window=SHOWN_RANGE),
                        title="Prompt versions in this range",
                        sort_by="Traces",
                        descending=True,
                        width=12,
                        empty=_NO_PROMPTS,
                    ),
                    table(
                        (_EXPERIMENT, Column("model", "Model")),
                        Query(MODEL_TRACES, name="Traces", window=SHOWN_RANGE),
                        Query(MODEL_ERRORS, name="Errors", window=SHOWN_RANGE),
                        Query(MODEL_DURATION, name="Mean duration", window=SHOWN_RANGE),
                        title="Models in this range",
                        sort_by="Traces",
                        descending=True,
                        width=12,
                        empty=_NO_MODELS,
                    ),
                ),
                collapsed=True,
            ),
            Row(
                "Traces and tokens",
                (
                    timeseries(TRACES_ENDED, bars=True, stacked=True, colours=OUTCOME, empty=_NONE),
                    timeseries(TOKEN_RATE, stacked=True, empty=_NONE),
                    timeseries(TRACE_TOKENS, bars=True, stacked=True, width=12, empty=_NONE),
                    timeseries(TOKENS_PER_TRACE, width=12, empty=_NONE),
                    timeseries(
                        TRACE_COST,
                        bars=True,
                        stacked=True,
                        width=24,
                        empty=_NO_COST,
                    ),
                ),
                collapsed=True,
            ),
        ),
    )


def _applications() -> Panel:
    only_this = page_url(PAGE, {"experiment": cell("Experiment")})
    return table(
        (Column("experiment", "Experiment", link=("Show only this application", only_this)),),
        Query(APP_STATE, name="State", values=LIGHT_WORDS),
        Query(TRACE_ERROR_RATIO, name="Errors"),
        Query(TRACE_DURATION_P95, name="p95"),
        Query(APP_TRACES, name="Traces", window=SHOWN_RANGE),
        Query(TOKENS_PER_TRACE, name="Tokens per trace", window=SHOWN_RANGE),
        Query(APP_COST, name="Cost (USD)", window=SHOWN_RANGE, decimals=2),
        Query(APP_FEEDBACK, name="Good feedback", window=SHOWN_RANGE),
        title="Applications in this range, the worst first",
        sort_by="State",
        descending=True,
        height=7,
        empty=_NONE,
    )
