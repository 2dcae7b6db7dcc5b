"""The rule files of Prometheus: recording rules and alerts, a group each for every topic."""

from __future__ import annotations

from typing import Any

from ml_monitoring.alerting.domains import ALERT_GROUPS, ALERTS, RECORD_GROUPS, is_watched, load_alerts
from ml_monitoring.alerting.model.alert import Kind
from ml_monitoring.alerting.model.placeholders import fill
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.alerting.model.yamltext import Commented
from ml_monitoring.exporter.catalog import Unit


def build_recording_rules(thresholds: Thresholds) -> dict[str, Any]:
    """Return the content of `rules.yml`."""
    values = _durations(thresholds) | thresholds.section_placeholders() | thresholds.scope()
    return {
        "groups": [
            {
                "name": f"{topic}.rules",
                "rules": [Commented(fill(record.meaning, values), record.rule(values)) for record in records],
            }
            for topic, records in RECORD_GROUPS.items()
            if is_watched(topic, thresholds)
        ]
    }


def build_alerts(thresholds: Thresholds) -> dict[str, Any]:
    """Return the content of `alerts.yml`; disabled alerts are left out."""
    enabled = {alert.name: alert for alert in load_alerts(thresholds)}
    groups = []
    for topic, alerts in ALERT_GROUPS.items():
        bound = [enabled[alert.name] for alert in alerts if alert.name in enabled]
        if bound:
            rules = [Commented(" ".join((alert.condition, *alert.evidence)), alert.rule) for alert in bound]
            groups.append({"name": f"{topic}.alerts", "rules": rules})
    return {"groups": groups}


def _durations(thresholds: Thresholds) -> dict[str, str]:
    """Return every duration that a recording rule may name, disabled alerts' too."""
    durations: dict[str, str] = {}
    for alert in ALERTS:
        numbers = thresholds.alerts[alert.name]
        if numbers.unit is Unit.SECONDS:
            durations[f"{alert.name}.threshold"] = str(numbers.threshold)
        for name, kind in alert.parameters.items():
            if kind is Kind.DURATION:
                durations[f"{alert.name}.{name}"] = str(numbers.parameters[name])
    return durations
