"""NVIDIA Triton Inference Server: names as in docs/user_guide/metrics.md of its repository.

Requests are counted by model and outcome, whichever protocol they came by, and their times added up in microseconds:
there are no buckets.
"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.services.adapter import Adapter, ServerMetric, TakenFrom, constant

_LABELS: Final = {
    "service": TakenFrom("model"),
    "model_version": TakenFrom("version"),
    "route": constant("infer"),
    "method": constant("POST"),
}
_SUCCEEDED: Final = ServerMetric(("nv_inference_request_success",), {**_LABELS, "status": constant("200")})
# Newer releases say why: the client's doing is no failure of the server.
_CANCELLED: Final = ServerMetric(
    ("nv_inference_request_failure",), {**_LABELS, "status": constant("499")}, 'reason="CANCELED"'
)
_REFUSED: Final = ServerMetric(
    ("nv_inference_request_failure",), {**_LABELS, "status": constant("429")}, 'reason="REJECTED"'
)
_FAILED: Final = ServerMetric(
    ("nv_inference_request_failure",), {**_LABELS, "status": constant("500")}, 'reason!~"CANCELED|REJECTED"'
)
_TIMES: Final = ServerMetric(
    ("nv_inference",),
    _LABELS,
    decimals=6,
    buckets=False,
    parts={"_sum": "nv_inference_request_duration_us", "_count": "nv_inference_request_success"},
)

ADAPTER: Final = Adapter(
    server="triton",
    title="Triton",
    signature=("nv_inference_request_success",),
    requests=(_SUCCEEDED, _CANCELLED, _REFUSED, _FAILED),
    durations=(_TIMES,),
    in_progress=(ServerMetric(("nv_inference_pending_request_count",), _LABELS),),
    predictions=(_SUCCEEDED,),
    prediction_errors=(_FAILED,),
    prediction_durations=(_TIMES,),
    variants_of_models=True,
)
