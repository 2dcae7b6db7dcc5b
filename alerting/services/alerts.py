"""Alerts on instrumented services and their models."""

from __future__ import annotations

from ml_monitoring.alerting.experiments.signals import VARIANT_ACCURACY_SHORTFALL
from ml_monitoring.alerting.model.alert import Alert, Kind
from ml_monitoring.alerting.model.evidence import Also, Events, Percentile, StandardError, Trials
from ml_monitoring.alerting.model.foreign import SERVICE_LABEL
from ml_monitoring.alerting.services.quality_signals import MODEL_DRIFT
from ml_monitoring.alerting.services.signals import (
    API_CACHE_HIT_RATIO,
    API_ERROR_RATIO,
    API_LATENCY_P95,
    API_PREDICTIONS_RECENT,
    API_UTILIZATION,
    INSTANCE_UP,
    SLO_PAGE_BURNING,
    SLO_TICKET_BURNING,
)

_SERVICE = (
    f"{{{{ $labels.job }}}}{{{{ with $labels.{SERVICE_LABEL} }}}}/{{{{ . }}}}{{{{ end }}}}"
    "{{ with $labels.origin }} ({{ . }}){{ end }}"
)


def _burns(name: str) -> str:
    """Return when somebody is notified of a budget that burns, by the two speeds of a page or a ticket."""
    fast, slow = f"slos.{name}_fast", f"slos.{name}_slow"
    return (
        "One of a service's two error budgets (<slos.availability> of its requests succeed, <slos.latency> of them "
        f"within <slos.latency_threshold>) burns at a rate above <{fast}.factor> (<slos.availability.{name}_fast> fail "
        f"or <slos.latency.{name}_fast> are late), over <{fast}.long> and over the last <{fast}.short>, or above "
        f"<{slow}.factor> (<slos.availability.{name}_slow> or <slos.latency.{name}_slow>), over <{slow}.long> and the "
        f"last <{slow}.short>, where 1 uses it up in <slos.period>, and at least <slos.minimum_{name}_failures> "
        "requests in the longer time failed the objective."
    )


_ANY_UP = "max by (cluster, namespace, job) (instance:up:service)"

