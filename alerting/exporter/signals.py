"""Signals of the page `exporter-health`: can the numbers on all other pages be trusted?"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.exporter.catalog import Unit

PAGE: Final = "ml-monitoring-exporter-health"
_SOURCE = ("instance", "source")
# The source comes first because one exporter is the usual case and its address is then noise.
_SOURCE_LEGEND = "{{source}} ({{instance}})"

EXPORTER_UP: Final = Signal(
    name="exporter_up",
    title="Exporter up",
    question="Is at least one exporter scraped successfully? 0 also when Prometheus has no exporter to scrape.",
    # `absent() - 1` is 0: a target that was removed by mistake looks like one that is down, not like no data.
    expr="max without (instance) (up{<exporter>,<filter>}) or absent(up{<exporter>,<filter>}) - 1",
    unit=Unit.FLAG,
    dashboard=PAGE,
    by=("job",),
    over_time=False,
)

EXPORTER_TARGET_UP: Final = Signal(
    name="exporter_target_up",
    title="Exporter targets",
    question="Which exporter's last scrape failed?",
    expr="up{<exporter>,<filter>}",
    unit=Unit.FLAG,
    dashboard=PAGE,
    by=("instance",),
    filters=("instance",),
)

SOURCE_UP: Final = Signal(
    name="source_up",
    title="Source up",
    question="Did the last refresh of each source succeed?",
    expr="ml_monitoring_source_up{<filter>}",
    unit=Unit.FLAG,
    dashboard=PAGE,
    by=_SOURCE,
    filters=_SOURCE,
    legend=_SOURCE_LEGEND,
)

# Which pages show what a source gives, and so are stale while it is down.
_FEEDS = {
    "mlflow": "MLflow pages",
    "variants": "Variant pages",
    "fleet": "Fleet pages",
    "experiments": "Experiment pages",
    "containers": "System infrastructure",
}


def _with_pages(expr: str) -> str:
    """Return the expression with a label that says which pages a source feeds; one of the user's own has its name."""
    expr = f'label_replace({expr}, "pages", "$1", "source", "(.+)")'
    for source, pages in _FEEDS.items():
        expr = f'label_replace({expr}, "pages", "{pages}", "source", "{source}(/.+)?")'
    return expr


SOURCES_AND_PAGES: Final = Signal(
    name="sources_and_pages",
    title="Sources and the pages that they feed",
    question="Did the last refresh of each source succeed? If not, the pages beside it are stale or empty.",
    expr=_with_pages("min without (instance) (ml_monitoring_source_up{<filter>})"),
    unit=Unit.FLAG,
    dashboard=PAGE,
    by=("source", "pages"),
    filters=_SOURCE,
    # The table below says which source it is.
    legend="{{pages}}",
)

SOURCE_LAST_SUCCESS_AGE: Final = Signal(
    name="source_last_success_age",
    title="Time since last success",
    question="How old is the data of each source?",
    expr="time() - ml_monitoring_source_last_success_timestamp_seconds{<filter>}",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_SOURCE,
    filters=_SOURCE,
    legend=_SOURCE_LEGEND,
)

SOURCE_AGE_INTERVALS: Final = Signal(
    name="source_age_intervals",
    title="Data age in refresh intervals",
    question="How many refreshes has each source missed? Up to 1 is normal; stale series are withdrawn.",
    expr="instance_source:ml_monitoring_source_age_per_interval:ratio{<filter>}",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_SOURCE,
    filters=_SOURCE,
    legend=_SOURCE_LEGEND,
)

SOURCE_MISSED: Final = Signal(
    name="source_missed",
    title="Missed refreshes",
    question="How many refreshes has each source missed?",
    # What is not yet due is not missed.
    expr="floor(instance_source:ml_monitoring_source_age_per_interval:ratio{<filter>})",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_SOURCE,
    filters=_SOURCE,
    legend=_SOURCE_LEGEND,
)

SOURCE_INTERVAL: Final = Signal(
    name="source_interval",
    title="Refresh interval",
    question="How often should each source be read?",
    expr="ml_monitoring_source_interval_seconds{<filter>}",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_SOURCE,
    filters=_SOURCE,
    legend=_SOURCE_LEGEND,
)

