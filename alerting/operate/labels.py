"""Which labels alerts have, for those who type some."""

from __future__ import annotations

from ml_monitoring.alerting.domains import alert_groups
from ml_monitoring.alerting.model.foreign import TARGET_LABELS
from ml_monitoring.alerting.model.thresholds import Thresholds


def label_names(thresholds: Thresholds) -> tuple[str, ...]:
    """Return the names of all labels that alerts of ours can have; first those that decide where one goes."""
    of_alerts = {label for alerts in alert_groups(thresholds).values() for alert in alerts for label in alert.signal.by}
    first = ("alertname", "severity", "team", "source", "action", *thresholds.alert_labels)
    return tuple(dict.fromkeys((*first, *sorted(TARGET_LABELS | of_alerts))))


def alert_names(thresholds: Thresholds) -> tuple[str, ...]:
    """Return the names of all alerts of ours, those that are switched off included."""
    return tuple(alert.name for alerts in alert_groups(thresholds).values() for alert in alerts)
