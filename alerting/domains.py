"""The list of all domains: what each asks, records and alerts on.

To add an alert, add one entry to `alerting/<domain>/alerts.py`, its numbers to `thresholds.yml`, a runbook
`alerting/<domain>/runbooks/<AlertName>.md` and a test `tests/alerting/<domain>/<AlertName>.test.yml`; then
`make generate`. A signal or a recording rule is one entry in the domain's `signals.py` or `recording.py`. A new
module of either is listed here; rules of a group are evaluated in their order, so one may use those above it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType, ModuleType
from typing import Final

from ml_monitoring.alerting.containers import alerts as container_alerts
from ml_monitoring.alerting.containers import signals as container_signals
from ml_monitoring.alerting.database import alerts as database_alerts
from ml_monitoring.alerting.database import signals as database_signals
from ml_monitoring.alerting.experiments import alerts as experiment_alerts
from ml_monitoring.alerting.experiments import business_recording, business_signals, declared_alerts, declared_signals
from ml_monitoring.alerting.experiments import recording as experiment_recording
from ml_monitoring.alerting.experiments import signals as experiment_signals
from ml_monitoring.alerting.exporter import alerts as exporter_alerts
from ml_monitoring.alerting.exporter import recording as exporter_recording
from ml_monitoring.alerting.exporter import signals as exporter_signals
from ml_monitoring.alerting.fleet import alerts as fleet_alerts
from ml_monitoring.alerting.fleet import signals as fleet_signals
from ml_monitoring.alerting.gpus import alerts as gpu_alerts
from ml_monitoring.alerting.gpus import signals as gpu_signals
from ml_monitoring.alerting.host import alerts as host_alerts
from ml_monitoring.alerting.host import recording as host_recording
from ml_monitoring.alerting.host import signals as host_signals
from ml_monitoring.alerting.llm import alerts as llm_alerts
from ml_monitoring.alerting.llm import recording as llm_recording
from ml_monitoring.alerting.llm import signals as llm_signals
from ml_monitoring.alerting.logs import alerts as log_alerts
from ml_monitoring.alerting.logs import signals as log_signals
from ml_monitoring.alerting.mlflow import alerts as mlflow_alerts
from ml_monitoring.alerting.mlflow import (
    model_alerts,
    model_signals,
    trace_alerts,
    trace_recording,
    trace_signals,
    training_alerts,
    training_signals,
)
from ml_monitoring.alerting.mlflow import recording as mlflow_recording
from ml_monitoring.alerting.mlflow import signals as mlflow_signals
from ml_monitoring.alerting.model import thresholds as _thresholds
from ml_monitoring.alerting.model.alert import Alert, BoundAlert
from ml_monitoring.alerting.model.recording import Record
from ml_monitoring.alerting.model.scope import COMPONENTS
from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.alerting.monitoring import alerts as monitoring_alerts
from ml_monitoring.alerting.monitoring import signals as monitoring_signals
from ml_monitoring.alerting.overview import signals as overview_signals
from ml_monitoring.alerting.services import alerts as service_alerts
from ml_monitoring.alerting.services import (
    job_alerts,
    job_recording,
    job_signals,
    quality_recording,
    quality_signals,
    slo_recording,
)
from ml_monitoring.alerting.services import recording as traffic_recording
from ml_monitoring.alerting.services import signals as service_signals
from ml_monitoring.alerting.variants import alerts as variant_alerts
from ml_monitoring.alerting.variants import recording as variant_recording
from ml_monitoring.alerting.variants import signals as variant_signals
from ml_monitoring.alerting.variants import variant_signals as each_variant_signals
from ml_monitoring.exporter.catalog import Unit

_SIGNAL_MODULES: tuple[ModuleType, ...] = (
    exporter_signals,
    mlflow_signals,
    model_signals,
    trace_signals,
    training_signals,
    variant_signals,
    each_variant_signals,
    fleet_signals,
    experiment_signals,
    business_signals,
    declared_signals,
    service_signals,
    quality_signals,
    job_signals,
    llm_signals,
    gpu_signals,
    host_signals,
    container_signals,
    database_signals,
    monitoring_signals,
    log_signals,
    overview_signals,
)

ALERT_GROUPS: Mapping[str, tuple[Alert, ...]] = MappingProxyType(
    {
        "exporter": exporter_alerts.ALERTS,
        "mlflow": mlflow_alerts.ALERTS,
        "mlflow_models": model_alerts.ALERTS,
        "mlflow_traces": trace_alerts.ALERTS,
        "mlflow_training": training_alerts.ALERTS,
        "variants": variant_alerts.ALERTS,
        "fleet": fleet_alerts.ALERTS,
        "services": service_alerts.ALERTS,
        "jobs": job_alerts.ALERTS,
        "llm": llm_alerts.ALERTS,
        "experiments": experiment_alerts.ALERTS,
        "declared_experiments": declared_alerts.ALERTS,
        "host": host_alerts.ALERTS,
        "gpus": gpu_alerts.ALERTS,
        "containers": container_alerts.ALERTS,
        "database": database_alerts.ALERTS,
        "monitoring": monitoring_alerts.ALERTS,
        "logs": log_alerts.ALERTS,
    }
)

RECORD_GROUPS: Mapping[str, tuple[Record, ...]] = MappingProxyType(
    {
        "exporter": exporter_recording.RECORDS,
        "mlflow": mlflow_recording.RECORDS,
        "mlflow_traces": trace_recording.RECORDS,
        "variants": variant_recording.RECORDS,
        "traffic": traffic_recording.RECORDS,
        "quality": quality_recording.RECORDS,
        "jobs": job_recording.RECORDS,
        "llm": llm_recording.RECORDS,
        "ab_test": experiment_recording.RECORDS,
        "slo": slo_recording.RECORDS,
        "business": business_recording.RECORDS,
        "host": host_recording.RECORDS,
    }
)

# The topic of alerts and recording rules of a user's own.
EXTENSIONS: Final = "extensions"

# The Compose services whose logs tell more of a group's alerts, unless the label `job` says it; none for machines,
# whose logs are not collected.
LOGS_OF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "exporter": ("exporter",),
        "mlflow": ("exporter", "mlflow"),
        "mlflow_models": ("exporter", "mlflow"),
        "mlflow_traces": ("exporter", "mlflow"),
        "variants": ("exporter",),
        "fleet": ("exporter",),
        "declared_experiments": ("exporter",),
        "database": ("postgres",),
        "monitoring": ("prometheus", "alertmanager"),
        "logs": ("alloy", "loki"),
    }
)


# The alert that fires when what a group's alerts look at is no longer there, unless the alert itself, or its source,
# says otherwise: the exporter is gone, or what Prometheus scraped.
ALERTS_IF_ABSENT: Mapping[str, str] = MappingProxyType(
    {
        "exporter": "MlMonitoringDown",
        "containers": "MlMonitoringSourceDown",
        **dict.fromkeys(
            ("services", "llm", "experiments", "host", "database", "monitoring", "logs"),
            "MlMonitoringJobVanished",
        ),
    }
)


def _signals() -> tuple[Signal, ...]:
    """Return the signals that the modules define, each once, though some modules import others'."""
    signals: dict[str, Signal] = {}
    for module in _SIGNAL_MODULES:
        for value in vars(module).values():
            for signal in value.values() if isinstance(value, Mapping) else (value,):
                if isinstance(signal, Signal) and signals.setdefault(signal.name, signal) is not signal:
                    raise ValueError(f"two signals share the name {signal.name}; one is in {module.__name__}")
    return tuple(signals.values())


