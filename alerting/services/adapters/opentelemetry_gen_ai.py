"""OpenTelemetry's metrics of language models, `gen_ai.*`: of services that ask a model, or of what serves it.

As seen with OpenTelemetry's Python SDK 1.45.2, through Prometheus's OTLP receiver and its exporter; names of
semantic conventions 0.66b2. Where both ends record an answer, the server's numbers count. Conventions have no finish
reasons for metrics, so an answer is finished or failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ml_monitoring.alerting.services.adapter import Adapter, GenerationSeries, ServerMetric, TakenFrom, constant

_LABELS: Final = {
    "service": TakenFrom("service_name", "(.+)"),
    "model": TakenFrom("gen_ai_request_model"),
}
# Not tools that are called or agents that ask models in turn, nor embeddings, which have no tokens to wait for.
_ANSWERS: Final = 'gen_ai_operation_name=~"chat|generate_content|text_completion"'
_SUCCEEDED: Final = f'{_ANSWERS},error_type=""'
_FAILED: Final = f'{_ANSWERS},error_type!=""'
_SERVER, _CLIENT = "gen_ai_server_request_duration_seconds", "gen_ai_client_operation_duration_seconds"
# By its unit, `{token}` as conventions say, or `token` or `tokens`, which become part of the name.
_USAGE: Final = tuple(f"gen_ai_client_token_usage{unit}" for unit in ("", "_token", "_tokens"))


def _both(
    server: str, client: str, matchers: str, more: Mapping[str, TakenFrom] | None = None
) -> tuple[ServerMetric, ...]:
    return tuple(ServerMetric((name,), {**_LABELS, **(more or {})}, matchers) for name in (server, client))


def _counted(matchers: str, reason: str = "") -> tuple[ServerMetric, ...]:
    more = {"finish_reason": constant(reason)} if reason else None
    return _both(f"{_SERVER}_count", f"{_CLIENT}_count", matchers, more)


def _responses() -> Iterator[ServerMetric]:
    yield from _counted(_SUCCEEDED, "finished")
    yield from _counted(_FAILED, "error")


_GENERATIONS: Final = GenerationSeries(
    responses=tuple(_responses()),
    first_token=_both(
        "gen_ai_server_time_to_first_token_seconds",
        "gen_ai_client_operation_time_to_first_chunk_seconds",
        _ANSWERS,
    ),
    per_output_token=_both(
        "gen_ai_server_time_per_output_token_seconds",
        "gen_ai_client_operation_time_per_output_chunk_seconds",
        _ANSWERS,
    ),
    durations=_both(_SERVER, _CLIENT, _ANSWERS),
    usage=(ServerMetric(_USAGE, {**_LABELS, "token_type": TakenFrom("gen_ai_token_type")}, _ANSWERS),),
)

ADAPTER: Final = Adapter(
    server="opentelemetry-gen-ai",
    title="OpenTelemetry GenAI",
    signature=(f"{_SERVER}_count", f"{_CLIENT}_count"),
    predictions=_counted(_SUCCEEDED),
    prediction_errors=_counted(_FAILED),
    prediction_durations=_both(_SERVER, _CLIENT, _SUCCEEDED),
    generations=_GENERATIONS,
    born="500",
)
