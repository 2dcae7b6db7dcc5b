"""Signals of the page `system-infrastructure` about PostgreSQL, from the postgres exporter."""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.host.signals import PAGE
from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.exporter.catalog import Unit

_INSTANCE = ("instance",)
_DATABASE = ("instance", "datname")
_LEGEND = "{{datname}} ({{instance}})"

DATABASE_UP: Final = Signal(
    name="database_up",
    title="PostgreSQL answers",
    question="Can the postgres exporter ask the server?",
    expr="pg_up",
    unit=Unit.FLAG,
    dashboard=PAGE,
    by=_INSTANCE,
)

DATABASE_CONNECTIONS_USED: Final = Signal(
    name="database_connections_used",
    title="Connections in use",
    question="What share of the server's connections is taken? At 1 nobody else can connect.",
    expr=("sum by (job, instance) (pg_stat_activity_count) / max by (job, instance) (pg_settings_max_connections)"),
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=_INSTANCE,
)

DATABASE_TRANSACTION_AGE: Final = Signal(
    name="database_transaction_age",
    title="Longest transaction",
    question="How long has the oldest open transaction of each database run? It keeps VACUUM from its work.",
    expr="max by (job, instance, datname) (pg_stat_activity_max_tx_duration)",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_DATABASE,
    legend=_LEGEND,
)

DATABASE_DEADLOCKS: Final = Signal(
    name="database_deadlocks",
    title="Deadlocks",
    question="How often did transactions block each other until one was ended?",
    expr="sum by (job, instance, datname) (increase(pg_stat_database_deadlocks[<window>]))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_DATABASE,
    legend=_LEGEND,
    window="15m",
)

DATABASE_COMMITS: Final = Signal(
    name="database_commits",
    title="Transactions per second",
    question="How much work does each database do?",
    expr="sum by (job, instance, datname) (rate(pg_stat_database_xact_commit[<window>]))",
    unit=Unit.ANY,
    dashboard=PAGE,
    by=_DATABASE,
    legend=_LEGEND,
)

DATABASE_CACHE_HITS: Final = Signal(
    name="database_cache_hits",
    title="Read from memory",
    question="What share of the blocks that queries read was in PostgreSQL's own memory?",
    expr=(
        "sum by (job, instance, datname) (rate(pg_stat_database_blks_hit[<window>])) / "
        "(sum by (job, instance, datname) (rate(pg_stat_database_blks_hit[<window>])) + "
        "sum by (job, instance, datname) (rate(pg_stat_database_blks_read[<window>])) > 0)"
    ),
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=_DATABASE,
    legend=_LEGEND,
)

DATABASE_SIZE: Final = Signal(
    name="database_size",
    title="Database size",
    question="How large is each database, and how fast does it grow?",
    expr='max by (job, instance, datname) (pg_database_size_bytes{datname!~"template.*"})',
    unit=Unit.BYTES,
    dashboard=PAGE,
    by=_DATABASE,
    legend=_LEGEND,
)
