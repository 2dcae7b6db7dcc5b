"""Seldon Core 1: the executor's series, named as in executor/api/metric of its repository.

Requests are those from outside to the executor, predictions those from it to a model. A variant of an A/B test is a
predictor: `variant: predictor_name`. The code of a gRPC call is a name, and pairs with a status of HTTP.
"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.services.adapter import Adapter, ServerMetric, TakenFrom

_FAILURES: Final = "Unknown|DeadlineExceeded|Unimplemented|Internal|Unavailable|DataLoss"
_REFUSED: Final = TakenFrom("code", "[A-Z].*", "400", otherwise=TakenFrom("code"))
_ABANDONED: Final = TakenFrom("code", "Canceled", "499", otherwise=_REFUSED)
_STATUS: Final = TakenFrom("code", _FAILURES, "500", otherwise=TakenFrom("code", "OK", "200", otherwise=_ABANDONED))
# Its label `service` is what is asked for; what it serves is a deployment. Methods are written small.
_LABELS: Final = {
    "route": TakenFrom("service"),
    "service": TakenFrom("deployment_name"),
    "method": TakenFrom("method", "(?:post|unary)", "POST"),
    "status": _STATUS,
    "model": TakenFrom("model_name"),
}
_SERVER: Final = "seldon_api_executor_server_requests_seconds"
_CLIENT: Final = "seldon_api_executor_client_requests_seconds"
_PREDICTIONS: Final = 'code=~"2..|OK"'

ADAPTER: Final = Adapter(
    server="seldon-core-1",
    title="Seldon Core 1",
    signature=(f"{_SERVER}_count",),
    requests=(ServerMetric((f"{_SERVER}_count",), _LABELS),),
    durations=(ServerMetric((_SERVER,), _LABELS),),
    predictions=(ServerMetric((f"{_CLIENT}_count",), _LABELS, _PREDICTIONS),),
    prediction_errors=(ServerMetric((f"{_CLIENT}_count",), _LABELS, f'code=~"5..|{_FAILURES}"'),),
    prediction_durations=(ServerMetric((_CLIENT,), _LABELS, _PREDICTIONS),),
    born="500",
)
