"""Signals of the page `llm-serving`: do language models answer soon enough, and can they keep up?"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.exporter.catalog import Unit

PAGE: Final = "ml-monitoring-llm-serving"
_MODEL = ("job", "model", "origin")
_FILTERS = ("job", "model")
# As the page shows them: over jobs and instances, versions and variants.
_BY = "cluster, namespace, model"


def _recorded(
    name: str,
    title: str,
    question: str,
    *,
    series: str,
    unit: Unit,
    legend: str = "{{model}}",
    curve: str = "",
) -> Signal:
    return Signal(
        name=name,
        title=title,
        question=question,
        expr=f"model_origin:{series}{{<filter>}}",
        unit=unit,
        dashboard=PAGE,
        by=_MODEL,
        filters=_FILTERS,
        legend=legend,
        over_time=not curve,
        curve=curve,
    )


FIRST_TOKEN_P95: Final = _recorded(
    "llm_first_token_p95",
    "Time to first token (p95)",
    "How long do slow answers take to begin?",
    series="ml_gen_ai_time_to_first_token_seconds:p95",
    unit=Unit.SECONDS,
    legend="p95 {{model}}",
)

FIRST_TOKEN_P50: Final = Signal(
    name="llm_first_token_p50",
    title="Time to first token (p50)",
    question="How long does a usual answer take to begin?",
    expr=(
        f"histogram_quantile(0.5, sum by ({_BY}, le) "
        "(rate(ml_gen_ai_time_to_first_token_seconds_bucket{<filter>}[<window>])))"
    ),
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=("model",),
    filters=_FILTERS,
    legend="p50 {{model}}",
)

PER_TOKEN_P95: Final = _recorded(
    "llm_per_token_p95",
    "Time per output token (p95)",
    "How fast do tokens follow each other in slow answers? A reader keeps up with about 0.1 s.",
    series="ml_gen_ai_time_per_output_token_seconds:p95",
    unit=Unit.SECONDS,
)

LLM_DURATION_P95: Final = _recorded(
    "llm_duration_p95",
    "Time to last token (p95)",
    "How long do slow answers take altogether? Longer answers take longer.",
    series="ml_gen_ai_request_duration_seconds:p95",
    unit=Unit.SECONDS,
)

LLM_WAITING: Final = _recorded(
    "llm_waiting",
    "Requests waiting",
    "How many requests wait for a place in a batch?",
    series="ml_gen_ai_requests_waiting:sum",
    unit=Unit.COUNT,
)

LLM_BACKLOG: Final = _recorded(
    "llm_backlog",
    "Backlog",
    "How many requests wait even at the best moment of five minutes? Above 0 more come than are answered.",
    series="ml_gen_ai_requests_waiting:lowest",
    unit=Unit.COUNT,
    curve="llm_waiting",
)

LLM_CACHE: Final = _recorded(
    "llm_cache",
    "KV cache used",
    "How full is the cache of keys and values? When it is full, answers are interrupted and begun again.",
    series="ml_gen_ai_kv_cache_utilization:ratio",
    unit=Unit.RATIO,
)

LLM_CACHE_LOWEST: Final = _recorded(
    "llm_cache_lowest",
    "KV cache used, at least",
    "How full is the cache even at the best moment of five minutes?",
    series="ml_gen_ai_kv_cache_utilization:lowest",
    unit=Unit.RATIO,
    curve="llm_cache",
)

LLM_ABORTS: Final = _recorded(
    "llm_aborts",
    "Aborted answers",
    "What share of the answers do clients not wait for?",
    series="ml_gen_ai_aborts:ratio",
    unit=Unit.RATIO,
)

FIRST_TOKEN_BURNING: Final = _recorded(
    "llm_first_token_burning",
    "First-token budget: burn",
    "Does the budget of late first tokens burn so fast that somebody must look? Above 1 it does.",
    series="ml_gen_ai_first_token_burning:page",
    unit=Unit.ANY,
)

FIRST_TOKEN_BUDGET: Final = Signal(
    name="llm_first_token_budget",
    title="First-token budget remaining",
    question="How much of the period's budget of late first tokens is left? Below 0 the objective is missed.",
    expr="1 - model_origin:ml_gen_ai_first_token_burn_rate:period{<filter>}",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=_MODEL,
    filters=_FILTERS,
    legend="{{model}}",
)

TOKENS_PER_SECOND: Final = Signal(
    name="llm_tokens",
    title="Tokens per second",
    question="How many tokens are read (input) and written (output)?",
    expr=f"sum by ({_BY}, token_type) (model_token_type_origin:ml_gen_ai_usage_tokens:rate{{<filter>}})",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("model", "token_type"),
    filters=_FILTERS,
)

OUTPUT_TOKENS: Final = Signal(
    name="llm_output_tokens",
    title="Output tokens per second",
    question="How many tokens do all models write?",
    expr=(
        "sum by (cluster, namespace) "
        '(model_token_type_origin:ml_gen_ai_usage_tokens:rate{token_type="output",<filter>})'
    ),
    unit=Unit.COUNT,
    dashboard=PAGE,
    filters=_FILTERS,
    legend="output",
)

ANSWERS_PER_MINUTE: Final = Signal(
    name="llm_answers",
    title="Answers per minute",
    question="How many answers does each model give, and why do they end: done (stop), cut off (length), abort, error?",
    expr=f"60 * sum by ({_BY}, finish_reason) (rate(ml_gen_ai_responses_total{{<filter>}}[<window>]))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("model", "finish_reason"),
    filters=_FILTERS,
)


def _length(token_type: str, percent: int, title: str, question: str) -> Signal:
    return Signal(
        name=f"llm_{token_type}_length_p{percent}",
        title=title,
        question=question,
        expr=(
            f"histogram_quantile(0.{percent}, sum by ({_BY}, le) "
            f'(rate(ml_gen_ai_usage_tokens_bucket{{token_type="{token_type}",<filter>}}[<window>])))'
        ),
        unit=Unit.COUNT,
        dashboard=PAGE,
        by=("model",),
        filters=_FILTERS,
        legend=f"p{percent} {{{{model}}}}",
    )


PROMPT_LENGTH_P95: Final = _length("input", 95, "Prompt length (tokens)", "Do prompts become longer, and so slower?")

PROMPT_LENGTH_P50: Final = _length("input", 50, "Prompt length (p50)", "How long is a usual prompt?")

ANSWER_LENGTH_P95: Final = _length(
    "output", 95, "Answer length (tokens)", "Do answers become longer, and so slower and more expensive?"
)

ANSWER_LENGTH_P50: Final = _length("output", 50, "Answer length (p50)", "How long is a usual answer?")

LLM_COST: Final = Signal(
    name="llm_cost",
    title="Cost per hour",
    question="What do the tokens of each model cost, by the prices in `llm.prices`?",
    expr=f"3600 * sum by ({_BY}) (model_token_type_origin:ml_gen_ai_cost:rate{{<filter>}})",
    unit=Unit.CURRENCY,
    dashboard=PAGE,
    by=("model",),
    filters=_FILTERS,
)
