"""Alerts on the collection of logs; without the overlay `logs` there is nothing that they could fire on."""

from __future__ import annotations

from ml_monitoring.alerting.logs.signals import LOG_COLLECTOR_FAILURES, LOG_LINES_LOST
from ml_monitoring.alerting.model.alert import Alert, Kind

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="LogLinesLost",
        condition=(
            "More than <threshold> log lines were dropped within 15 minutes, more than <lost_above> of those "
            "delivered, and some within the last <recent>."
        ),
        signal=LOG_LINES_LOST,
        comparison=">",
        # Lines that are too long are dropped one by one. Where nothing is sent any more, all are lost.
        guards=(
            "(sum without (host, reason, tenant) (increase(loki_write_dropped_entries_total[15m])) "
            "unless sum without (host, reason, tenant) (increase(loki_write_dropped_entries_total[15m])) "
            "<= <lost_above> * sum without (host, tenant) (increase(loki_write_sent_entries_total[15m])))",
            # What is over stays in the long window for as long.
            "sum without (host, reason, tenant) (increase(loki_write_dropped_entries_total[<recent>s])) > 0",
        ),
        parameters={"lost_above": Kind.RATIO, "recent": Kind.DURATION},
        summary="Log lines are being dropped.",
        description=(
            'Alloy {{ $labels.instance }} gave up {{ $value | printf "%.0f" }} lines in the last 15 minutes, '
            "since Loki refused them or was away for too long."
        ),
    ),
    Alert(
        name="LogCollectorFailing",
        condition="A component of Alloy's pipeline is unhealthy.",
        signal=LOG_COLLECTOR_FAILURES,
        comparison=">",
        summary="Logs are not collected as they should be.",
        description=(
            '{{ $value | printf "%.0f" }} parts of Alloy {{ $labels.instance }} are not well: logs of some or of all '
            "containers do not arrive."
        ),
    ),
)
