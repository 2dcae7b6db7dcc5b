"""The page `ML API`: is the service up, quick, right in its answers, and within its objectives?"""

from __future__ import annotations

from collections.abc import Iterator

from ml_monitoring.alerting.model.settings import Slos
from ml_monitoring.alerting.services.quality_signals import (
    MODEL_ACCURACY,
    MODEL_CONFIDENCE,
    MODEL_LAST_PREDICTION_AGE,
    MODEL_MAE,
    MODEL_PREDICTION_RATE,
    MODEL_R2,
    MODELS_VERDICT,
)
from ml_monitoring.alerting.services.quality_signals import PAGE as QUALITY_PAGE
from ml_monitoring.alerting.services.signals import (
    API_CACHE_HIT_RATIO,
    API_CACHE_REQUESTS,
    API_ERROR_RATIO,
    API_FAILURES_UNKNOWN,
    API_IN_PROGRESS,
    API_LATENCY_BUCKETS,
    API_LATENCY_MEAN,
    API_LATENCY_P50,
    API_LATENCY_P95,
    API_LATENCY_P99,
    API_PREDICTIONS_RECENT,
    API_RECORDING_ERRORS,
    API_RECORDING_OVERFLOW,
    API_REQUEST_RATE,
    API_ROUTE_P95,
    API_ROUTE_RATE,
    API_STATUS_RATE,
    API_UP,
    API_UPTIME,
    API_UTILIZATION,
    API_WEBSOCKETS_OPEN,
    INSTANCE_UP,
    PAGE,
    SLO_BURN_PAGE_FAST,
    SLO_BURN_PAGE_SLOW,
    SLO_BURN_TICKET_FAST,
    SLO_BURN_TICKET_SLOW,
    SLO_PAGE_BURNING,
    SLO_TICKET_BURNING,
)
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.links import page_url
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import Column, Panel, gauge, heatmap, stat, state_timeline, table, timeseries
from ml_monitoring.dashboards.lib.queries import SHOWN_RANGE, Query
from ml_monitoring.dashboards.lib.style import STATUS_CLASS, Colour
from ml_monitoring.dashboards.lib.variables import datasource, label_values
from ml_monitoring.dashboards.pages.common import (
    NOT_COUNTED,
    QUALITY_WORDS,
    chosen,
    data_mode,
    error_budgets,
    firing_alerts,
    service,
    verdict,
)
from ml_monitoring.exporter import durations

# Alerts of what is chosen above.
_CHOSEN = chosen(job="job", origin="origin")


