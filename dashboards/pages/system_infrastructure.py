"""The page `System infrastructure`: machines, services, containers, PostgreSQL and Prometheus."""

from __future__ import annotations

from ml_monitoring.alerting.containers.signals import (
    CONTAINER_AGE,
    CONTAINER_CPU,
    CONTAINER_MEMORY,
    CONTAINER_MEMORY_BYTES,
    CONTAINER_PROCESSES,
    CONTAINER_RESTARTS,
    CONTAINER_STATE,
)
from ml_monitoring.alerting.database.signals import (
    DATABASE_CACHE_HITS,
    DATABASE_COMMITS,
    DATABASE_CONNECTIONS_USED,
    DATABASE_DEADLOCKS,
    DATABASE_SIZE,
    DATABASE_TRANSACTION_AGE,
    DATABASE_UP,
)
from ml_monitoring.alerting.host.signals import (
    HOST_CLOCK_OFFSET,
    HOST_CPU,
    HOST_DISK_FILLING,
    HOST_DISK_FREE,
    HOST_DISK_FULL_IN,
    HOST_DISK_READ,
    HOST_DISK_WRITTEN,
    HOST_LOAD,
    HOST_MEMORY_AVAILABLE,
    HOST_NETWORK_RECEIVED,
    HOST_NETWORK_SENT,
    HOST_UPTIME,
    PAGE,
)
from ml_monitoring.alerting.logs.signals import PAGE as LOGS
from ml_monitoring.alerting.monitoring.signals import (
    PROMETHEUS_ALERTMANAGERS,
    PROMETHEUS_CONFIG_OK,
    PROMETHEUS_RULE_FAILURES,
    PROMETHEUS_SAMPLES,
    PROMETHEUS_SERIES,
    PROMETHEUS_STORAGE_FAILURES,
    PROMETHEUS_UNDELIVERED,
    SERVICE_CPU,
    SERVICE_MEMORY,
    TARGET_UP,
)
from ml_monitoring.alerting.overview.signals import TARGETS_DOWN
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.links import cell, page_url
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import Column, Panel, stat, state_timeline, table, timeseries
from ml_monitoring.dashboards.lib.queries import SHOWN_RANGE, Query
from ml_monitoring.dashboards.lib.variables import datasource, label_values
from ml_monitoring.dashboards.pages.common import firing_alerts, judged, verdict

UP = ("down", "up")
VALID = ("invalid", "OK")
_NO_HOST = "no data from the node exporter"
_NO_DATABASE = "no data from the postgres exporter"
_NO_CONTAINERS = "no data from cAdvisor"


def build(context: PageContext) -> Page:
    """Return the page."""
    return Page(
        uid=PAGE,
        title="System infrastructure",
        description="For those who run the hosts: what is saturated, what is down, and since when?",
        folder="Platform",
        tags=("operations",),
        since="now-6h",
        stores_of=("containers",),
        variables=(datasource(), label_values("instance", "node_memory_MemTotal_bytes", title="Host")),
        rows=(
            verdict(
                context,
                "Are the machines, the databases and the monitoring well?",
                stat(Query(HOST_CPU, highest=1), show="value_and_name", empty=_NO_HOST),
                stat(
                    Query(HOST_MEMORY_AVAILABLE, lowest=1), title="Memory free", show="value_and_name", empty=_NO_HOST
                ),
                stat(Query(HOST_DISK_FREE, lowest=1), show="value_and_name", empty=_NO_HOST),
                stat(
                    Query(HOST_DISK_FILLING, lowest=1, limits=judged(context, HOST_DISK_FULL_IN)),
                    show="value_and_name",
                    empty="no trend, or no data from Prometheus",
                ),
                stat(Query(TARGETS_DOWN, limits=((">", 0, "warning"),)), height=3),
                stat(DATABASE_UP, title="PostgreSQL", states=UP, height=3, empty=_NO_DATABASE),
                stat(PROMETHEUS_CONFIG_OK, title="Prometheus config", states=VALID, height=3),
                stat(Query(PROMETHEUS_RULE_FAILURES, window=SHOWN_RANGE), title="Rule failures", height=3),
                stat(PROMETHEUS_UNDELIVERED, height=3, empty="no alerts, or no data from Prometheus"),
                stat(PROMETHEUS_ALERTMANAGERS, title="Alertmanagers", height=3),
                page=PAGE,
            ),
            Row(
                "Targets and alerts",
                (
                    firing_alerts(context, PAGE),
                    timeseries(
                        HOST_DISK_FULL_IN, height=7, empty="no disks that fill up, or no data from the node exporter"
                    ),
                    state_timeline(TARGET_UP, states=UP, height=9),
                ),
            ),
            Row("Hosts", _machines(), collapsed=True),
            Row(
                "Services",
                (
                    timeseries(SERVICE_MEMORY),
                    timeseries(SERVICE_CPU),
                ),
                collapsed=True,
            ),
            Row("Containers", _containers(), collapsed=True),
            Row("PostgreSQL", _database(), collapsed=True),
            Row(
                "Prometheus",
                (
                    stat(Query(PROMETHEUS_STORAGE_FAILURES, window=SHOWN_RANGE), width=8),
                    stat(PROMETHEUS_SERIES, width=8),
                    stat(PROMETHEUS_SAMPLES, title="Samples/s", width=8),
                ),
                collapsed=True,
            ),
        ),
    )


