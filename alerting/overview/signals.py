"""Signals of the page `operations-overview`: a traffic light for each domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.exporter.catalog import Unit

PAGE: Final = "ml-monitoring-operations-overview"

# Domain: how its alerts' names begin, and what shows that the domain is in use.
_DOMAINS: tuple[tuple[str, str, str, str], ...] = (
    ("exporter", "Exporter", "MlMonitoring", "up{<exporter>,<filter>}"),
    ("mlflow", "MLflow", "Mlflow", 'ml_monitoring_source_up{source="mlflow",<filter>}'),
    ("variants", "Variants", "Variant", 'ml_monitoring_source_up{source="variants",<filter>}'),
    ("fleet", "Fleet", "Fleet", 'ml_monitoring_source_up{source="fleet",<filter>}'),
    ("services", "Services", "Ml(Api|Service|Cache|Prediction|Model)", "ml_process_start_timestamp_seconds{<filter>}"),
    ("experiments", "A/B tests", "AbTest", "ab_test_model_accuracy{<filter>}"),
    ("hosts", "Hosts", "Host", "node_memory_MemTotal_bytes{<node>,<filter>}"),
    ("databases", "PostgreSQL", "Database", "pg_up{<postgres>,<filter>}"),
    ("monitoring", "Monitoring", "(Prometheus|Alertmanager)", "up{<prometheus>,<filter>}"),
)


def _light(names: str, in_use: str) -> str:
    def firing(severity: str) -> str:
        return f'max(ALERTS{{alertstate="firing",severity="{severity}",alertname=~"{names}.+",<own_alerts>,<filter>}})'

    # `or` keeps the first that there is, so that the loudest decides.
    return f"3 * {firing('critical')} or 2 * {firing('warning')} or {firing('info')} or 0 * max({in_use})"


HEALTH: Final[Mapping[str, Signal]] = {
    key: Signal(
        name=f"health_{key}",
        title=title,
        question=f"Does an alert of the domain {title} fire, and what is the highest severity?",
        expr=_light(names, in_use),
        unit=Unit.COUNT,
        dashboard=PAGE,
        legend=title,
    )
    for key, title, names, in_use in _DOMAINS
}

DATA_AGE: Final = Signal(
    name="data_age",
    title="Data age",
    question="How old is the data of each source?",
    expr="max by (cluster, namespace, source) (time() - ml_monitoring_source_last_success_timestamp_seconds{<filter>})",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=("source",),
)

TARGETS_DOWN: Final = Signal(
    name="targets_down",
    title="Targets down",
    question="How many scrape targets are down?",
    expr="count(instance:up:own{<filter>} == 0) or 0 * count(instance:up:own{<filter>})",
    unit=Unit.COUNT,
    dashboard=PAGE,
    legend="down",
)
