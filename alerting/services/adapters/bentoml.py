"""BentoML, as seen with 1.4.40: a request that succeeds is a prediction of the service's version."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ml_monitoring.alerting.services.adapter import Adapter, ServerMetric, TakenFrom, constant

# Its own endpoints, `/metrics`, `/livez`, `/docs.json`, are none of the service's.
_OWN: Final = 'endpoint!~"/(metrics|healthz|livez|readyz|schema.json|docs.json|static_content)(/.*)?|/"'
# Outside of a bento it says that there is no version.
_VERSION: Final = TakenFrom("service_version", "(?:not available)?|(.*)")
_LABELS: Final = {
    "service": TakenFrom("service_name"),
    "route": TakenFrom("endpoint"),
    "method": constant("POST"),
    "status": TakenFrom("http_response_code"),
    "model": TakenFrom("service_name"),
    "model_version": _VERSION,
}
_REQUESTS: Final = ServerMetric(("bentoml_service_request_total",), _LABELS, _OWN)
_TIMES: Final = ServerMetric(("bentoml_service_request_duration_seconds",), _LABELS, _OWN)
_SUCCEEDED: Final = f'{_OWN},http_response_code=~"2.."'

ADAPTER: Final = Adapter(
    server="bentoml",
    title="BentoML",
    signature=("bentoml_service_request_total",),
    requests=(_REQUESTS,),
    durations=(_TIMES,),
    in_progress=(ServerMetric(("bentoml_service_request_in_progress",), _LABELS, _OWN),),
    predictions=(replace(_REQUESTS, matchers=_SUCCEEDED),),
    prediction_errors=tuple(_REQUESTS.failures()),
    prediction_durations=(replace(_TIMES, matchers=_SUCCEEDED),),
)
