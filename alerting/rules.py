"""The rule files of Prometheus: recording rules and alerts, a group each for every topic."""

from __future__ import annotations

from typing import Any

from alerting import recording
from alerting.alerts import TOPICS, load_alerts
from alerting.alerts.base import Kind
from alerting.thresholds import Thresholds
from alerting.yamltext import Commented
from exporter.catalog import Unit


def build_recording_rules(thresholds: Thresholds) -> dict[str, Any]:
    """Return the content of `rules.yml`."""
    durations = _durations(thresholds) | thresholds.section_placeholders()
    return {
        "groups": [
            {
                "name": f"{topic}.rules",
                "rules": [Commented(record.meaning, record.rule(durations)) for record in records],
            }
            for topic, records in recording.TOPICS.items()
        ]
    }


def build_alerts(thresholds: Thresholds) -> dict[str, Any]:
    """Return the content of `alerts.yml`; disabled alerts are left out."""
    enabled = {alert.name: alert for alert in load_alerts(thresholds)}
    groups = []
    for topic, alerts in TOPICS.items():
        bound = [enabled[alert.name] for alert in alerts if alert.name in enabled]
        if bound:
            rules = [Commented(alert.condition, alert.rule) for alert in bound]
            groups.append({"name": f"{topic}.alerts", "rules": rules})
    return {"groups": groups}


def _durations(thresholds: Thresholds) -> dict[str, str]:
    """Return every duration that a recording rule may name, disabled alerts' too."""
    durations: dict[str, str] = {}
    for alert in (alert for alerts in TOPICS.values() for alert in alerts):
        numbers = thresholds.alerts[alert.name]
        if numbers.unit is Unit.SECONDS:
            durations[f"{alert.name}.threshold"] = str(numbers.threshold)
        for name, kind in alert.parameters.items():
            if kind is Kind.DURATION:
                durations[f"{alert.name}.{name}"] = str(numbers.parameters[name])
    return durations
