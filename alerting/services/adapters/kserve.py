"""KServe's Python model server: names as in the tests of qpext of its repository.

Models in MLServer, Triton or vLLM under KServe have those servers' series: take their adapters. This one times the
steps of a request, those that failed too, and counts no failures.
"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.services.adapter import UNKNOWN, Adapter, ServerMetric, TakenFrom, constant

_LABELS: Final = {
    "service": TakenFrom("model_name"),
    "model": TakenFrom("model_name"),
    "route": constant("predict"),
    "method": constant("POST"),
    "status": constant(UNKNOWN),
}
_COUNT: Final = ServerMetric(("request_predict_seconds_count",), _LABELS)
_TIMES: Final = ServerMetric(("request_predict_seconds",), _LABELS)

ADAPTER: Final = Adapter(
    server="kserve",
    title="KServe",
    signature=("request_predict_seconds_count",),
    requests=(_COUNT,),
    durations=(_TIMES,),
    predictions=(_COUNT,),
    prediction_durations=(_TIMES,),
)
