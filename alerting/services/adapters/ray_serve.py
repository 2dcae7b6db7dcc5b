"""Ray Serve, as seen with 2.60.0: its proxies' series, in milliseconds, from the port of each node's metrics agent.

A node's agent exposes the series of all processes of the node, told apart by `WorkerId`.
"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.services.adapter import Adapter, ServerMetric, TakenFrom

_LABELS: Final = {"service": TakenFrom("application"), "status": TakenFrom("status_code")}
_COUNTED: Final = ("ray_serve_num_http_requests_total", "ray_serve_num_http_requests")

ADAPTER: Final = Adapter(
    server="ray-serve",
    title="Ray Serve",
    signature=("ray_serve_http_request_latency_ms_count",),
    requests=(ServerMetric(_COUNTED, _LABELS),),
    durations=(ServerMetric(("ray_serve_http_request_latency_ms",), _LABELS, decimals=3),),
    in_progress=(ServerMetric(("ray_serve_num_ongoing_http_requests",), _LABELS),),
    born="500",
    workers=("WorkerId",),
)
