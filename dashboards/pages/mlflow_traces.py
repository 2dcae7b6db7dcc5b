"""The page `MLflow traces`: how do LLM applications answer, how long does it take, what does it use?"""

from __future__ import annotations

from ml_monitoring.alerting.mlflow.trace_signals import (
    PAGE,
    TOKEN_RATE,
    TOKENS_PER_TRACE,
    TRACE_COST,
    TRACE_DURATION_P50,
    TRACE_DURATION_P95,
    TRACE_ERROR_RATIO,
    TRACE_RATE,
    TRACE_TOKENS,
    TRACES_ENDED,
)
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import stat, timeseries
from ml_monitoring.dashboards.lib.queries import Query
from ml_monitoring.dashboards.lib.style import OUTCOME
from ml_monitoring.dashboards.lib.variables import datasource, label_values
from ml_monitoring.dashboards.pages.common import firing_alerts, verdict

_NONE = "no ended traces, or no data from Prometheus"
_NO_COST = "no cost in MLflow, or no data from Prometheus"


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
                "Do the LLM applications answer, how fast, and with how many tokens?",
                stat(TRACE_ERROR_RATIO, width=4, empty=_NONE),
                stat(TRACE_DURATION_P95, title="p95 duration", width=4, empty=_NONE),
                stat(TRACE_RATE, width=4, empty=_NONE),
                stat(TOKEN_RATE, width=4, empty=_NONE),
                page=PAGE,
            ),
            Row(
                "Answers over time",
                (
                    firing_alerts(context, PAGE, width=24, height=5),
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
                "Traces and tokens",
                (
                    timeseries(TRACES_ENDED, bars=True, stacked=True, width=24, colours=OUTCOME, empty=_NONE),
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