def _machines() -> tuple[Panel, ...]:
    return (
        timeseries(HOST_CPU, title="CPU utilization over time", legend="list", empty=_NO_HOST),
        timeseries(HOST_MEMORY_AVAILABLE, title="Memory free over time", legend="list", empty=_NO_HOST),
        timeseries(HOST_DISK_FREE, title="Free disk space over time", empty=_NO_HOST),
        timeseries(
            HOST_DISK_READ,
            Query(HOST_DISK_WRITTEN, dashed=True),
            title="Disk I/O",
            legend="list",
            empty=_NO_HOST,
        ),
        timeseries(
            HOST_NETWORK_RECEIVED,
            Query(HOST_NETWORK_SENT, dashed=True),
            title="Network",
            legend="list",
            empty=_NO_HOST,
        ),
        stat(HOST_LOAD, width=4, height=8, empty=_NO_HOST),
        stat(HOST_CLOCK_OFFSET, width=4, height=8, empty=_NO_HOST),
        stat(HOST_UPTIME, width=4, height=8, empty=_NO_HOST),
    )


def _containers() -> tuple[Panel, ...]:
    """Without the overlay `containers` nobody asks the Docker engine."""
    return (
        state_timeline(CONTAINER_STATE, width=12, height=10, states=UP, empty=_NO_CONTAINERS),
        table(
            (
                Column("compose_service", "Service", link=("Its logs", page_url(LOGS, {"service": cell("Service")}))),
                Column("container_name", "Container"),
            ),
            Query(CONTAINER_AGE, name="Uptime"),
            Query(CONTAINER_MEMORY_BYTES, name="Memory"),
            Query(CONTAINER_MEMORY, name="% of limit"),
            Query(CONTAINER_PROCESSES, name="Processes"),
            title="Running containers",
            empty=_NO_CONTAINERS,
            sort_by="% of limit",
            descending=True,
            width=12,
            height=10,
        ),
        timeseries(CONTAINER_CPU, width=8, legend="list", empty=_NO_CONTAINERS),
        timeseries(CONTAINER_MEMORY, width=8, legend="list", empty=_NO_CONTAINERS),
        timeseries(CONTAINER_RESTARTS, width=8, bars=True, legend="list", empty=_NO_CONTAINERS),
    )


def _database() -> tuple[Panel, ...]:
    return (
        timeseries(DATABASE_CONNECTIONS_USED, width=12, legend="list", empty=_NO_DATABASE),
        timeseries(DATABASE_TRANSACTION_AGE, width=12, legend="list", empty=_NO_DATABASE),
        timeseries(DATABASE_COMMITS, width=12, legend="list", empty=_NO_DATABASE),
        timeseries(DATABASE_SIZE, width=12, legend="list", empty=_NO_DATABASE),
        stat(
            Query(DATABASE_DEADLOCKS, window=SHOWN_RANGE, above_zero=True),
            width=12,
            empty="no deadlocks, or no data from the postgres exporter",
        ),
        stat(DATABASE_CACHE_HITS, width=12, empty=_NO_DATABASE),
    )