SIGNALS: tuple[Signal, ...] = _signals()
ALERTS: tuple[Alert, ...] = tuple(alert for alerts in ALERT_GROUPS.values() for alert in alerts)
RECORDS: tuple[Record, ...] = tuple(record for records in RECORD_GROUPS.values() for record in records)


def is_watched(group: str, thresholds: Thresholds) -> bool:
    """Tell whether a group's rules are made: those of a component that is switched off are not."""
    return group not in COMPONENTS or group in thresholds.watched


def alert_groups(thresholds: Thresholds) -> dict[str, tuple[Alert, ...]]:
    """Return all alerts by topic, those of the user's own included, whether they are enabled or not."""
    return {**ALERT_GROUPS, **({EXTENSIONS: thresholds.own_alerts} if thresholds.own_alerts else {})}


def record_groups(thresholds: Thresholds) -> dict[str, tuple[Record, ...]]:
    """Return all recording rules by topic, those of the user's own included, the last as they may use the others."""
    return {**RECORD_GROUPS, **({EXTENSIONS: thresholds.own_records} if thresholds.own_records else {})}


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
    scope, words = chosen.scope(), chosen.words()
    bound = (
        BoundAlert(
            alert,
            chosen.alerts[alert.name],
            chosen.links,
            scope,
            LOGS_OF.get(group, ()),
            ALERTS_IF_ABSENT.get(group, ""),
            chosen.alert_labels,
            "0s" if alert.always else chosen.alerts[alert.name].keep_firing_for or chosen.keep_firing_for,
            _words(alert, chosen) or words,
        )
        for group, alerts in alert_groups(chosen).items()
        if is_watched(group, chosen)
        for alert in alerts
    )
    return tuple(alert for alert in bound if alert.numbers.enabled)


def _words(alert: Alert, chosen: Thresholds) -> dict[str, str]:
    """Return the words of an alert that compares burn rates with a multiple of their factors; none of others."""
    times = chosen.alerts[alert.name].threshold
    if alert.signal.unit is not Unit.ANY or not isinstance(times, int | float) or times == 1:
        return {}
    return chosen.words(times)


def alerts_on(signal: Signal, thresholds: Thresholds | None = None) -> tuple[BoundAlert, ...]:
    """Return the enabled alerts that compare the signal with a threshold, for the colours of its panel."""
    alerts = load_alerts(thresholds)
    return tuple(alert for alert in alerts if alert.signal.name == signal.name and alert.comparison is not None)
