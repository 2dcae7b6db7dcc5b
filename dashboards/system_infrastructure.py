"""The page `System infrastructure`: machines, services, containers, PostgreSQL and Prometheus."""

from __future__ import annotations

from alerting.signals import BY_NAME as SIGNAL
from alerting.signals.host import PAGE
from alerting.signals.logs import PAGE as LOGS
from dashboards.lib.links import cell, page_url
from dashboards.lib.page import Page, Row
from dashboards.lib.panels import Column, Panel, stat, state_timeline, table, timeseries
from dashboards.lib.queries import Query
from dashboards.lib.variables import datasource, label_values

UP = ("down", "up")
_NO_HOST = "no node exporter"
_NO_DATABASE = "no postgres exporter"
_NO_CONTAINERS = "containers are not watched"


def build() -> Page:
    """Return the page."""
    return Page(
        uid=PAGE,
        title="System infrastructure",
        description="For those who run the machines: what runs out, what is down, and since when?",
        folder="Platform",
        tags=("operations",),
        since="now-6h",
        variables=(datasource(), label_values("instance", "node_memory_MemTotal_bytes", title="Machine")),
        rows=(
            Row("Machines", _machines()),
            Row(
                "Services",
                (
                    state_timeline(SIGNAL["target_up"], states=UP, height=7),
                    timeseries(SIGNAL["service_memory"]),
                    timeseries(SIGNAL["service_cpu"]),
                ),
            ),
            Row("Containers", _containers()),
            Row("PostgreSQL", _database()),
            Row(
                "Prometheus",
                (
                    stat(SIGNAL["prometheus_config_ok"]),
                    stat(SIGNAL["prometheus_alertmanagers"]),
                    stat(SIGNAL["prometheus_series"], trend=True),
                    timeseries(SIGNAL["prometheus_samples"], width=12, height=4, legend="list"),
                    timeseries(SIGNAL["prometheus_rule_failures"], width=8, bars=True, legend="list"),
                    timeseries(SIGNAL["prometheus_undelivered"], width=8, legend="list", empty="no alert was sent"),
                    timeseries(SIGNAL["prometheus_storage_failures"], width=8, bars=True, legend="list"),
                ),
            ),
        ),
    )


def _machines() -> tuple[Panel, ...]:
    return (
        timeseries(SIGNAL["host_cpu"], width=8, legend="list", empty=_NO_HOST),
        timeseries(SIGNAL["host_load"], width=8, legend="list", empty=_NO_HOST),
        timeseries(SIGNAL["host_memory_available"], width=8, legend="list", empty=_NO_HOST),
        timeseries(SIGNAL["host_disk_free"], width=8, empty=_NO_HOST),
        timeseries(SIGNAL["host_disk_full_in"], width=8, empty="no file system fills up"),
        timeseries(
            SIGNAL["host_disk_read"],
            Query(SIGNAL["host_disk_written"], dashed=True),
            title="Disk",
            width=8,
            legend="list",
            empty=_NO_HOST,
        ),
        timeseries(
            SIGNAL["host_network_received"],
            Query(SIGNAL["host_network_sent"], dashed=True),
            title="Network",
            legend="list",
            empty=_NO_HOST,
        ),
        stat(SIGNAL["host_clock_offset"], width=6, height=8, empty=_NO_HOST),
        stat(SIGNAL["host_uptime"], width=6, height=8, empty=_NO_HOST),
    )


def _containers() -> tuple[Panel, ...]:
    """Without the overlay `containers` nobody asks the Docker engine."""
    return (
        state_timeline(SIGNAL["container_state"], width=12, height=10, states=UP, empty=_NO_CONTAINERS),
        table(
            (
                Column("service", "Service", link=("Its logs", page_url(LOGS, {"service": cell("Service")}))),
                Column("container", "Container"),
            ),
            Query(SIGNAL["container_age"], name="Since the start"),
            Query(SIGNAL["container_memory_bytes"], name="Memory"),
            Query(SIGNAL["container_memory"], name="Of its limit"),
            Query(SIGNAL["container_processes"], name="Processes"),
            title="Containers at present",
            empty=_NO_CONTAINERS,
            sort_by="Of its limit",
            descending=True,
            width=12,
            height=10,
        ),
        timeseries(SIGNAL["container_cpu"], width=8, legend="list", empty=_NO_CONTAINERS),
        timeseries(SIGNAL["container_memory"], width=8, legend="list", empty=_NO_CONTAINERS),
        timeseries(SIGNAL["container_restarts"], width=8, bars=True, legend="list", empty=_NO_CONTAINERS),
    )


def _database() -> tuple[Panel, ...]:
    return (
        state_timeline(SIGNAL["database_up"], width=12, states=UP, empty=_NO_DATABASE),
        timeseries(SIGNAL["database_connections_used"], width=12, height=6, legend="list", empty=_NO_DATABASE),
        timeseries(SIGNAL["database_commits"], width=8, legend="list", empty=_NO_DATABASE),
        timeseries(SIGNAL["database_cache_hits"], width=8, legend="list", empty=_NO_DATABASE),
        timeseries(SIGNAL["database_transaction_age"], width=8, legend="list", empty=_NO_DATABASE),
        timeseries(SIGNAL["database_deadlocks"], bars=True, legend="list", empty=_NO_DATABASE),
        timeseries(SIGNAL["database_size"], legend="list", empty=_NO_DATABASE),
    )
