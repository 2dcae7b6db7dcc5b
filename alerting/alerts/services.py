"""Alerts on instrumented services, their models and experiments."""

from __future__ import annotations

from alerting.alerts.base import Alert, Kind
from alerting.signals import BY_NAME

_SERVICE = "{{ $labels.job }}{{ with $labels.origin }} ({{ . }}){{ end }}"

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="MlApiErrorRatioHigh",
        condition="A service fails to answer more than {threshold} of its requests.",
        signal=BY_NAME["api_error_ratio"],
        comparison=">",
        summary="A service fails to answer too many requests.",
        description=f"{{{{ $value | humanizePercentage }}}} of the requests of {_SERVICE} fail.",
    ),
    Alert(
        name="MlApiLatencyHigh",
        condition="More than 5 % of the requests of a service take longer than {threshold}.",
        signal=BY_NAME["api_latency_p95"],
        comparison=">",
        summary="A service answers too slowly.",
        description=f"One request in twenty of {_SERVICE} takes longer than {{{{ $value | humanizeDuration }}}}.",
    ),
    Alert(
        name="MlApiErrorBudgetBurnsFast",
        condition=(
            "The error budget of a service's objective burns faster than `slos.page_fast` or `slos.page_slow` of "
            "`thresholds.yml` allow, in the long and in the short window."
        ),
        signal=BY_NAME["slo_page_burning"],
        comparison=">",
        summary="A service uses its error budget up within hours.",
        description=(
            f"The {{{{ $labels.slo }}}} budget of {_SERVICE} burns {{{{ $value | humanize }}}} times as fast as calls "
            "for a page."
        ),
    ),
    Alert(
        name="MlApiErrorBudgetBurnsSlowly",
        condition=(
            "The error budget of a service's objective burns faster than `slos.ticket_fast` or `slos.ticket_slow` of "
            "`thresholds.yml` allow, in the long and in the short window."
        ),
        signal=BY_NAME["slo_ticket_burning"],
        comparison=">",
        summary="A service uses its error budget up before the period ends.",
        description=(
            f"The {{{{ $labels.slo }}}} budget of {_SERVICE} burns {{{{ $value | humanize }}}} times as fast as calls "
            "for a ticket."
        ),
    ),
    Alert(
        name="MlServiceResourceHigh",
        condition="A service uses more than {threshold} of the processor, memory or disk that it may use.",
        signal=BY_NAME["api_utilization"],
        comparison=">",
        summary="A service is about to run out of a resource.",
        description=(
            f"{_SERVICE} on {{{{ $labels.instance }}}} uses {{{{ $value | humanizePercentage }}}} of its "
            "{{ $labels.resource }}."
        ),
    ),
    Alert(
        name="MlCacheHitRatioLow",
        condition="A cache answers less than {threshold} of its look-ups.",
        signal=BY_NAME["api_cache_hit_ratio"],
        comparison="<",
        summary="A cache hardly helps.",
        description=(
            f"The cache {{{{ $labels.cache }}}} of {_SERVICE} answers {{{{ $value | humanizePercentage }}}} of its "
            "look-ups."
        ),
    ),
    Alert(
        name="MlPredictionsStopped",
        condition="A service that made predictions within `traffic.recent` of `thresholds.yml` makes none now.",
        signal=BY_NAME["api_predictions_recent"],
        comparison="<",
        summary="A service makes no predictions any more.",
        description=f"{_SERVICE} made predictions a while ago and makes none now.",
    ),
    Alert(
        name="MlModelAccuracyLow",
        condition=(
            "A variant is right so much less often than its baseline (the baseline variant; for that one its run in "
            "MLflow) that it lacks more than {threshold} of the baseline's accuracy."
        ),
        signal=BY_NAME["variant_accuracy_shortfall"],
        comparison=">",
        summary="A variant is much less accurate than its baseline.",
        description=(
            "The accuracy of variant {{ $labels.variant }}{{ with $labels.origin }} ({{ . }}){{ end }} is "
            "{{ $value | humanizePercentage }} below its baseline."
        ),
    ),
    Alert(
        name="MlPredictionDrift",
        condition="The scores of a model are further than {threshold} (PSI) from those of the reference window.",
        signal=BY_NAME["model_drift"],
        comparison=">",
        summary="A model's scores have drifted.",
        description=(
            "The scores of {{ $labels.model }} {{ $labels.model_version }}, variant {{ $labels.variant }}, are "
            '{{ printf "%.2f" $value }} (PSI) from those of the reference window.'
        ),
    ),
    Alert(
        name="AbTestVariantWorse",
        condition=(
            "The candidate is worse than the baseline in accuracy or errors, with a p-value below {threshold} and at "
            "least {minimum_samples} samples of each."
        ),
        signal=BY_NAME["ab_improvement_p_value"],
        comparison="<",
        guards=(
            "metric_origin:ab_test_improvement:ratio < 0",
            "metric_origin:ab_test_trials:min >= <minimum_samples>",
        ),
        parameters={"minimum_samples": Kind.COUNT},
        summary="The candidate is worse than the baseline.",
        description=(
            "The candidate{{ with $labels.origin }} ({{ . }}){{ end }} is worse than the baseline in "
            "{{ $labels.metric }}; the chance of that without a difference is {{ $value | humanizePercentage }}."
        ),
    ),
    Alert(
        name="AbTestSampleRatioMismatch",
        condition=(
            "The traffic is not split as `ab_test.candidate_share` of `thresholds.yml` says: p-value below {threshold} "
            "with at least {minimum_samples} requests of each variant."
        ),
        signal=BY_NAME["ab_split_p_value"],
        comparison="<",
        guards=(
            "on (job, origin) "
            'sum without (metric) (metric_origin:ab_test_trials:min{metric="errors"}) >= <minimum_samples>',
        ),
        parameters={"minimum_samples": Kind.COUNT},
        summary="The traffic of the experiment is not split as meant.",
        description=(
            "The variants{{ with $labels.origin }} ({{ . }}){{ end }} do not get the share of the traffic that they "
            "are meant to get; the chance of such a split is {{ $value | humanizePercentage }}."
        ),
    ),
)