def build(context: PageContext) -> Page:
    """Return the page."""
    return Page(
        uid=PAGE,
        title="ML API",
        description="For those on call for a model's service: is it up, quick, and right?",
        folder="ML",
        tags=("service",),
        variables=(
            datasource(),
            label_values("job", "ml_http_requests_total", title="Job"),
            service(),
            label_values("origin", "ml_http_requests_total", title="Origin", may_be_empty=True),
        ),
        refresh="5s",
        since="now-1h",
        rows=(
            verdict(
                context,
                "Is the service up, fast and right?",
                stat(Query(API_UP, limits=(("<", 1, "critical"),)), states=("down", "up")),
                stat(
                    API_ERROR_RATIO,
                    Query(API_FAILURES_UNKNOWN),
                    values={"-1": ("failures not counted", Colour.MUTED)},
                ),
                stat(API_LATENCY_P95, title="p95 latency"),
                stat(MODELS_VERDICT, title="Quality of answers", values=QUALITY_WORDS).linked(
                    "Model quality", page_url(QUALITY_PAGE, {})
                ),
                error_budgets(context),
                stat(API_REQUEST_RATE, title="Requests/min"),
                stat(API_IN_PROGRESS, title="In flight"),
                page=PAGE,
                only=_CHOSEN,
            ),
            Row(
                "Errors, latency and requests",
                (
                    timeseries(API_ERROR_RATIO, title="Error ratio over time", height=7, empty=NOT_COUNTED),
                    timeseries(API_LATENCY_P95, API_LATENCY_P50, API_LATENCY_P99, title="Latency", height=7),
                    timeseries(Query(API_STATUS_RATE, above_zero=True), stacked=True, height=7, colours=STATUS_CLASS),
                    firing_alerts(context, PAGE, only=_CHOSEN),
                    state_timeline(INSTANCE_UP, states=("down", "up"), height=4),
                ),
            ),
            Row(
                "Routes and latency distribution",
                (
                    timeseries(API_ROUTE_RATE),
                    timeseries(Query(API_ROUTE_P95, exemplars=True)),
                    heatmap(API_LATENCY_BUCKETS),
                    timeseries(API_IN_PROGRESS, title="In-flight requests over time"),
                    stat(API_PREDICTIONS_RECENT, title="Predictions", width=8),
                    stat(API_LATENCY_MEAN, width=8),
                    stat(API_UPTIME, width=8),
                ),
                collapsed=True,
            ),
            Row(
                "SLOs",
                (
                    stat(SLO_PAGE_BURNING, title="Fast burn / what pages", width=12, show="value_and_name"),
                    stat(
                        SLO_TICKET_BURNING,
                        title="Slow burn / what alerts",
                        width=12,
                        show="value_and_name",
                    ),
                    *_burn_rates(context.slos),
                ),
                collapsed=True,
            ),
            Row(
                "Cache and resources",
                (
                    gauge(API_CACHE_HIT_RATIO, width=5, height=7),
                    timeseries(API_CACHE_REQUESTS, width=8, height=7),
                    timeseries(API_UTILIZATION, width=11, height=7),
                ),
                collapsed=True,
            ),
            Row(
                "Models and instrumentation",
                (
                    _models(),
                    stat(API_WEBSOCKETS_OPEN, width=6, empty="no WebSockets, or no data from Prometheus"),
                    stat(
                        Query(API_RECORDING_ERRORS, window=SHOWN_RANGE, highest=3, above_zero=True),
                        width=6,
                        empty="no failed recordings, or no data from Prometheus",
                    ),
                    stat(
                        Query(API_RECORDING_OVERFLOW, window=SHOWN_RANGE, highest=3, above_zero=True),
                        width=6,
                        empty="no full metrics, or no data from Prometheus",
                    ),
                    data_mode(width=6),
                ),
                collapsed=True,
            ),
        ),
    )


def _burn_rates(slos: Slos) -> Iterator[Panel]:
    """Yield the burn rates in the long window of each tier, as multiples, with the one that alerts."""
    for signal, tier, severity in (
        (SLO_BURN_PAGE_FAST, slos.page_fast, "critical"),
        (SLO_BURN_PAGE_SLOW, slos.page_slow, "critical"),
        (SLO_BURN_TICKET_FAST, slos.ticket_fast, "warning"),
        (SLO_BURN_TICKET_SLOW, slos.ticket_slow, "warning"),
    ):
        window = durations.format_seconds(tier.windows(slos.period)[0])
        does = "pages" if severity == "critical" else "alerts"
        yield timeseries(
            Query(signal, limits=((">", tier.factor, severity),)),
            title=f"Burn rate ({window}): {does} above {tier.factor:g}x",
            height=7,
        )


def _models() -> Panel:
    return table(
        (Column("model", "Model"), Column("model_version", "Version"), Column("variant", "Variant")),
        Query(MODEL_PREDICTION_RATE, name="Predictions per minute"),
        Query(MODEL_ACCURACY, name="Accuracy"),
        Query(MODEL_MAE, name="MAE"),
        Query(MODEL_R2, name="R2"),
        Query(MODEL_CONFIDENCE, name="Confidence"),
        Query(MODEL_LAST_PREDICTION_AGE, name="Time since last prediction"),
        title="Models",
        empty="no predictions of services, or no data from Prometheus",
        sort_by="Variant",
        height=7,
    )
