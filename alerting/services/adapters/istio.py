"""Istio: its standard metrics, as reported by the destination's proxy, in milliseconds.

Both proxies of a request report it; those of the source are left out. A mesh knows no routes and no methods. A variant
of an A/B test is a version of the workload: `variant: destination_version`.
"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.services.adapter import Adapter, ServerMetric, TakenFrom

_LABELS: Final = {
    "service": TakenFrom("destination_canonical_service", "(.+)"),
    "route": TakenFrom("destination_service_name"),
    "status": TakenFrom("response_code"),
}
_REPORTED: Final = 'reporter=~"destination|waypoint"'

ADAPTER: Final = Adapter(
    server="istio",
    title="Istio",
    signature=("istio_requests_total",),
    requests=(ServerMetric(("istio_requests_total",), _LABELS, _REPORTED),),
    durations=(ServerMetric(("istio_request_duration_milliseconds",), _LABELS, _REPORTED, decimals=3),),
    born="500",
)
