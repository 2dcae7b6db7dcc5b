"""Signals of the page `logs`: are logs collected?

What they say is asked of Loki itself, see `dashboards/pages/logs.py`.
"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.exporter.catalog import Unit

PAGE: Final = "ml-monitoring-logs"
_INSTANCE = ("instance",)
_TARGET = ("job", "instance")
_PARTS = "sum without (controller_id, controller_path, health_type) (alloy_component_controller_running_components"

LOG_SERVICES_UP: Final = Signal(
    name="log_services_up",
    title="Loki and Alloy up",
    question="Are Loki and Alloy up? Without the overlay `logs` there are none.",
    expr="up{<logs>,<filter>}",
    unit=Unit.FLAG,
    dashboard=PAGE,
    by=_TARGET,
    legend="{{job}}",
)

LOG_LINES_KEPT: Final = Signal(
    name="log_lines_kept",
    title="Log lines per second",
    question="How many lines does Loki ingest?",
    expr="sum without (format, is_internal_stream, policy, tenant) "
    "(rate(loki_distributor_lines_received_total{<logs>,<filter>}[<window>]))",
    unit=Unit.ANY,
    dashboard=PAGE,
    by=_INSTANCE,
)

LOG_LINES_LOST: Final = Signal(
    name="log_lines_lost",
    title="Dropped log lines (15m)",
    question="How many lines did Alloy drop, because Loki rejected them or was down for too long?",
    expr="sum without (host, reason, tenant) (increase(loki_write_dropped_entries_total{<logs>,<filter>}[<window>]))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_INSTANCE,
    window="15m",
)

LOG_COLLECTOR_FAILURES: Final = Signal(
    name="log_collector_failures",
    title="Unhealthy Alloy components",
    question="Is every component of Alloy's pipeline healthy: discovery, reading, levels, sending?",
    # Alloy counts only the states that there are.
    expr=(f'{_PARTS}{{<logs>,health_type!="healthy",<filter>}}) or 0 * {_PARTS}{{<logs>,<filter>}})'),
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_INSTANCE,
    over_time=False,
)
