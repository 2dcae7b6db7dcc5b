"""A page with a panel of every kind that the library can make, so that also those without a page are checked."""

from __future__ import annotations

from alerting.signals import BY_NAME as SIGNAL
from alerting.signals import Signal
from dashboards.lib import panels
from dashboards.lib.page import Page, Row
from dashboards.lib.queries import Query
from dashboards.lib.style import RUN_STATUS, Colour
from dashboards.lib.variables import datasource, label_values, log_label, loki_datasource, typed, variants_datasource
from exporter.catalog import Unit

LINES = 'count_over_time({service=~"$service"} [$__interval])'

BUCKETS = Signal(
    name="specimen_buckets",
    title="Refresh durations",
    question="How are refresh durations distributed?",
    expr="sum by (le) (rate(exporter_source_refresh_duration_seconds_bucket{<filter>}[<window>]))",
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
            label_values("source", "exporter_source_up", title="Source"),
            log_label("service", title="Service"),
            typed("text", title="Text"),
        ),
        rows=(
            Row(
                "All kinds",
                (
                    panels.stat(SIGNAL["source_up"], width=6),
                    panels.stat(SIGNAL["exporter_memory"], trend=True, width=6),
                    panels.gauge(SIGNAL["failed_run_ratio"], height=4),
                    panels.bargauge(SIGNAL["experiment_runs"], width=6, height=4),
                    panels.timeseries(
                        Query(SIGNAL["metric_latest"], colour=Colour.SECOND),
                        Query(SIGNAL["metric_best"], dashed=True),
                        colours=RUN_STATUS,
                    ),
                    panels.timeseries(SIGNAL["source_errors"], bars=True, stacked=True),
                    panels.heatmap(BUCKETS),
                    panels.barchart(SIGNAL["store_rows"], x="table"),
                    panels.state_timeline(SIGNAL["exporter_target_up"]).repeated("source"),
                    panels.table(
                        (
                            panels.Column("instance", "Exporter", width=90, values={"a:1": ("first", Colour.GOOD)}),
                            panels.Column("source", "Source", link=("Open", "/d/exporter-health")),
                        ),
                        Query(SIGNAL["source_interval"], name="Interval"),
                        Query(SIGNAL["source_last_success_age"], name="Age"),
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
                    panels.log_ranking("Ranking", "Who?", f"sum by (service) ({LINES})", legend="{{service}}"),
                ),
                collapsed=True,
            ),
        ),
    )
