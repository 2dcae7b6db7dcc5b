"""The rule files of Prometheus: recording rules and alerts, a group each for every topic."""

from __future__ import annotations

from typing import Any

from ml_monitoring.alerting.domains import alert_groups, is_watched, load_alerts, record_groups
from ml_monitoring.alerting.model.placeholders import fill
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.alerting.model.yamltext import Commented
from ml_monitoring.alerting.services import adapter
from ml_monitoring.alerting.services.adapters import ADAPTERS


def build_recording_rules(thresholds: Thresholds) -> dict[str, Any]:
    """Return the content of `rules.yml`."""
    values = thresholds.section_placeholders() | thresholds.scope()
    groups: list[dict[str, Any]] = [
        {
            "name": f"{topic}.rules",
            "rules": [Commented(fill(record.meaning, values), record.rule(values)) for record in records],
        }
        for topic, records in record_groups(thresholds).items()
        if is_watched(topic, thresholds)
    ]
    adapters = adapter.rules(thresholds.services, ADAPTERS)
    return {"groups": [*([{"name": "adapters.rules", "rules": adapters}] if adapters else []), *groups]}


def build_alerts(thresholds: Thresholds) -> dict[str, Any]:
    """Return the content of `alerts.yml`; disabled alerts are left out."""
    enabled = {alert.name: alert for alert in load_alerts(thresholds)}
    groups = []
    for topic, alerts in alert_groups(thresholds).items():
        bound = [enabled[alert.name] for alert in alerts if alert.name in enabled]
        if bound:
            rules = [Commented(" ".join((alert.condition, *alert.evidence)), alert.rule) for alert in bound]
            groups.append({"name": f"{topic}.alerts", "rules": rules})
    return {"groups": groups}
