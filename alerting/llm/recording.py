"""Recorded series about language models: times to the first token and their objective, tokens, cost, queues, caches.

By model, over its versions, variants and instances. Quantiles and ratios have no value where nothing was answered.
"""

from __future__ import annotations

from ml_monitoring.alerting.model.recording import Record
from ml_monitoring.alerting.services.slo_recording import burning

_MODEL = ("model", "origin")
_TOKENS = ("model", "token_type", "origin")
_WITHOUT = "instance, model_version, variant"
_BEGAN = "ml_gen_ai_time_to_first_token_seconds"
_OBJECTIVE = "model_origin:ml_gen_ai_first_token"
_TIERS = ("page_fast", "page_slow")


def _quantile(metric: str, percent: int, meaning: str) -> Record:
    return Record(
        name=f"model_origin:{metric}:p{percent}",
        meaning=meaning,
        expr=f"""
            histogram_quantile(
              {percent / 100}, sum without ({_WITHOUT}) (rate({metric}_bucket[<traffic.window>]))
            )
        """,
        by=_MODEL,
    )


def _burn_rate(name: str, window: str, meaning: str) -> Record:
    return Record(
        name=f"{_OBJECTIVE}_burn_rate:{name}",
        meaning=meaning,
        expr=f"""
            (
              1 -
              sum without ({_WITHOUT}, le) (rate({_BEGAN}_bucket{{le<llm.first_token_bound>}}[{window}]))
              / (sum without ({_WITHOUT}) (rate({_BEGAN}_count[{window}])) > 0)
            )
            / <llm.first_token_budget>
        """,
        by=_MODEL,
    )


def _failures(tier: str) -> Record:
    window = f"<slos.{tier}.long>"
    return Record(
        name=f"{_OBJECTIVE}_failures:{tier}_long",
        meaning=f"Answers that began too late in the long window of {tier}: what its burn rate is worth.",
        expr=f"""
            sum without ({_WITHOUT}) (increase({_BEGAN}_count[{window}]))
            -
            sum without ({_WITHOUT}, le) (
              increase({_BEGAN}_bucket{{le<llm.first_token_bound>}}[{window}])
            )
        """,
        by=_MODEL,
    )


RECORDS: tuple[Record, ...] = (
    _quantile(_BEGAN, 95, "Time within which the first token of 95 % of a model's answers came."),
    _quantile(
        "ml_gen_ai_time_per_output_token_seconds",
        95,
        "Time between tokens that 95 % of a model's answers did not exceed.",
    ),
    _quantile("ml_gen_ai_request_duration_seconds", 95, "Time within which 95 % of a model's answers were complete."),
    Record(
        name="model_origin:ml_gen_ai_responses:count",
        meaning="Answers of a model in the window: what its ratios are worth.",
        expr=f"sum without ({_WITHOUT}, finish_reason) (increase(ml_gen_ai_responses_total[<traffic.window>]))",
        by=_MODEL,
    ),
    Record(
        name="model_origin:ml_gen_ai_aborts:ratio",
        meaning="Share of a model's answers whose client left before the end.",
        expr=f"""
            (
              sum without ({_WITHOUT}, finish_reason) (
                increase(ml_gen_ai_responses_total{{finish_reason="abort"}}[<traffic.window>])
              )
              or 0 * model_origin:ml_gen_ai_responses:count
            )
            /
            (model_origin:ml_gen_ai_responses:count > 0)
        """,
        by=_MODEL,
    ),
    Record(
        name="model_origin:ml_gen_ai_requests_waiting:sum",
        meaning="Requests that wait for a place in a batch of a model.",
        expr=f"sum without ({_WITHOUT}) (ml_gen_ai_requests_waiting)",
        by=_MODEL,
    ),
    Record(
        name="model_origin:ml_gen_ai_requests_waiting:lowest",
        meaning="The fewest that waited at any moment of the window: what is left of a queue that comes and goes is 0.",
        expr="min_over_time(model_origin:ml_gen_ai_requests_waiting:sum[<traffic.window>])",
        by=_MODEL,
    ),
    Record(
        name="model_origin:ml_gen_ai_kv_cache_utilization:ratio",
        meaning="Used share of a model's cache of keys and values, where it is fullest.",
        expr=f"max without ({_WITHOUT}) (ml_gen_ai_kv_cache_utilization_ratio)",
        by=_MODEL,
    ),
    Record(
        name="model_origin:ml_gen_ai_kv_cache_utilization:lowest",
        meaning="The least of that at any moment of the window.",
        expr="min_over_time(model_origin:ml_gen_ai_kv_cache_utilization:ratio[<traffic.window>])",
        by=_MODEL,
    ),
    Record(
        name="model_token_type_origin:ml_gen_ai_usage_tokens:rate",
        meaning="Tokens a second that a model reads (input) and writes (output).",
        expr=f"sum without ({_WITHOUT}) (rate(ml_gen_ai_usage_tokens_sum[<traffic.window>]))",
        by=_TOKENS,
    ),
    Record(
        name="model_token_type_origin:ml_gen_ai_cost:rate",
        meaning="What those tokens cost a second, in dollars, by `llm.prices`; absent of models without a price.",
        expr="""
            model_token_type_origin:ml_gen_ai_usage_tokens:rate
            * on (model, token_type) group_left ()
            (<llm.prices>)
            / 1e6
        """,
        by=_TOKENS,
    ),
    *(
        _burn_rate(f"{tier}_{length}", f"<slos.{tier}.{length}>", f"Burn rate in the {length} window of {tier}.")
        for tier in _TIERS
        for length in ("short", "long")
    ),
    *(_failures(tier) for tier in _TIERS),
    _burn_rate("period", "<slos.period>", "Burn rate over the whole period: the used share of the budget."),
    burning(_OBJECTIVE, "page", *_TIERS, by=_MODEL),
)
