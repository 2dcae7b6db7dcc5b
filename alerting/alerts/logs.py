"""Alerts on the collection of logs; without the overlay `logs` there is nothing that they could fire on."""

from __future__ import annotations

from alerting.alerts.base import Alert
from alerting.signals import BY_NAME

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="LogLinesLost",
        condition="More than {threshold} lines of logs were given up within 15 minutes.",
        signal=BY_NAME["log_lines_lost"],
        comparison=">",
        summary="Lines of logs are lost.",
        description=(
            'Alloy {{ $labels.instance }} gave up {{ $value | printf "%.0f" }} lines in the last 15 minutes, '
            "since Loki refused them or was away for too long."
        ),
    ),
    Alert(
        name="LogCollectorFailing",
        condition="A part of Alloy's pipeline is not well.",
        signal=BY_NAME["log_collector_failures"],
        comparison=">",
        summary="Logs are not collected as they should be.",
        description=(
            '{{ $value | printf "%.0f" }} parts of Alloy {{ $labels.instance }} are not well: logs of some or of all '
            "containers do not arrive."
        ),
    ),
)
