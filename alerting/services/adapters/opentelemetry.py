"""OpenTelemetry's HTTP server metrics, of the stable semantic conventions and of those before.

As seen with opentelemetry-instrumentation-fastapi 0.66b2, whose default is the older ones, in milliseconds;
OTEL_SEMCONV_STABILITY_OPT_IN=http makes it the stable ones. Names are those of Prometheus's exposition and of its OTLP
receiver unless that keeps dots. Requests are counted by the histogram: there is no counter.
"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.services.adapter import Adapter, ServerMetric, TakenFrom

_STABLE: Final = {
    "service": TakenFrom("service_name", "(.+)"),
    "route": TakenFrom("http_route"),
    "method": TakenFrom("http_request_method"),
    "status": TakenFrom("http_response_status_code"),
}
_OLDER: Final = {
    "service": TakenFrom("service_name", "(.+)"),
    "route": TakenFrom("http_target"),
    "method": TakenFrom("http_method"),
    "status": TakenFrom("http_status_code"),
}

ADAPTER: Final = Adapter(
    server="opentelemetry",
    title="OpenTelemetry",
    signature=("http_server_request_duration_seconds_count", "http_server_duration_milliseconds_count"),
    requests=(
        ServerMetric(("http_server_request_duration_seconds_count",), _STABLE),
        ServerMetric(("http_server_duration_milliseconds_count",), _OLDER),
    ),
    durations=(
        ServerMetric(("http_server_request_duration_seconds",), _STABLE),
        ServerMetric(("http_server_duration_milliseconds",), _OLDER, decimals=3),
    ),
    in_progress=(ServerMetric(("http_server_active_requests",), {"service": TakenFrom("service_name", "(.+)")}),),
    born="500",
)
