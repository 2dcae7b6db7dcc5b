"""Signals of the page `ml-api`: is the service up, quick, right in its answers, and within its objectives?"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.model.foreign import SERVICE_LABEL
from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.alerting.services.adapter import UNKNOWN
from ml_monitoring.exporter.catalog import Unit

PAGE: Final = "ml-monitoring-ml-api"
_SERVICE = ("job", "origin")
_FILTERS = (*_SERVICE, SERVICE_LABEL)


def _latency(name: str, title: str, question: str, of: str) -> Signal:
    return Signal(
        name=name,
        title=title,
        question=question,
        expr=f"origin:ml_http_request_duration_seconds:{of}{{<filter>}}",
        unit=Unit.SECONDS,
        dashboard=PAGE,
        by=_SERVICE,
        filters=_FILTERS,
        legend=f"{of} {{{{job}}}} {{{{service}}}}",
    )


API_REQUEST_RATE: Final = Signal(
    name="api_request_rate",
    title="Requests per minute",
    question="How much traffic does each service get?",
    expr="60 * origin:ml_http_requests:rate{<filter>}",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_SERVICE,
    filters=_FILTERS,
    legend="{{job}} {{service}}",
)

API_ERROR_RATIO: Final = Signal(
    name="api_error_ratio",
    title="Error ratio",
    question="Which share of the requests does a service fail to answer (status 500 and above)?",
    expr="origin:ml_http_errors:ratio{<filter>}",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=_SERVICE,
    filters=_FILTERS,
    legend="{{job}} {{service}}",
)

API_FAILURES_UNKNOWN: Final = Signal(
    name="api_failures_unknown",
    title="Failures that nobody counts",
    question="Of which services does nothing say how many requests fail, as their servers do not count that? It is -1.",
    expr=(
        f"0 * count by (cluster, namespace, job, {SERVICE_LABEL}, origin) "
        f'(ml_http_requests_total{{status="{UNKNOWN}",<filter>}}) - 1'
    ),
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=_SERVICE,
    filters=_FILTERS,
    legend="failures of {{job}} {{service}}",
    signed=True,
)

API_LATENCY_P95: Final = _latency("api_latency_p95", "Latency (p95)", "How long do slow requests take?", "p95")

API_LATENCY_P99: Final = _latency("api_latency_p99", "Latency (p99)", "How long do the slowest requests take?", "p99")

API_LATENCY_P50: Final = _latency("api_latency_p50", "Latency (p50)", "How long does a usual request take?", "p50")

API_LATENCY_MEAN: Final = _latency(
    "api_latency_mean",
    "Mean latency",
    "How long does a request take on average? A server with a summary has no percentiles, only this.",
    "mean",
)

API_LATENCY_BUCKETS: Final = Signal(
    name="api_latency_buckets",
    title="Latency distribution",
    question="How are the response times distributed, and did a second mode appear?",
    expr="sum by (le) (increase(ml_http_request_duration_seconds_bucket{<filter>}[<window>]))",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=("le",),
    filters=_FILTERS,
)

API_ROUTE_RATE: Final = Signal(
    name="api_route_rate",
    title="Requests per minute by route",
    question="Which routes are used?",
    expr="60 * sum by (cluster, namespace, method, route) (rate(ml_http_requests_total{<filter>}[<window>]))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("method", "route"),
    filters=_FILTERS,
)

API_ROUTE_P95: Final = Signal(
    name="api_route_p95",
    title="Latency by route (p95)",
    question="Which route is slow?",
    expr=(
        "histogram_quantile(0.95, sum by (cluster, namespace, method, route, le) "
        "(rate(ml_http_request_duration_seconds_bucket{<filter>}[<window>])))"
    ),
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=("method", "route"),
    filters=_FILTERS,
)

API_STATUS_RATE: Final = Signal(
    name="api_status_rate",
    title="Requests per minute by status",
    question="What do clients get: answers, refusals (4xx), failures (5xx), or did they leave (499)?",
    expr="60 * sum by (cluster, namespace, status) (rate(ml_http_requests_total{<filter>}[<window>]))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("status",),
    filters=_FILTERS,
)

API_IN_PROGRESS: Final = Signal(
    name="api_in_progress",
    title="In-flight requests",
    question="How many requests are being processed now? A rise without more traffic is saturation.",
    expr="sum without (instance) (ml_http_requests_in_progress{<filter>})",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_SERVICE,
    filters=_FILTERS,
    legend="{{job}} {{service}}",
)

API_UPTIME: Final = Signal(
    name="api_uptime",
    title="Uptime",
    question="How long has the service been running? Short times in a row are a crash loop.",
    expr="time() - min without (instance) (ml_process_start_timestamp_seconds{<filter>})",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_SERVICE,
    filters=_FILTERS,
    legend="{{job}} {{service}}",
)

API_UP: Final = Signal(
    name="api_up",
    title="Service",
    question="Does each service answer scrapes? Of several instances the worst decides.",
    expr=(
        "min by (cluster, namespace, job) (instance:up:own{<place>} and on (cluster, namespace, job) "
        "(count_over_time(ml_process_start_timestamp_seconds{<filter>}[1h]) "
        "or count_over_time(origin:ml_http_requests:rate{<filter>}[1h])))"
    ),
    unit=Unit.FLAG,
    dashboard=PAGE,
    by=("job",),
    filters=_FILTERS,
    legend="{{job}}",
)

INSTANCE_UP: Final = Signal(
    name="instance_up",
    title="Instances",
    question="Which instances of each service answered their last scrape?",
    expr="instance:up:service{<filter>}",
    unit=Unit.FLAG,
    dashboard=PAGE,
    by=("job", "instance"),
    filters=("job",),
    legend="{{job}} ({{instance}})",
)

API_WEBSOCKETS_OPEN: Final = Signal(
    name="api_websockets_open",
    title="Open WebSockets",
    question="How many WebSocket connections are open?",
    expr="sum without (instance) (ml_websocket_connections_open{<filter>})",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_SERVICE,
    filters=_FILTERS,
    legend="{{job}} {{service}}",
)

API_CACHE_HIT_RATIO: Final = Signal(
    name="api_cache_hit_ratio",
    title="Cache hit ratio",
    question="What share of the requests to each cache are hits?",
    expr="cache_origin:ml_cache_hits:ratio{<filter>}",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=("job", "cache", "origin"),
    filters=_FILTERS,
    legend="{{cache}}",
    over_time=False,
    curve="api_cache_requests",
)

API_CACHE_REQUESTS: Final = Signal(
    name="api_cache_requests",
    title="Cache requests per minute",
    question="How many hits and misses does each cache have?",
    expr="60 * sum by (cluster, namespace, cache, outcome) (rate(ml_cache_requests_total{<filter>}[<window>]))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("cache", "outcome"),
    filters=_FILTERS,
)

API_UTILIZATION: Final = Signal(
    name="api_utilization",
    title="Resource utilization",
    question="Which share of its processor, memory and disk does each service use?",
    expr="instance_resource_origin:ml_process_utilization:ratio{<filter>}",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=("job", "instance", "resource", "origin"),
    filters=_FILTERS,
    legend="{{resource}} {{instance}}",
    above_one=True,
)

API_PREDICTIONS_RECENT: Final = Signal(
    name="api_predictions_recent",
    title="Recent predictions",
    question="Does a service that made predictions still make some?",
    expr="origin:ml_predictions:recent{<filter>}",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_SERVICE,
    filters=_FILTERS,
    legend="{{job}} {{service}}",
    over_time=False,
    curve="api_status_rate",
)

API_RECORDING_ERRORS: Final = Signal(
    name="api_recording_errors",
    title="Instrumentation errors",
    question="Does the instrumentation itself fail? Requests are still served, but metrics are missing.",
    expr="sum by (cluster, namespace, operation) (increase(ml_instrument_errors_total{<filter>}[<window>]))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("operation",),
    filters=_FILTERS,
)

API_RECORDING_OVERFLOW: Final = Signal(
    name="api_recording_overflow",
    title="Label sets over the limit",
    question="Which metric has more label sets than the service allows, so that some are merged into `other`?",
    expr="sum by (cluster, namespace, family) (increase(ml_instrument_overflow_total{<filter>}[<window>]))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("family",),
    filters=_FILTERS,
)

SLO_PAGE_BURNING: Final = Signal(
    name="slo_page_burning",
    title="Error budget: fast burn",
    question="Does an error budget burn so fast that somebody must be paged? Above 1 it does.",
    expr="slo_origin:ml_http_burning:page{<filter>}",
    unit=Unit.ANY,
    dashboard=PAGE,
    by=("job", "slo", "origin"),
    filters=_FILTERS,
    legend="{{slo}} {{job}} {{service}}",
    over_time=False,
    curve="slo_burn_page_fast",
)

SLO_TICKET_BURNING: Final = Signal(
    name="slo_ticket_burning",
    title="Error budget: slow burn",
    question="Does an error budget burn so fast that it will not last the period? Above 1 it does.",
    expr="slo_origin:ml_http_burning:ticket{<filter>}",
    unit=Unit.ANY,
    dashboard=PAGE,
    by=("job", "slo", "origin"),
    filters=_FILTERS,
    legend="{{slo}} {{job}} {{service}}",
    over_time=False,
    curve="slo_burn_ticket_slow",
)


def _burn_rate(tier: str, question: str) -> Signal:
    return Signal(
        name=f"slo_burn_{tier}",
        title="Burn rate",
        question=f"{question} 1x uses the budget up exactly at the end of the period.",
        expr=f"slo_origin:ml_http_burn_rate:{tier}_long{{<filter>}}",
        unit=Unit.COUNT,
        dashboard=PAGE,
        by=("job", "slo", "origin"),
        filters=_FILTERS,
        legend="{{slo}} {{job}}",
    )


SLO_BURN_PAGE_FAST: Final = _burn_rate("page_fast", "How fast does an error budget burn, over an hour or so?")

SLO_BURN_PAGE_SLOW: Final = _burn_rate("page_slow", "How fast does an error budget burn, over some hours?")

SLO_BURN_TICKET_FAST: Final = _burn_rate("ticket_fast", "How fast does an error budget burn, over a day or so?")

SLO_BURN_TICKET_SLOW: Final = _burn_rate("ticket_slow", "How fast does an error budget burn, over some days?")

SLO_BUDGET_LEFT: Final = Signal(
    name="slo_budget_left",
    title="Error budget remaining",
    question="How much of the period's error budget is left? Below 0 the objective is missed.",
    expr="1 - slo_origin:ml_http_burn_rate:period{<filter>}",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=("job", "slo", "origin"),
    filters=_FILTERS,
    legend="{{slo}} {{job}} {{service}}",
)
