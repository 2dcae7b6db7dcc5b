"""starlette-exporter, as seen with 0.24.0. Without `group_paths` it has a route for each path."""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.services.adapter import Adapter, ServerMetric, TakenFrom

_NO_SCRAPES: Final = 'path!~"/metrics/?"'
_LABELS: Final = {
    "service": TakenFrom("app_name"),
    "route": TakenFrom("path"),
    "status": TakenFrom("status_code"),
}

ADAPTER: Final = Adapter(
    server="starlette-exporter",
    title="starlette-exporter",
    signature=("starlette_requests_total",),
    requests=(ServerMetric(("starlette_requests_total",), _LABELS, _NO_SCRAPES),),
    durations=(ServerMetric(("starlette_request_duration_seconds",), _LABELS, _NO_SCRAPES),),
    in_progress=(ServerMetric(("starlette_requests_in_progress",), _LABELS),),
    born="500",
)
