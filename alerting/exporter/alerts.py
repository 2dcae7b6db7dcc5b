"""Alerts on the monitoring itself: while one of these fires, silence elsewhere means nothing."""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.exporter.signals import (
    ALERT_RULES_EVALUATED,
    CONFIG_RELOAD_OK,
    EXPORTER_TARGET_UP,
    EXPORTER_UP,
    SERIES_DROPPED,
    SOURCE_AGE_INTERVALS,
    SOURCE_UP,
)
from ml_monitoring.alerting.model.alert import Alert
from ml_monitoring.alerting.monitoring.signals import TARGET_UP

# In how many of the five minutes of half a day there was a target of a job; which one it was may change.
_PRESENT: Final = "count_over_time((count without (instance) (instance:up:own))[12h:5m] offset 1h)"

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="MlMonitoringWatchdog",
        condition="Always; its receiver must raise an alarm when it stops.",
        # Not a comparison of the signal: that one counts this very alert.
        signal=ALERT_RULES_EVALUATED,
        expr="vector(1)",
        always=True,
        absent="It fires whatever is missing; when Prometheus itself is, its receiver raises the alarm.",
        summary="The alerting pipeline works end to end.",
        description=(
            "This alert always fires. Its receiver expects it every few minutes: when it stops, Prometheus or "
            "Alertmanager is down and no other alert can be delivered."
        ),
    ),
    Alert(
        name="MlMonitoringDown",
        condition="All exporters are down, or Prometheus has none to scrape.",
        signal=EXPORTER_UP,
        comparison="<",
        absent="MlMonitoringDown",
        summary="All exporters are down.",
        description=(
            "None of the targets of the job {{ $labels.job }} answered its last scrape, or none is configured. "
            "All numbers from MLflow and the other sources are missing, and alerts on them cannot fire."
        ),
    ),
    Alert(
        # One of several, or one of several that read different things; MlMonitoringDown mutes it.
        name="MlMonitoringTargetDown",
        condition="An exporter is down.",
        signal=EXPORTER_TARGET_UP,
        comparison="<",
        summary="An exporter is down.",
        description=(
            "The exporter {{ $labels.instance }} did not answer its last scrapes. What only it reads is missing."
        ),
    ),
    Alert(
        # A target that is configured and does not answer has `up` 0; of one that is no longer found nothing is left.
        name="MlMonitoringJobVanished",
        condition=(
            "Prometheus has no target any more of a job that it scraped an hour ago, and in the twelve hours before "
            "nearly as long as any job."
        ),
        signal=TARGET_UP,
        expr=(
            "count without (instance) (last_over_time(instance:up:own[2m] offset 1h))\n"
            # A batch is a target while it runs. How long Prometheus itself has run says what the other jobs were there.
            f"and {_PRESENT} > on (cluster) group_left () 0.9 * max by (cluster) ({_PRESENT})\n"
            "unless count without (instance) (instance:up:own)"
        ),
        summary="All targets of a job are gone.",
        description=(
            "An hour ago Prometheus scraped {{ $value }} targets of the job {{ $labels.job }}; now it finds none. "
            "Alerts on them cannot fire."
        ),
    ),
    Alert(
        name="MlMonitoringSourceDown",
        condition="The last refresh of a source failed.",
        signal=SOURCE_UP,
        comparison="<",
        summary="A source of the exporter is down.",
        description=(
            "The exporter {{ $labels.instance }} cannot read its source {{ $labels.source }}. It goes on trying; "
            "the source's series are withdrawn at the staleness limit, and alerts on them cannot fire."
        ),
    ),
    Alert(
        name="MlMonitoringSourceStale",
        condition="A source was last read more than <threshold> of its refresh intervals ago, without having failed.",
        signal=SOURCE_AGE_INTERVALS,
        comparison=">",
        # A source that fails is old earlier than MlMonitoringSourceDown, which waits, can mute this.
        guards=("ml_monitoring_source_up == 1",),
        summary="A source of the exporter is stale.",
        description=(
            "The exporter {{ $labels.instance }} last read its source {{ $labels.source }} "
            '{{ $value | printf "%.1f" }} refresh intervals ago. Panels show old numbers.'
        ),
    ),
    Alert(
        name="MlMonitoringSeriesDropped",
        condition="A family of metrics has more series than `max_series` allows.",
        signal=SERIES_DROPPED,
        comparison=">",
        summary="The exporter drops series above its limit.",
        description=(
            "The source {{ $labels.source }} of {{ $labels.instance }} has more series of {{ $labels.family }} than "
            "`max_series` allows. Part of it is shown nowhere, and alerts on that part cannot fire."
        ),
    ),
    Alert(
        name="MlMonitoringConfigUnusable",
        condition="The exporter could not use its settings when it last tried to reload them.",
        signal=CONFIG_RELOAD_OK,
        comparison="<",
        summary="The exporter failed to reload its settings.",
        description=(
            "The exporter {{ $labels.instance }} could not read its settings: older ones are in force, "
            "and it will not start again."
        ),
    ),
)
