"""The page `LLM serving`: do language models answer soon enough, can they keep up, and what do they cost?"""

from __future__ import annotations

from dataclasses import replace

from ml_monitoring.alerting.llm.signals import (
    ANSWER_LENGTH_P50,
    ANSWER_LENGTH_P95,
    ANSWERS_PER_MINUTE,
    FIRST_TOKEN_BUDGET,
    FIRST_TOKEN_BURNING,
    FIRST_TOKEN_P50,
    FIRST_TOKEN_P95,
    LLM_ABORTS,
    LLM_BACKLOG,
    LLM_CACHE,
    LLM_CACHE_LOWEST,
    LLM_COST,
    LLM_DURATION_P95,
    LLM_WAITING,
    OUTPUT_TOKENS,
    PAGE,
    PER_TOKEN_P95,
    PROMPT_LENGTH_P50,
    PROMPT_LENGTH_P95,
    TOKENS_PER_SECOND,
)
from ml_monitoring.alerting.mlflow.trace_signals import TOKEN_RATE, TRACE_COST
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import Column, Panel, stat, table, timeseries
from ml_monitoring.dashboards.lib.queries import Query
from ml_monitoring.dashboards.lib.style import FINISH_REASON
from ml_monitoring.dashboards.lib.variables import datasource, label_values
from ml_monitoring.dashboards.pages.common import BUDGET, chosen, firing_alerts, verdict

_NONE = "no language models, or no data from Prometheus"
# Small tiles have room for few words.
_SHORT = "no models, or no data from Prometheus"
_NO_FIRST_TOKENS = "no first tokens (TGI has none), or no data from Prometheus"
_NO_CACHE = "no KV cache that is exposed, or no data from Prometheus"
_NO_PRICES = "no prices (see the setting llm.prices), or no data from Prometheus"
_NO_TRACES = "no traces with tokens, or no data from Prometheus"
_NO_TRACE_COST = "no cost in MLflow, or no data from Prometheus"
# Alerts of what is chosen above.
_CHOSEN = chosen(job="llm_job", model="language_model")


def build(context: PageContext) -> Page:
    """Return the page."""
    llm = context.llm
    burn = f"Budget burn ({100 * llm.first_token:g}% within {llm.first_token_threshold:g} s)"
    late = Query(FIRST_TOKEN_P95, limits=((">", llm.first_token_threshold, "warning"),))
    return Page(
        uid=PAGE,
        title="LLM serving",
        description="For those who serve language models: do they answer soon enough, and can they keep up?",
        folder="ML",
        tags=("api",),
        variables=(
            datasource(),
            label_values("job", "ml_gen_ai_responses_total", name="llm_job", title="Job"),
            label_values(
                "model",
                "ml_gen_ai_responses_total",
                name="language_model",
                title="Model",
                through={"job": "llm_job"},
                may_be_empty=True,
            ),
        ),
        rows=(
            verdict(
                context,
                "Do language models answer soon enough, and can they keep up?",
                _worst(Query(FIRST_TOKEN_P95, limits=late.limits, highest=1), "Slowest first token p95"),
                _worst(Query(FIRST_TOKEN_BUDGET, limits=BUDGET, lowest=1), "Least first-token budget"),
                _worst(Query(LLM_BACKLOG, highest=1), "Longest backlog"),
                _worst(Query(LLM_CACHE_LOWEST, highest=1), "Fullest KV cache"),
                page=PAGE,
                only=_CHOSEN,
            ),
            Row(
                "Models, the slowest first",
                (
                    _models(late),
                    timeseries(
                        late,
                        Query(FIRST_TOKEN_P50, dashed=True),
                        title="Time to first token",
                        height=8,
                        empty=_NO_FIRST_TOKENS,
                    ),
                    firing_alerts(context, PAGE, only=_CHOSEN, height=8),
                    timeseries(FIRST_TOKEN_BURNING, title=burn, width=8, height=7, empty=_NO_FIRST_TOKENS),
                    timeseries(LLM_ABORTS, width=8, height=7, empty=_NONE),
                    timeseries(OUTPUT_TOKENS, width=8, height=7, empty=_NONE),
                ),
            ),
            Row(
                "Latency",
                (
                    timeseries(PER_TOKEN_P95, empty=_NONE),
                    timeseries(LLM_DURATION_P95, empty=_NONE),
                ),
                collapsed=True,
            ),
            Row(
                "Saturation",
                (
                    timeseries(LLM_WAITING, empty=_NONE),
                    timeseries(LLM_CACHE, empty=_NO_CACHE),
                ),
                collapsed=True,
            ),
            Row(
                "Answers and tokens",
                (
                    timeseries(ANSWERS_PER_MINUTE, stacked=True, colours=FINISH_REASON, empty=_NONE),
                    timeseries(TOKENS_PER_SECOND, stacked=True, empty=_NONE),
                    timeseries(PROMPT_LENGTH_P95, Query(PROMPT_LENGTH_P50, dashed=True), empty=_NONE),
                    timeseries(ANSWER_LENGTH_P95, Query(ANSWER_LENGTH_P50, dashed=True), empty=_NONE),
                ),
                collapsed=True,
            ),
            Row(
                "Cost and applications",
                (
                    timeseries(LLM_COST, stacked=True, width=24, empty=_NO_PRICES),
                    timeseries(TOKEN_RATE, title="Tokens per minute in traces (MLflow)", empty=_NO_TRACES),
                    timeseries(TRACE_COST, title="Cost of traces (MLflow, USD)", bars=True, empty=_NO_TRACE_COST),
                ),
                collapsed=True,
            ),
        ),
    )


def _worst(query: Query, title: str) -> Panel:
    """Return the value of the model that is worst in something, with its name."""
    at_most = (-1, "< -100 %") if query.signal is FIRST_TOKEN_BUDGET else None
    named = replace(query, name="{{model}}")
    return stat(named, title=title, show="value_and_name", at_most=at_most, empty=_SHORT)


def _models(late: Query) -> Panel:
    return table(
        (Column("model", "Model"), Column("job", "Job"), Column("origin", "Origin")),
        Query(FIRST_TOKEN_P95, name="First token p95", limits=late.limits),
        Query(PER_TOKEN_P95, name="Per token p95"),
        Query(LLM_DURATION_P95, name="Last token p95"),
        Query(LLM_WAITING, name="Waiting"),
        Query(LLM_CACHE, name="KV cache"),
        Query(LLM_ABORTS, name="Aborted"),
        Query(FIRST_TOKEN_BUDGET, name="Budget", limits=BUDGET, decimals=0),
        title="Models now",
        sort_by="First token p95",
        descending=True,
        width=24,
        height=6,
        empty=_NONE,
    )
