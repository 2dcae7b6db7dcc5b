"""vLLM, engine v1 (0.8 and newer): names as of its `vllm/v1/metrics/loggers.py`, and `docs/usage/metrics.md`.

A request that is finished is counted with its reason; one that is refused before it reaches the engine is not counted.
Releases without the reason `error` do not count what the engine failed to answer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ml_monitoring.alerting.services.adapter import (
    UNKNOWN,
    Adapter,
    GenerationSeries,
    ServerMetric,
    TakenFrom,
    constant,
)

_LABELS: Final = {
    "service": TakenFrom("model_name"),
    "model": TakenFrom("model_name"),
    "route": constant("generate"),
    "method": constant("POST"),
}
_FINISHED: Final = ServerMetric(("vllm:request_success_total",), _LABELS)
# Each reason that a release knows is there from its start on.
_FAILURES: Final = 'finished_reason="error"'


def _ended(status: str, matchers: str, beside: str = _FAILURES, without: str = "") -> ServerMetric:
    labels = {**_LABELS, "status": constant(status)}
    return replace(_FINISHED, labels=labels, matchers=matchers, beside=beside, without=without)


_ANSWERED: Final = replace(_FINISHED, matchers='finished_reason!~"abort|error"')
_SUCCEEDED: Final = _ended("200", _ANSWERED.matchers)
# The client left, or asked to stop.
_ABORTED: Final = _ended("499", 'finished_reason="abort"')
_FAILED: Final = _ended("500", _FAILURES)
_NOT_TOLD: Final = _ended(UNKNOWN, "", beside="", without=_FAILURES)
_TIMES: Final = ServerMetric(("vllm:e2e_request_latency_seconds",), _LABELS)
_REASONS: Final = replace(_FINISHED, labels={**_LABELS, "finish_reason": TakenFrom("finished_reason")})


def _tokens(series: str, kind: str) -> ServerMetric:
    return ServerMetric((series,), {**_LABELS, "token_type": constant(kind)})


_GENERATIONS: Final = GenerationSeries(
    responses=(_REASONS,),
    first_token=(ServerMetric(("vllm:time_to_first_token_seconds",), _LABELS),),
    # Of each answer; what older releases have is of each token. Both have the same bounds.
    per_output_token=(
        ServerMetric(("vllm:request_time_per_output_token_seconds", "vllm:time_per_output_token_seconds"), _LABELS),
    ),
    durations=(_TIMES,),
    usage=(_tokens("vllm:request_prompt_tokens", "input"), _tokens("vllm:request_generation_tokens", "output")),
    waiting=(ServerMetric(("vllm:num_requests_waiting",), _LABELS),),
    # The fullest engine of several; the second name is that of older releases.
    cache=(ServerMetric(("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"), _LABELS, together="max"),),
)

ADAPTER: Final = Adapter(
    server="vllm",
    title="vLLM",
    signature=("vllm:request_success_total",),
    carries=("fastapi-instrumentator",),
    requests=(_SUCCEEDED, _ABORTED, _FAILED, _NOT_TOLD),
    durations=(_TIMES,),
    in_progress=(ServerMetric(("vllm:num_requests_running",), _LABELS),),
    predictions=(_ANSWERED,),
    prediction_errors=(_FAILED,),
    prediction_durations=(_TIMES,),
    generations=_GENERATIONS,
)
