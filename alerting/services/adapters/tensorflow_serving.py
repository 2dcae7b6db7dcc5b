"""TensorFlow Serving: names, labels and bounds as in tensorflow_serving/servables/tensorflow/util.cc of its repository.

Statuses are names of codes, and pair with those of HTTP as gRPC's do. It tells no versions of a model apart, and times
in microseconds.
"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.services.adapter import Adapter, ServerMetric, TakenFrom, constant

_LABELS: Final = {
    "service": TakenFrom("model_name"),
    "model": TakenFrom("model_name"),
    "route": TakenFrom("API"),
    "method": TakenFrom("entrypoint"),
}
_SERVER: Final = "UNKNOWN|DEADLINE_EXCEEDED|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS"


def _requests(status: str, matchers: str) -> ServerMetric:
    return ServerMetric((":tensorflow:serving:request_count",), {**_LABELS, "status": constant(status)}, matchers)


_SUCCEEDED: Final = _requests("200", 'status="OK"')
_REFUSED: Final = _requests("400", f'status!~"OK|CANCELLED|{_SERVER}"')
_ABANDONED: Final = _requests("499", 'status="CANCELLED"')
_FAILED: Final = _requests("500", f'status=~"{_SERVER}"')
_TIMES: Final = ServerMetric((":tensorflow:serving:request_latency",), _LABELS, decimals=6)

ADAPTER: Final = Adapter(
    server="tensorflow-serving",
    title="TensorFlow Serving",
    signature=(":tensorflow:serving:request_count",),
    requests=(_SUCCEEDED, _REFUSED, _ABANDONED, _FAILED),
    durations=(_TIMES,),
    predictions=(_SUCCEEDED,),
    prediction_errors=(_FAILED,),
    prediction_durations=(_TIMES,),
    born="500",
)
