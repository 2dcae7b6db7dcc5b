"""A page with a panel of every kind that the library can make, so that also those without a page are checked."""

from __future__ import annotations

from ml_monitoring.alerting.exporter.signals import (
    EXPORTER_TARGET_UP,
    SOURCE_ERRORS,
    SOURCE_INTERVAL,
    SOURCE_LAST_SUCCESS_AGE,
    SOURCE_UP,
)
from ml_monitoring.alerting.mlflow.signals import (
    EXPERIMENT_RUNS,
    FAILED_RUN_RATIO,
    METRIC_BEST,
    METRIC_LATEST,
    RUNS,
)
from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.alerting.monitoring.signals import TROUBLE_SINCE
from ml_monitoring.dashboards.lib import panels
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.queries import Query
from ml_monitoring.dashboards.lib.style import RUN_STATUS, Colour
from ml_monitoring.dashboards.lib.variables import (
    datasource,
    label_values,
    log_label,
    loki_datasource,
    typed,
    variants_datasource,
)
from ml_monitoring.exporter.catalog import Unit

LINES = 'count_over_time({service=~"$service"} [$__interval])'

BUCKETS = Signal(
    name="specimen_buckets",
    title="Refresh durations",
    question="How are refresh durations distributed?",
    expr="sum by (le) (rate(ml_monitoring_source_refresh_duration_seconds_bucket{<filter>}[<window>]))",
    unit=Unit.SECONDS,
    dashboard="specimen",
    by=("le",),
    filters=("source",),
)


def specimen() -> Page:
    """Return the page."""
    return Page(
        uid="specimen",
        title="Specimen",
        description="One panel of every kind.",
        folder="Test",
        variables=(
            datasource(),
            loki_datasource(),
            variants_datasource(),
            label_values("source", "ml_monitoring_source_up", title="Source"),
            log_label("service", title="Service"),
            typed("text", title="Text"),
        ),
        rows=(
            Row(
                "All kinds",
                (
                    panels.stat(SOURCE_UP, width=6),
                    panels.light(
                        EXPORTER_TARGET_UP,
                        page="ml-monitoring-alerts",
                        title="Light",
                        since=Query(TROUBLE_SINCE),
                        width=6,
                    ),
                    panels.gauge(FAILED_RUN_RATIO, height=4),
                    panels.bargauge(EXPERIMENT_RUNS, width=6, height=4),
                    panels.timeseries(
                        Query(METRIC_LATEST, colour=Colour.SECOND),
                        Query(METRIC_BEST, dashed=True),
                        colours=RUN_STATUS,
                    ),
                    panels.timeseries(SOURCE_ERRORS, bars=True, stacked=True),
                    panels.heatmap(BUCKETS),
                    panels.barchart(RUNS, x="status"),
                    panels.state_timeline(EXPORTER_TARGET_UP).repeated("source"),
                    panels.table(
                        (
                            panels.Column("instance", "Exporter", width=90, values={"a:1": ("first", Colour.GOOD)}),
                            panels.Column("source", "Source", link=("Open", "/d/ml-monitoring-exporter-health")),
                        ),
                        Query(SOURCE_INTERVAL, name="Interval"),
                        Query(SOURCE_LAST_SUCCESS_AGE, name="Age"),
                        title="Table",
                    ),
                    panels.alert_list("Alerts", "What fires?", width=12),
                    panels.text("Text", "**Text**", width=12),
                ),
            ),
            Row("Rows", (panels.rows("Rows", "What is in the table?", "select 1 as one"),)),
            Row(
                "Folded",
                (
                    panels.logs("Logs", "What does it say?", '{service="$service"} |= "$text"'),
                    panels.log_graph("Graph", "How much?", f"sum({LINES})", legend="lines", bars=True, width=16),
                    panels.log_stat("Ranking", "Who?", f"sum by (service) ({LINES})", width=8),
                ),
                collapsed=True,
            ),
        ),
    )
