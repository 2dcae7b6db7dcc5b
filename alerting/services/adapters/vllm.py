"""vLLM, engine v1 (0.8 and newer): names as of its `vllm/v1/metrics/loggers.py`, and `docs/usage/metrics.md`.

A request that is finished is counted with its reason; one that is refused before it reaches the engine is not counted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ml_monitoring.alerting.services.adapter import Adapter, GenerationSeries, ServerMetric, TakenFrom, constant

_LABELS: Final = {
    "service": TakenFrom("model_name"),
    "model": TakenFrom("model_name"),
    "route": constant("generate"),
    "method": constant("POST"),
}
_FINISHED: Final = ServerMetric(("vllm:request_success_total",), _LABELS)
_SUCCEEDED: Final = replace(
    _FINISHED, labels={**_LABELS, "status": constant("200")}, matchers='finished_reason!~"abort|error"'
)
# The client left, or asked to stop.
_ABORTED: Final = replace(_FINISHED, labels={**_LABELS, "status": constant("499")}, matchers='finished_reason="abort"')
_FAILED: Final = replace(_FINISHED, labels={**_LABELS, "status": constant("500")}, matchers='finished_reason="error"')
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
    requests=(_SUCCEEDED, _ABORTED, _FAILED),
    durations=(_TIMES,),
    in_progress=(ServerMetric(("vllm:num_requests_running",), _LABELS),),
    predictions=(_SUCCEEDED,),
    prediction_errors=(_FAILED,),
    prediction_durations=(_TIMES,),
    generations=_GENERATIONS,
)