SOURCE_REFRESH_DURATION_P50: Final = Signal(
    name="source_refresh_duration_p50",
    title="Refresh duration (p50)",
    question="How long does a usual refresh of each source take?",
    expr=("histogram_quantile(0.5, rate(ml_monitoring_source_refresh_duration_seconds_bucket{<filter>}[<window>]))"),
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_SOURCE,
    filters=_SOURCE,
    legend="p50 {{source}} ({{instance}})",
)

SOURCE_REFRESH_DURATION_P95: Final = Signal(
    name="source_refresh_duration_p95",
    title="Refresh duration (p95)",
    question="How long does a slow refresh of each source take, compared with its interval and timeout?",
    expr=("histogram_quantile(0.95, rate(ml_monitoring_source_refresh_duration_seconds_bucket{<filter>}[<window>]))"),
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_SOURCE,
    filters=_SOURCE,
    legend="p95 {{source}} ({{instance}})",
)

SOURCE_ERRORS: Final = Signal(
    name="source_errors",
    title="Errors by reason",
    question="Why do refreshes fail, or rows get skipped?",
    expr="increase(ml_monitoring_source_errors_total{<filter>}[<window>])",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("instance", "source", "reason"),
    filters=_SOURCE,
    legend="{{source}} {{reason}} ({{instance}})",
)

SOURCE_SERIES: Final = Signal(
    name="source_series",
    title="Series per source",
    question="How many series does each source expose, and did any disappear?",
    expr="ml_monitoring_source_series{<filter>}",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_SOURCE,
    filters=_SOURCE,
    legend=_SOURCE_LEGEND,
)

SERIES_DROPPED: Final = Signal(
    name="series_dropped",
    title="Dropped series",
    question="Which metric family exceeds `max_series`, so that part of its series is dropped?",
    expr="increase(ml_monitoring_series_dropped_total{<filter>}[<window>])",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("instance", "source", "family"),
    filters=_SOURCE,
    legend="{{family}} ({{instance}})",
)

CONFIG_RELOAD_OK: Final = Signal(
    name="config_reload_ok",
    title="Config valid",
    question="Was the last reload of the config successful, or is an older config in use?",
    expr="ml_monitoring_config_last_reload_successful{<filter>}",
    unit=Unit.FLAG,
    dashboard=PAGE,
    by=("instance",),
    filters=("instance",),
    over_time=False,
)

CONFIG_AGE: Final = Signal(
    name="config_age",
    title="Time since config reload",
    question="When was the config last reloaded successfully? A reload without effect shows here.",
    expr="time() - ml_monitoring_config_last_reload_success_timestamp_seconds{<filter>}",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=("instance",),
    filters=("instance",),
)

EXPORTER_VERSION: Final = Signal(
    name="exporter_version",
    title="Exporter version",
    question="Which version of the exporter and of Python runs where?",
    expr="ml_monitoring_build_info{<filter>}",
    unit=Unit.INFO,
    dashboard=PAGE,
    by=("instance", "version", "revision", "python_version"),
    filters=("instance",),
    legend="{{version}}",
)

EXPORTER_SCRAPE_DURATION: Final = Signal(
    name="exporter_scrape_duration",
    title="Scrape duration",
    question="How long does a scrape of the exporter take? Milliseconds, since nothing is computed in a scrape.",
    expr="scrape_duration_seconds{<exporter>,<filter>}",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=("instance",),
    filters=("instance",),
)

EXPORTER_MEMORY: Final = Signal(
    name="exporter_memory",
    title="Exporter memory",
    question="Does the exporter's memory grow?",
    expr="process_resident_memory_bytes{<exporter>,<filter>}",
    unit=Unit.BYTES,
    dashboard=PAGE,
    by=("instance",),
    filters=("instance",),
)

EXPORTER_CPU: Final = Signal(
    name="exporter_cpu",
    title="Exporter CPU",
    question="What share of one core does the exporter use?",
    expr="rate(process_cpu_seconds_total{<exporter>,<filter>}[<window>])",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=("instance",),
    filters=("instance",),
)

ALERT_RULES_EVALUATED: Final = Signal(
    name="alert_rules_evaluated",
    title="Alert rules evaluated",
    question="Are the alert rules loaded and evaluated? 0 means that no alert can fire.",
    # 0 is true when nothing matches: the Watchdog fires for as long as rules are evaluated.
    expr='max(ALERTS{alertname="MlMonitoringWatchdog",alertstate="firing"}) or vector(0)',
    unit=Unit.FLAG,
    dashboard=PAGE,
    legend="MlMonitoringWatchdog",
    over_time=False,
)
