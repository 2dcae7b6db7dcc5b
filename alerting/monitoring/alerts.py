"""Alerts on Prometheus and Alertmanager themselves: what keeps other alerts from firing or from being sent."""

from __future__ import annotations

from ml_monitoring.alerting.model.alert import Alert
from ml_monitoring.alerting.model.evidence import Trials
from ml_monitoring.alerting.monitoring.signals import (
    ALERT_LOG_DAMAGED,
    ALERT_LOG_WRITABLE,
    ALERTMANAGER_CONFIG_OK,
    ALERTMANAGER_FAILED,
    PROMETHEUS_ALERTMANAGERS,
    PROMETHEUS_CONFIG_OK,
    PROMETHEUS_RULE_FAILURES,
    PROMETHEUS_STORAGE_FAILURES,
    PROMETHEUS_UNDELIVERED,
    TARGET_UP,
)

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="PrometheusTargetDown",
        condition="A scrape target is down that is neither an exporter nor a service.",
        signal=TARGET_UP,
        comparison="<",
        summary="A scrape target is down.",
        description=(
            "{{ $labels.job }} at {{ $labels.instance }} did not answer its last scrapes: it is down, "
            "or Prometheus has a wrong address. Alerts on it cannot fire."
        ),
    ),
    Alert(
        name="PrometheusConfigUnusable",
        condition="Prometheus could not use its configuration when it last tried to reload it.",
        signal=PROMETHEUS_CONFIG_OK,
        comparison="<",
        summary="Prometheus failed to reload its configuration.",
        description=(
            "Prometheus {{ $labels.instance }} could not read its configuration or rules: an older version is in "
            "force, and it will not start again."
        ),
    ),
    Alert(
        name="PrometheusRulesFailing",
        condition="More than <threshold> rule evaluations failed within 5 minutes.",
        signal=PROMETHEUS_RULE_FAILURES,
        comparison=">",
        summary="Prometheus fails to evaluate rules.",
        description=(
            '{{ $value | printf "%.0f" }} evaluations of rules failed on {{ $labels.instance }} '
            "in the last 5 minutes: the alerts among them cannot fire."
        ),
    ),
    Alert(
        name="PrometheusNoAlertmanager",
        condition="Prometheus has discovered no Alertmanager to send alerts to.",
        signal=PROMETHEUS_ALERTMANAGERS,
        comparison="<",
        # It reaches nobody by itself; panels show it, and the Watchdog stops.
        summary="Prometheus has no Alertmanager.",
        description="Prometheus {{ $labels.instance }} has no Alertmanager: no alert is sent.",
    ),
    Alert(
        name="PrometheusAlertsNotDelivered",
        condition="More than <threshold> of the alerts that Prometheus sent were not accepted by Alertmanager.",
        signal=PROMETHEUS_UNDELIVERED,
        comparison=">",
        evidence=(Trials("sum without (alertmanager) (increase(prometheus_notifications_sent_total[5m]))"),),
        summary="Prometheus fails to send alerts to Alertmanager.",
        description=(
            "{{ $value | humanizePercentage }} of the alerts that {{ $labels.instance }} sends "
            "are not taken by Alertmanager."
        ),
    ),
    Alert(
        name="PrometheusStorageFailing",
        condition="More than <threshold> TSDB writes or compactions failed within 3 hours.",
        signal=PROMETHEUS_STORAGE_FAILURES,
        comparison=">",
        summary="Prometheus cannot write its data.",
        description=(
            'Prometheus {{ $labels.instance }} failed {{ $value | printf "%.0f" }} times to write or tidy its data '
            "in the last 3 hours."
        ),
    ),
    Alert(
        name="AlertmanagerConfigUnusable",
        condition="Alertmanager could not use its configuration when it last tried to reload it.",
        signal=ALERTMANAGER_CONFIG_OK,
        comparison="<",
        summary="Alertmanager failed to reload its configuration.",
        description=(
            "Alertmanager {{ $labels.instance }} could not read its configuration: an older version is in force, "
            "and it will not start again."
        ),
    ),
    Alert(
        name="AlertmanagerNotificationsFailing",
        condition="More than <threshold> of the notifications through one kind of channel failed within 10 minutes.",
        signal=ALERTMANAGER_FAILED,
        comparison=">",
        evidence=(Trials("sum without (reason) (increase(alertmanager_notifications_total[10m]))"),),
        summary="Alertmanager fails to send notifications.",
        description=(
            "{{ $value | humanizePercentage }} of the notifications through {{ $labels.integration }} "
            "from {{ $labels.instance }} failed in the last 10 minutes."
        ),
    ),
    Alert(
        name="AlertLogNotWritable",
        condition="The alert log cannot store the notifications that it gets.",
        signal=ALERT_LOG_WRITABLE,
        comparison="<",
        summary="The alert log cannot store notifications.",
        description=(
            "The alert log {{ $labels.instance }} refuses notifications because it cannot write: "
            "Alertmanager sends them again, but not for ever."
        ),
    ),
    Alert(
        name="AlertLogDamaged",
        condition="The alert log found its database damaged and replaced it.",
        signal=ALERT_LOG_DAMAGED,
        comparison=">",
        summary="The alert log's database was damaged.",
        description=(
            'The alert log {{ $labels.instance }} keeps {{ $value | printf "%.0f" }} damaged databases beside the one '
            "that replaced them: alerts may be missing from the history."
        ),
    ),
)
