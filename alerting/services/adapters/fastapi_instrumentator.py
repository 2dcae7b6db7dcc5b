"""prometheus-fastapi-instrumentator, as seen with 8.1.0. Its statuses are groups, `5xx`, unless that is switched off.

Of its two histograms the one by handler is read: that of finer buckets counts scrapes too, and knows no routes.
"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.services.adapter import Adapter, ServerMetric, TakenFrom

_NO_SCRAPES: Final = 'handler!~"/metrics/?"'
_LABELS: Final = {"route": TakenFrom("handler")}

ADAPTER: Final = Adapter(
    server="fastapi-instrumentator",
    title="prometheus-fastapi-instrumentator",
    signature=("http_request_duration_highr_seconds_count",),
    requests=(ServerMetric(("http_requests_total",), _LABELS, _NO_SCRAPES),),
    durations=(ServerMetric(("http_request_duration_seconds",), _LABELS, _NO_SCRAPES),),
    in_progress=(ServerMetric(("http_requests_inprogress",)),),
    born="5xx",
    # The first of its `latency_lowr_buckets`.
    lowest_bucket=0.1,
)
