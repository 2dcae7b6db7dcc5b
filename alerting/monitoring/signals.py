"""Signals about Prometheus, Alertmanager and the alert log themselves: does the monitoring work?"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.host.signals import PAGE as SYSTEM
from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.exporter.catalog import Unit

ALERTS_PAGE: Final = "ml-monitoring-alerts"
_INSTANCE = ("instance",)
_TARGET = ("job", "instance")
_TARGET_LEGEND = "{{job}} ({{instance}})"
_WHOSE = ("alertname", "severity", "team")

TARGET_UP: Final = Signal(
    name="target_up",
    title="Target status",
    question="Which targets' last scrape failed? The exporters, services and GPUs are on their own pages.",
    expr=(
        "instance:up:own{<filter>} unless up{<exporter>,<filter>} unless up{<gpus>,<filter>} "
        "unless instance:up:service{<filter>}"
    ),
    unit=Unit.FLAG,
    dashboard=SYSTEM,
    by=_TARGET,
    legend=_TARGET_LEGEND,
)

SERVICE_MEMORY: Final = Signal(
    name="service_memory",
    title="Memory by service",
    question="How much memory does each service of the stack use?",
    expr="process_resident_memory_bytes{<filter>} and instance:up:own{<filter>}",
    unit=Unit.BYTES,
    dashboard=SYSTEM,
    by=_TARGET,
    legend=_TARGET_LEGEND,
)

SERVICE_CPU: Final = Signal(
    name="service_cpu",
    title="CPU by service",
    question="What share of one core does each service of the stack use?",
    expr="rate(process_cpu_seconds_total{<filter>}[<window>]) and instance:up:own{<filter>}",
    unit=Unit.RATIO,
    dashboard=SYSTEM,
    by=_TARGET,
    legend=_TARGET_LEGEND,
)

PROMETHEUS_CONFIG_OK: Final = Signal(
    name="prometheus_config_ok",
    title="Prometheus config valid",
    question="Was the last reload of Prometheus's configuration successful, or is an older one in use?",
    expr="prometheus_config_last_reload_successful{<prometheus>,<filter>}",
    unit=Unit.FLAG,
    dashboard=SYSTEM,
    by=_INSTANCE,
    over_time=False,
)

PROMETHEUS_RULE_FAILURES: Final = Signal(
    name="prometheus_rule_failures",
    title="Rule evaluation failures",
    question="How many evaluations of rules failed? An alert whose rule fails cannot fire.",
    expr=(
        "sum without (rule_group) "
        "(increase(prometheus_rule_evaluation_failures_total{<prometheus>,<filter>}[<window>]))"
    ),
    unit=Unit.COUNT,
    dashboard=SYSTEM,
    by=_INSTANCE,
    over_time=False,
)

PROMETHEUS_ALERTMANAGERS: Final = Signal(
    name="prometheus_alertmanagers",
    title="Alertmanagers discovered",
    question="To how many Alertmanagers can Prometheus send alerts?",
    expr="prometheus_notifications_alertmanagers_discovered{<prometheus>,<filter>}",
    unit=Unit.COUNT,
    dashboard=SYSTEM,
    by=_INSTANCE,
    over_time=False,
)

PROMETHEUS_UNDELIVERED: Final = Signal(
    name="prometheus_undelivered",
    title="Alert delivery failures",
    question="What share of the alerts that Prometheus sent did Alertmanager not accept?",
    expr=(
        "sum without (alertmanager) (rate(prometheus_notifications_errors_total{<prometheus>,<filter>}[<window>])) / "
        "(sum without (alertmanager) (rate(prometheus_notifications_sent_total{<prometheus>,<filter>}[<window>])) > 0)"
    ),
    unit=Unit.RATIO,
    dashboard=SYSTEM,
    by=_INSTANCE,
    over_time=False,
)

PROMETHEUS_STORAGE_FAILURES: Final = Signal(
    name="prometheus_storage_failures",
    title="TSDB failures",
    question="How often did Prometheus fail to write, reload or compact its TSDB?",
    expr=(
        "increase(prometheus_tsdb_compactions_failed_total{<prometheus>,<filter>}[<window>]) + "
        "increase(prometheus_tsdb_wal_writes_failed_total{<prometheus>,<filter>}[<window>]) + "
        "increase(prometheus_tsdb_wal_truncations_failed_total{<prometheus>,<filter>}[<window>])"
    ),
    unit=Unit.COUNT,
    dashboard=SYSTEM,
    by=_INSTANCE,
    # Compactions come every two hours.
    window="3h",
    over_time=False,
)

PROMETHEUS_SERIES: Final = Signal(
    name="prometheus_series",
    title="Head series",
    question="How many active series does Prometheus hold in memory, and do they grow?",
    expr="prometheus_tsdb_head_series{<prometheus>,<filter>}",
    unit=Unit.COUNT,
    dashboard=SYSTEM,
    by=_INSTANCE,
)

PROMETHEUS_SAMPLES: Final = Signal(
    name="prometheus_samples",
    title="Ingested samples per second",
    question="How many samples does Prometheus ingest?",
    expr="sum without (type) (rate(prometheus_tsdb_head_samples_appended_total{<prometheus>,<filter>}[<window>]))",
    unit=Unit.ANY,
    dashboard=SYSTEM,
    by=_INSTANCE,
)

ALERTMANAGER_CONFIG_OK: Final = Signal(
    name="alertmanager_config_ok",
    title="Alertmanager config valid",
    question="Was the last reload of Alertmanager's configuration successful, or is an older one in use?",
    expr="alertmanager_config_last_reload_successful{<alertmanager>,<filter>}",
    unit=Unit.FLAG,
    dashboard=ALERTS_PAGE,
    by=_INSTANCE,
    over_time=False,
)

ALERTMANAGER_FAILED: Final = Signal(
    name="alertmanager_failed",
    title="Failed notifications",
    question="What share of the notifications could not be delivered, by kind of channel?",
    expr=(
        "sum without (reason) (rate(alertmanager_notifications_failed_total{<alertmanager>,<filter>}[<window>])) / "
        "(sum without (reason) (rate(alertmanager_notifications_total{<alertmanager>,<filter>}[<window>])) > 0)"
    ),
    unit=Unit.RATIO,
    dashboard=ALERTS_PAGE,
    by=("instance", "integration"),
    legend="{{integration}} ({{instance}})",
    window="10m",
)

ALERTMANAGER_SILENCES: Final = Signal(
    name="alertmanager_silences",
    title="Active silences",
    question="Is anything silenced, such as during maintenance?",
    expr='sum without (state) (alertmanager_silences{<alertmanager>,state="active",<filter>})',
    unit=Unit.COUNT,
    dashboard=ALERTS_PAGE,
    by=_INSTANCE,
)

ALERTS_SUPPRESSED: Final = Signal(
    name="alerts_suppressed",
    title="Suppressed alerts",
    question="How many firing alerts are suppressed, because they are silenced or inhibited?",
    expr='sum without (state) (alertmanager_alerts{<alertmanager>,state="suppressed",<filter>})',
    unit=Unit.COUNT,
    dashboard=ALERTS_PAGE,
    by=_INSTANCE,
)

_FIRING = 'ALERTS{alertstate="firing",<own_alerts>,alertname!="MlMonitoringWatchdog",<filter>}'
# What always fires shows that rules are evaluated: only beside it does it mean anything that no other alert fires.
_NONE_FIRES = (
    "0 * max by (cluster, namespace, alertname) "
    f'(ALERTS{{alertstate="firing",alertname="MlMonitoringWatchdog",<own_alerts>,<place>}}) unless on () {_FIRING}'
)


# What the alert log counts, without the Watchdog, which always fires: how soon it was notified says nothing of others.
_LOGGED: Final = '<alertlog>,severity!="none",<filter>'


def _since(matcher: str = "") -> str:
    """Return since when what alerts fire for lasts, of those that a further matcher selects."""
    selector = f'<own_alerts>,alertname!="MlMonitoringWatchdog",{matcher}<filter>'
    return f"ALERTS_FOR_STATE{{{selector}}} and ignoring (alertstate) {_FIRING}"


def _ranked(expr: str) -> str:
    """Return the expression with a label that says the order: as texts, critical comes before info and warning."""
    for rank, severity in enumerate(("critical", "warning", "info"), 1):
        expr = f'label_replace({expr}, "rank", "{rank}", "severity", "{severity}")'
    return expr


FIRING_ALERTS: Final = Signal(
    name="firing_alerts",
    title="Firing alerts",
    question="Which alerts fire at present, whose are they, and how many? "
    "It says that none fires only where the watchdog shows that rules are evaluated.",
    expr=(
        _ranked(f"count by (cluster, namespace, alertname, severity, team) ({_FIRING})")
        + f' or label_replace({_NONE_FIRES}, "rank", "4", "", "")'
    ),
    unit=Unit.COUNT,
    dashboard=ALERTS_PAGE,
    by=(*_WHOSE, "rank"),
    legend="{{alertname}}",
)

FIRING_SINCE: Final = Signal(
    name="firing_since",
    title="Active since",
    question="Since when does what they fire for last? "
    "They fire, and the alert log and notifications count, only once that has lasted for their waiting time (`for`).",
    expr=_ranked(f"min by (cluster, namespace, alertname, severity, team) ({_since()})"),
    unit=Unit.TIMESTAMP,
    dashboard=ALERTS_PAGE,
    by=(*_WHOSE, "rank"),
    legend="{{alertname}}",
)

TROUBLE_SINCE: Final = Signal(
    name="trouble_since",
    title="Active since",
    question="Since when does what the first of the worst alerts fires for last? "
    "It fires, and the alert log and notifications count, only once that has lasted for its waiting time (`for`).",
    # Of the severity that the page's state has: a warning may be older than what is critical.
    expr=" or ".join(f"min({_since(matcher)})" for matcher in ('severity="critical",', 'severity="warning",', "")),
    unit=Unit.TIMESTAMP,
    dashboard=ALERTS_PAGE,
    legend="since",
)

FIRING_BY_SEVERITY: Final = Signal(
    name="firing_by_severity",
    title="Firing alerts by severity",
    question="How many alerts of each severity fire?",
    expr=f'count by (severity) ({_FIRING}) or label_replace(max({_NONE_FIRES}), "severity", "firing", "", "")',
    unit=Unit.COUNT,
    dashboard=ALERTS_PAGE,
    by=("severity",),
)

ALERT_HISTORY: Final = Signal(
    name="alert_history",
    title="Alert timeline",
    question="Which alerts fired when, and how severe were they?",
    # By severity, so that each has a colour of its own; 3 is critical. Prometheus sorts series by their labels, so the
    # order becomes the first one.
    expr=" or ".join(
        f'label_replace({rank} * max by (alertname) ({_FIRING[:-1]},severity="{severity}"}}), '
        f'"_order", "{3 - rank}", "", "")'
        for rank, severity in ((3, "critical"), (2, "warning"), (1, "info"))
    ),
    unit=Unit.ANY,
    dashboard=ALERTS_PAGE,
    by=("_order", "alertname"),
    legend="{{alertname}}",
)

ALERT_STARTS: Final = Signal(
    name="alert_starts",
    title="Alerts fired",
    question="How often did each alert fire in the time range, the Watchdog left out?",
    expr=(
        f"sum by (cluster, namespace, alertname, severity, team) (increase(alert_starts_total{{{_LOGGED}}}[<window>]))"
    ),
    unit=Unit.COUNT,
    dashboard=ALERTS_PAGE,
    by=_WHOSE,
    legend="{{alertname}}",
    window="1d",
)

ALERT_LAST_START: Final = Signal(
    name="alert_last_start",
    title="Last fired",
    question="When did each alert last fire?",
    expr=(f"max by (cluster, namespace, alertname, severity, team) (alert_last_start_timestamp_seconds{{{_LOGGED}}})"),
    unit=Unit.TIMESTAMP,
    dashboard=ALERTS_PAGE,
    by=_WHOSE,
    legend="{{alertname}}",
)

ALERT_RESOLVE_TIME: Final = Signal(
    name="alert_resolve_time",
    title="Mean time to resolve",
    question="How long did alerts last on average, of those that ended in the time range?",
    expr=(
        "sum by (cluster, namespace, alertname, severity, team) "
        f"(increase(alert_time_to_resolve_seconds_sum{{{_LOGGED}}}[<window>])) / "
        "(sum by (cluster, namespace, alertname, severity, team) "
        f"(increase(alert_time_to_resolve_seconds_count{{{_LOGGED}}}[<window>])) > 0)"
    ),
    unit=Unit.SECONDS,
    dashboard=ALERTS_PAGE,
    by=_WHOSE,
    legend="{{alertname}}",
    window="1d",
)

ALERT_NOTIFY_P90: Final = Signal(
    name="alert_notify_p90",
    title="Time to notify (p90)",
    question="How soon after they began to fire were people notified of nine of ten alerts, the Watchdog left out?",
    expr=(
        "histogram_quantile(0.9, sum by (cluster, namespace, le) "
        f"(increase(alert_time_to_notify_seconds_bucket{{{_LOGGED}}}[<window>])))"
    ),
    unit=Unit.SECONDS,
    dashboard=ALERTS_PAGE,
    legend="p90",
    window="1d",
)

ALERT_NOTIFY_TIME: Final = Signal(
    name="alert_notify_time",
    title="Mean time to notify",
    question="How soon were people notified of each alert on average, of those that began in the time range?",
    expr=(
        "sum by (cluster, namespace, alertname, severity, team) "
        f"(increase(alert_time_to_notify_seconds_sum{{{_LOGGED}}}[<window>])) / "
        "(sum by (cluster, namespace, alertname, severity, team) "
        f"(increase(alert_time_to_notify_seconds_count{{{_LOGGED}}}[<window>])) > 0)"
    ),
    unit=Unit.SECONDS,
    dashboard=ALERTS_PAGE,
    by=_WHOSE,
    legend="{{alertname}}",
    window="1d",
)

ALERT_RESOLVE_P90: Final = Signal(
    name="alert_resolve_p90",
    title="Time to resolve (p90)",
    question="How long do nine of ten alerts take to resolve, by team?",
    expr=(
        "histogram_quantile(0.9, sum by (cluster, namespace, team, le) "
        f"(increase(alert_time_to_resolve_seconds_bucket{{{_LOGGED}}}[<window>])))"
    ),
    unit=Unit.SECONDS,
    dashboard=ALERTS_PAGE,
    by=("team",),
    window="1d",
)

ALERT_NOTIFICATIONS: Final = Signal(
    name="alert_notifications",
    title="Notifications",
    question="How many notifications did each receiver get?",
    expr=(
        "sum by (cluster, namespace, receiver, status) "
        "(increase(alert_notifications_total{<alertlog>,<filter>}[<window>]))"
    ),
    unit=Unit.COUNT,
    dashboard=ALERTS_PAGE,
    by=("receiver", "status"),
    legend="{{receiver}} {{status}}",
)

ALERT_LOG_DUPLICATES: Final = Signal(
    name="alert_log_duplicates",
    title="Duplicate notifications",
    question="How many notifications were received twice, because Alertmanager got no answer to the first?",
    expr="sum by (cluster, namespace, instance) (increase(alert_log_duplicates_total{<alertlog>,<filter>}[<window>]))",
    unit=Unit.COUNT,
    dashboard=ALERTS_PAGE,
    by=_INSTANCE,
)

ALERT_LOG_WRITABLE: Final = Signal(
    name="alert_log_writable",
    title="Alert log writable",
    question="Can the alert log store the notifications that it gets?",
    expr="alert_log_writable{<alertlog>,<filter>}",
    unit=Unit.FLAG,
    dashboard=ALERTS_PAGE,
    by=_INSTANCE,
    over_time=False,
)

ALERT_LOG_DAMAGED: Final = Signal(
    name="alert_log_damaged",
    title="Damaged alert logs kept",
    question="How many damaged databases of the alert log were replaced and wait for somebody to remove them?",
    expr="alert_log_damaged_files{<alertlog>,<filter>}",
    unit=Unit.COUNT,
    dashboard=ALERTS_PAGE,
    by=_INSTANCE,
    over_time=False,
)

ALERT_LOG_REFUSED: Final = Signal(
    name="alert_log_refused",
    title="Requests refused by the alert log",
    question="How many requests did the alert log refuse, and why?",
    expr=(
        "sum by (cluster, namespace, instance, reason) "
        "(increase(alert_log_refused_total{<alertlog>,<filter>}[<window>]))"
    ),
    unit=Unit.COUNT,
    dashboard=ALERTS_PAGE,
    by=("instance", "reason"),
    legend="{{reason}}",
)
