"""Alerts on PostgreSQL: gone, out of connections, or blocked."""

from __future__ import annotations

from ml_monitoring.alerting.database.signals import (
    DATABASE_CONNECTIONS_USED,
    DATABASE_DEADLOCKS,
    DATABASE_TRANSACTION_AGE,
    DATABASE_UP,
)
from ml_monitoring.alerting.model.alert import Alert, Kind

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="DatabaseDown",
        condition="The postgres exporter cannot query the PostgreSQL server.",
        signal=DATABASE_UP,
        comparison="<",
        summary="PostgreSQL is down.",
        description=(
            "The postgres exporter {{ $labels.instance }} gets no answer from PostgreSQL. "
            "What reads or writes its databases fails."
        ),
    ),
    Alert(
        name="DatabaseConnectionsHigh",
        condition="More than <threshold> of the connections of a PostgreSQL server are in use.",
        signal=DATABASE_CONNECTIONS_USED,
        comparison=">",
        absent="DatabaseDown",
        summary="PostgreSQL is running out of connections.",
        description="{{ $value | humanizePercentage }} of the connections behind {{ $labels.instance }} are taken.",
    ),
    Alert(
        name="DatabaseTransactionLong",
        condition="A transaction has been open for more than <threshold>; dumps and vacuums may take longer.",
        signal=DATABASE_TRANSACTION_AGE,
        comparison=">",
        absent="DatabaseDown",
        # A dump is one transaction by design, and a vacuum holds nothing back. Older exporters do not have the labels.
        matchers='application_name!~"<ignored_applications>",backend_type!="autovacuum worker"',
        parameters={"ignored_applications": Kind.PATTERN},
        summary="A transaction has been open for too long.",
        description=(
            "The oldest transaction in {{ $labels.datname }} has been open for {{ $value | humanizeDuration }}: "
            "VACUUM cannot clean up behind it, and its locks block others."
        ),
    ),
    Alert(
        name="DatabaseDeadlocks",
        condition="More than <threshold> deadlocks in a database within 15 minutes.",
        signal=DATABASE_DEADLOCKS,
        comparison=">",
        absent="DatabaseDown",
        summary="Transactions deadlock.",
        description=(
            '{{ $value | printf "%.0f" }} transactions in {{ $labels.datname }} were ended '
            "in the last 15 minutes because they blocked each other."
        ),
    ),
)
