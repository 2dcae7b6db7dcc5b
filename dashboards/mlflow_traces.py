"""The page `MLflow traces`: how do LLM applications answer, how long does it take, what does it use?"""

from __future__ import annotations

from alerting.signals import BY_NAME as SIGNAL
from alerting.signals.mlflow_traces import PAGE
from dashboards.common import firing_alerts
from dashboards.lib.page import Page, Row
from dashboards.lib.panels import timeseries
from dashboards.lib.queries import Query
from dashboards.lib.variables import datasource, label_values

_NONE = "no trace ended"


def build() -> Page:
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
            Row(
                "Answers",
                (
                    timeseries(SIGNAL["traces_ended"], bars=True, stacked=True, width=10, empty=_NONE),
                    timeseries(SIGNAL["trace_error_ratio"], width=7, empty=_NONE),
                    firing_alerts(width=7, height=8),
                    timeseries(
                        SIGNAL["trace_duration_p95"],
                        Query(SIGNAL["trace_duration_p50"], dashed=True),
                        title="Trace duration",
                        width=16,
                        empty=_NONE,
                    ),
                    timeseries(SIGNAL["traces_in_progress"], width=8, empty=_NONE),
                ),
            ),
            Row(
                "Tokens",
                (
                    timeseries(SIGNAL["trace_tokens"], bars=True, stacked=True, width=12, empty=_NONE),
                    timeseries(SIGNAL["tokens_per_trace"], width=12, empty=_NONE),
                ),
            ),
        ),
    )
