"""Text Generation Inference of Hugging Face: names as in docs/source/reference/metrics.md of its repository, 3.x.

It names no model: `service` is what Prometheus knows of the target, and on the page of language models the job is the
model. It says neither when the first token came nor why an answer that succeeded ended.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ml_monitoring.alerting.services.adapter import Adapter, GenerationSeries, ServerMetric, TakenFrom, constant

_LABELS: Final = {"route": constant("generate"), "method": constant("POST")}
_SUCCEEDED: Final = ServerMetric(("tgi_request_success",), {**_LABELS, "status": constant("200")})
# By its label `err`: the client asked for what cannot be, came when all places were taken, or left.
_REFUSED: Final = ServerMetric(("tgi_request_failure",), {**_LABELS, "status": constant("422")}, 'err="validation"')
_OVERLOADED: Final = ServerMetric(("tgi_request_failure",), {**_LABELS, "status": constant("429")}, 'err="overloaded"')
_ABANDONED: Final = ServerMetric(("tgi_request_failure",), {**_LABELS, "status": constant("499")}, 'err="dropped"')
_FAILED: Final = ServerMetric(
    ("tgi_request_failure",), {**_LABELS, "status": constant("500")}, 'err!~"validation|overloaded|dropped"'
)
_TIMES: Final = ServerMetric(("tgi_request_duration",), _LABELS)
_JOB: Final = {"model": TakenFrom("job")}


def _ended(reason: str, counted: ServerMetric) -> ServerMetric:
    return replace(counted, labels={**_JOB, "finish_reason": constant(reason)})


def _tokens(series: str, kind: str) -> ServerMetric:
    return ServerMetric((series,), {**_JOB, "token_type": constant(kind)})


_GENERATIONS: Final = GenerationSeries(
    responses=(_ended("finished", _SUCCEEDED), _ended("abort", _ABANDONED), _ended("error", _FAILED)),
    per_output_token=(ServerMetric(("tgi_request_mean_time_per_token_duration",), _JOB),),
    durations=(replace(_TIMES, labels=_JOB),),
    usage=(_tokens("tgi_request_input_length", "input"), _tokens("tgi_request_generated_tokens", "output")),
    waiting=(ServerMetric(("tgi_queue_size",), _JOB),),
)

ADAPTER: Final = Adapter(
    server="tgi",
    title="TGI",
    signature=("tgi_request_success", "tgi_request_duration_count"),
    requests=(_SUCCEEDED, _REFUSED, _OVERLOADED, _ABANDONED, _FAILED),
    durations=(_TIMES,),
    predictions=(_SUCCEEDED,),
    prediction_errors=(_FAILED,),
    prediction_durations=(_TIMES,),
    generations=_GENERATIONS,
    born="500",
)
