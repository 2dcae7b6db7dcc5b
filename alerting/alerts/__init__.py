"""Alerts: each compares a signal with a number from `thresholds.yml`.

To add an alert, add one entry to the module of its topic, its numbers to `thresholds.yml`, a runbook
`alerting/runbooks/<AlertName>.md` and a test `tests/alerting/<AlertName>.test.yml`; then `make generate`.
To add a topic, add a module with a tuple and list it in `TOPICS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from alerting import thresholds as _thresholds
from alerting.alerts import (
    containers,
    database,
    exporter,
    fleet,
    host,
    logs,
    mlflow,
    mlflow_models,
    mlflow_traces,
    monitoring,
    services,
    variants,
)
from alerting.alerts.base import Alert, BoundAlert
from alerting.thresholds import Thresholds

__all__ = ["ALERTS", "TOPICS", "Alert", "BoundAlert", "for_signal", "load_alerts", "load_thresholds"]

TOPICS: Mapping[str, tuple[Alert, ...]] = MappingProxyType(
    {
        "exporter": exporter.ALERTS,
        "mlflow": mlflow.ALERTS,
        "mlflow_models": mlflow_models.ALERTS,
        "mlflow_traces": mlflow_traces.ALERTS,
        "variants": variants.ALERTS,
        "fleet": fleet.ALERTS,
        "services": services.ALERTS,
        "host": host.ALERTS,
        "containers": containers.ALERTS,
        "database": database.ALERTS,
        "monitoring": monitoring.ALERTS,
        "logs": logs.ALERTS,
    }
)

# The Compose services whose logs tell more of a topic's alerts, unless the label `job` says it; none for machines,
# whose logs are not collected.
LOGS_OF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "exporter": ("exporter",),
        "mlflow": ("exporter", "mlflow"),
        "mlflow_models": ("exporter", "mlflow"),
        "mlflow_traces": ("exporter", "mlflow"),
        "variants": ("exporter",),
        "fleet": ("exporter",),
        "database": ("postgres",),
        "monitoring": ("prometheus", "alertmanager"),
        "logs": ("alloy", "loki"),
    }
)

ALERTS: tuple[Alert, ...] = tuple(alert for alerts in TOPICS.values() for alert in alerts)


@cache
def _default_thresholds() -> Thresholds:
    return _thresholds.read(ALERTS)


def load_thresholds() -> Thresholds:
    """Return what the project's own `thresholds.yml` says, read once.

    Raises:
        ConfigError: The file cannot be used.
    """
    return _default_thresholds()


def load_alerts(thresholds: Thresholds | None = None) -> tuple[BoundAlert, ...]:
    """Return the enabled alerts with their numbers.

    Args:
        thresholds: The numbers; by default the project's own.

    Raises:
        ConfigError: The project's own `thresholds.yml` cannot be used.
    """
    chosen = thresholds or load_thresholds()
    bound = (
        BoundAlert(alert, chosen.alerts[alert.name], chosen.links, LOGS_OF.get(topic, ()))
        for topic, alerts in TOPICS.items()
        for alert in alerts
    )
    return tuple(alert for alert in bound if alert.numbers.enabled)


def for_signal(name: str, thresholds: Thresholds | None = None) -> tuple[BoundAlert, ...]:
    """Return the enabled alerts that compare the signal with a threshold, for the colours of its panel."""
    alerts = load_alerts(thresholds)
    return tuple(alert for alert in alerts if alert.signal.name == name and alert.comparison is not None)
