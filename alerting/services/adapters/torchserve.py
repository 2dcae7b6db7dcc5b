"""TorchServe: names and labels as in examples/custom_metrics of its repository (0.8, metrics_mode prometheus).

By model it counts requests and adds the times of those that succeeded up, in microseconds: there are no buckets, and
failures are counted by host only (`Requests5XX`), with those of health checks and of managing models.
"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.services.adapter import UNKNOWN, Adapter, ServerMetric, TakenFrom, constant

_LABELS: Final = {
    "service": TakenFrom("model_name"),
    "model": TakenFrom("model_name"),
    "route": constant("predictions"),
    "method": constant("POST"),
    "status": constant(UNKNOWN),
}
_REQUESTS: Final = ServerMetric(("ts_inference_requests_total",), _LABELS)
_TIMES: Final = ServerMetric(
    ("ts_inference",),
    _LABELS,
    decimals=6,
    buckets=False,
    parts={"_sum": "ts_inference_latency_microseconds", "_count": "ts_inference_requests_total"},
)

ADAPTER: Final = Adapter(
    server="torchserve",
    title="TorchServe",
    signature=("ts_inference_requests_total",),
    requests=(_REQUESTS,),
    durations=(_TIMES,),
    predictions=(_REQUESTS,),
    prediction_durations=(_TIMES,),
)
