"""Alerts on A/B experiments: a variant is worse, or the traffic is not split as intended."""

from __future__ import annotations

from ml_monitoring.alerting.experiments.signals import AB_SPLIT_P_VALUE, AB_WORSE_P_VALUE
from ml_monitoring.alerting.model.alert import Alert, Kind

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="AbTestVariantWorse",
        condition=(
            "The candidate is worse than the baseline in accuracy or errors, in <ab_test.window> or <ab_test.recent>, "
            "with a p-value below <threshold> and at least <minimum_samples> samples of each."
        ),
        signal=AB_WORSE_P_VALUE,
        comparison="<",
        absent=(
            "Only services that run an experiment have one; when the service itself is gone, "
            "MlMonitoringJobVanished fires."
        ),
        guards=("metric_origin:ab_test_trials:min >= <minimum_samples>",),
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
            "The traffic is not split as `ab_test.shares` says: p-value below <threshold> "
            "with at least <minimum_samples> requests of each variant."
        ),
        signal=AB_SPLIT_P_VALUE,
        comparison="<",
        absent=(
            "Only services that run an experiment have one; when the service itself is gone, "
            "MlMonitoringJobVanished fires."
        ),
        guards=("origin:ab_test_requests:min >= <minimum_samples>",),
        parameters={"minimum_samples": Kind.COUNT},
        summary="Sample ratio mismatch in the traffic of an experiment.",
        description=(
            "The variants{{ with $labels.origin }} ({{ . }}){{ end }} do not get the share of the traffic that they "
            "are meant to get; the chance of such a split is {{ $value | humanizePercentage }}."
        ),
    ),
)