ALERTS: tuple[Alert, ...] = (
    Alert(
        # What such a service would count is missing, so that none of its other alerts can fire.
        name="MlServiceDown",
        condition="No instance of a service answers.",
        signal=INSTANCE_UP,
        expr=f"{_ANY_UP} == 0",
        summary="A service is down.",
        description=(
            "No instance of {{ $labels.job }} answered its last scrapes. Its requests, errors and answers are not "
            "counted, and alerts on them end or cannot fire."
        ),
    ),
    Alert(
        name="MlServiceInstanceDown",
        condition="An instance of a service does not answer, while another one does.",
        signal=INSTANCE_UP,
        comparison="<",
        guards=(f"on (cluster, namespace, job) {_ANY_UP} == 1",),
        summary="An instance of a service is down.",
        description="{{ $labels.instance }} of {{ $labels.job }} did not answer its last scrapes; others of it did.",
    ),
    Alert(
        name="MlApiErrorRatioHigh",
        condition="More than <threshold> of the requests of a service fail.",
        signal=API_ERROR_RATIO,
        comparison=">",
        evidence=(
            Trials("origin:ml_http_requests:count"),
            Events(
                "origin:ml_http_errors:ratio * origin:ml_http_requests:count",
                "minimum_failures",
                "failed requests within <traffic.window>",
            ),
        ),
        parameters={"minimum_failures": Kind.COUNT},
        summary="The error ratio of a service is high.",
        description=f"{{{{ $value | humanizePercentage }}}} of the requests of {_SERVICE} fail.",
    ),
    Alert(
        name="MlApiLatencyHigh",
        condition="More than 5 % of the requests of a service take longer than <threshold>.",
        signal=API_LATENCY_P95,
        comparison=">",
        evidence=(
            Percentile(
                "origin:ml_http_requests_timed:count", "le_origin:ml_http_request_duration_seconds_bucket:rate", 95
            ),
        ),
        summary="The latency of a service is high.",
        description=f"One request in twenty of {_SERVICE} takes longer than {{{{ $value | humanizeDuration }}}}.",
    ),
    Alert(
        name="MlApiErrorBudgetBurnsFast",
        condition=_burns("page"),
        signal=SLO_PAGE_BURNING,
        comparison=">",
        summary="A service will exhaust its error budget within hours.",
        description=(
            f"The {{{{ $labels.slo }}}} budget of {_SERVICE} burns {{{{ $value | humanize }}}} times as fast as calls "
            "for a page."
        ),
    ),
    Alert(
        name="MlApiErrorBudgetBurnsSlowly",
        condition=_burns("ticket"),
        signal=SLO_TICKET_BURNING,
        comparison=">",
        summary="A service will exhaust its error budget before the period ends.",
        description=(
            f"The {{{{ $labels.slo }}}} budget of {_SERVICE} burns {{{{ $value | humanize }}}} times as fast as calls "
            "for a ticket."
        ),
    ),
    Alert(
        name="MlServiceResourceHigh",
        condition="A service uses more than <threshold> of its CPU, memory or disk limit.",
        signal=API_UTILIZATION,
        comparison=">",
        absent=("A resource without a limit has none; when the service itself is gone, MlMonitoringJobVanished fires."),
        summary="A service is close to a resource limit.",
        description=(
            f"{_SERVICE} on {{{{ $labels.instance }}}} uses {{{{ $value | humanizePercentage }}}} of its "
            "{{ $labels.resource }}."
        ),
    ),
    Alert(
        name="MlCacheHitRatioLow",
        condition="The hit ratio of a cache is below <threshold>.",
        signal=API_CACHE_HIT_RATIO,
        comparison="<",
        absent=(
            "Services without a cache or lookups have none; when the service itself is gone, "
            "MlMonitoringJobVanished fires."
        ),
        evidence=(Trials("cache_origin:ml_cache_requests:count"),),
        summary="The hit ratio of a cache is low.",
        description=(
            f"The cache {{{{ $labels.cache }}}} of {_SERVICE} answers {{{{ $value | humanizePercentage }}}} of its "
            "lookups."
        ),
    ),
    Alert(
        name="MlPredictionsStopped",
        condition=(
            "A service makes no predictions within <traffic.window> or <traffic.recent>, though it "
            "made some at these hours one week ago and, where it is that old, two weeks ago."
        ),
        signal=API_PREDICTIONS_RECENT,
        comparison="<",
        evidence=(
            Events("origin:ml_predictions:missing", "minimum_missing", "predictions that were usual at these hours"),
        ),
        parameters={"minimum_missing": Kind.COUNT},
        absent="MlPredictionsStopped",
        summary="A service has stopped making predictions.",
        description=f"{_SERVICE} makes no predictions, at an hour at which it usually does.",
    ),
    Alert(
        name="MlModelAccuracyLow",
        condition=(
            "A variant is right so much less often than its baseline (the baseline variant; for that one its run in "
            "MLflow) that it lacks more than <threshold> of the baseline's accuracy."
        ),
        signal=VARIANT_ACCURACY_SHORTFALL,
        comparison=">",
        absent=(
            "Variants whose truth is not reported have none; when the service itself is gone, "
            "MlMonitoringJobVanished fires."
        ),
        evidence=(StandardError("variant_origin:ab_test_accuracy:shortfall_error"),),
        summary="A variant is much less accurate than its baseline.",
        description=(
            "The accuracy of variant {{ $labels.variant }}{{ with $labels.origin }} ({{ . }}){{ end }} is "
            "{{ $value | humanizePercentage }} below its baseline."
        ),
    ),
    Alert(
        name="MlPredictionDrift",
        condition="The scores of a model are further than <threshold> (PSI) from those of the reference window.",
        signal=MODEL_DRIFT,
        comparison=">",
        absent=(
            "Models without a baseline or enough predictions have none; when the service itself is gone, "
            "MlMonitoringJobVanished fires."
        ),
        evidence=(
            Also(
                "model_version_variant_origin:ml_prediction_scores:same_hours_psi",
                "The distance from the same hours a day before and a week before, where there were any,",
            ),
        ),
        summary="A model's scores have drifted.",
        description=(
            "The scores of {{ $labels.model }} {{ $labels.model_version }}, variant {{ $labels.variant }}, are "
            '{{ printf "%.2f" $value }} (PSI) from those of the reference window.'
        ),
    ),
)
