"""Signals of the page `system-infrastructure` about PostgreSQL, from the postgres exporter."""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.host.signals import PAGE
from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.exporter.catalog import Unit

_INSTANCE = ("instance",)
_DATABASE = ("instance", "datname")
_LEGEND = "{{datname}} ({{instance}})"
# What the postgres exporter tells sessions apart by, in its newest version.
_SESSION = "state, usename, application_name, backend_type, wait_event_type, wait_event, server"
_ACTIVITY = f"datname, {_SESSION}"

DATABASE_UP: Final = Signal(
    name="database_up",
    title="PostgreSQL up",
    question="Can the postgres exporter query the server?",
    expr="pg_up{<postgres>,<filter>}",
    unit=Unit.FLAG,
    dashboard=PAGE,
    by=_INSTANCE,
    over_time=False,
)

DATABASE_CONNECTIONS_USED: Final = Signal(
    name="database_connections_used",
    title="Connection utilization",
    question="What share of max_connections is in use? At 100 % nobody else can connect.",
    expr=(
        f"sum without ({_ACTIVITY}) (pg_stat_activity_count{{<postgres>,<filter>}}) "
        "/ max without (server) (pg_settings_max_connections{<postgres>,<filter>})"
    ),
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=_INSTANCE,
)

DATABASE_TRANSACTION_AGE: Final = Signal(
    name="database_transaction_age",
    title="Longest transaction",
    question="How long has the oldest open transaction of each database run? It holds back VACUUM.",
    expr=f"max without ({_SESSION}) (pg_stat_activity_max_tx_duration{{<postgres>,<filter>}})",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_DATABASE,
    legend=_LEGEND,
)

DATABASE_DEADLOCKS: Final = Signal(
    name="database_deadlocks",
    title="Deadlocks",
    question="How often did transactions deadlock, so that one was aborted?",
    expr="sum without (datid, server) (increase(pg_stat_database_deadlocks{<postgres>,<filter>}[<window>]))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_DATABASE,
    legend=_LEGEND,
    window="15m",
    over_time=False,
)

DATABASE_COMMITS: Final = Signal(
    name="database_commits",
    title="Transactions per second",
    question="How many transactions does each database commit or roll back?",
    expr="sum without (datid, server) (rate(pg_stat_database_xact_commit{<postgres>,<filter>}[<window>]))",
    unit=Unit.ANY,
    dashboard=PAGE,
    by=_DATABASE,
    legend=_LEGEND,
)

DATABASE_CACHE_HITS: Final = Signal(
    name="database_cache_hits",
    title="Buffer cache hit ratio",
    question="What share of the blocks that queries read was in PostgreSQL's buffer cache?",
    expr=(
        "sum without (datid, server) (rate(pg_stat_database_blks_hit{<postgres>,<filter>}[<window>])) / "
        "(sum without (datid, server) (rate(pg_stat_database_blks_hit{<postgres>,<filter>}[<window>])) + "
        "sum without (datid, server) (rate(pg_stat_database_blks_read{<postgres>,<filter>}[<window>])) > 0)"
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
    expr='max without (server) (pg_database_size_bytes{<postgres>,datname!~"template.*",<filter>})',
    unit=Unit.BYTES,
    dashboard=PAGE,
    by=_DATABASE,
    legend=_LEGEND,
)
