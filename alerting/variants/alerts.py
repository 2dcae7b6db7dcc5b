"""Alerts on variants: bad predictions, worn-out patterns, unsound experiments, and winners left unused."""

from __future__ import annotations

from ml_monitoring.alerting.model.alert import Alert, Kind
from ml_monitoring.alerting.model.evidence import Events, StandardError, Trials
from ml_monitoring.alerting.variants.signals import (
    VARIANT_EARLY_KILL_RATIO,
    VARIANT_PATTERN_FATIGUE,
    VARIANT_UPDATE_AGE,
)
from ml_monitoring.alerting.variants.variant_signals import (
    VARIANT_LEADER_TRAFFIC,
    VARIANT_PREDICTION_SHORTFALL,
    VARIANT_SPLIT_P_VALUE,
)

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="VariantEarlyKillRateHigh",
        condition=("More than <threshold> of the recently posted variants of a persona have been killed."),
        signal=VARIANT_EARLY_KILL_RATIO,
        comparison=">",
        evidence=(
            Trials("max without (instance) (variant_recent_posts)"),
            Events("max without (instance) (variant_recent_posts)", "minimum_posts", "posts"),
        ),
        parameters={"minimum_posts": Kind.COUNT},
        source="variants",
        absent=(
            "Personas without recent posts, and databases without a usable table of kills, which `check` "
            "names, have none; when the database cannot be read, MlMonitoringSourceDown fires."
        ),
        summary="Too many variants of a persona are killed early.",
        description=(
            "{{ $value | humanizePercentage }} of the recently posted variants of {{ $labels.persona }} were killed."
        ),
    ),
    Alert(
        name="VariantSampleRatioMismatch",
        condition=(
            "The views of variants of a persona that were posted together are not shared as intended: "
            "an always-valid p-value below <threshold>."
        ),
        signal=VARIANT_SPLIT_P_VALUE,
        comparison="<",
        source="variants",
        absent=(
            "Personas whose variants were not posted together, or are not all tracked, have none; when the "
            "database cannot be read, MlMonitoringSourceDown fires."
        ),
        summary="Sample ratio mismatch in the views of competing variants.",
        description=(
            "The split of views among variants of {{ $labels.persona }} that were posted together is not the intended "
            'one (p = {{ printf "%.2g" $value }}): comparisons between them are not to be trusted.'
        ),
    ),
    Alert(
        name="VariantPatternFatigued",
        condition="A pattern of a persona has a fatigue above <threshold>: it is overused, and its engagement falls.",
        signal=VARIANT_PATTERN_FATIGUE,
        comparison=">",
        evidence=(StandardError("max without (instance) (variant_pattern_fatigue_error_ratio)"),),
        source="variants",
        absent=(
            "Patterns without enough views and history have none; when the database cannot be read, "
            "MlMonitoringSourceDown fires."
        ),
        summary="A content pattern is fatigued.",
        description=(
            "The pattern {{ $labels.pattern }} of {{ $labels.persona }} has a fatigue of "
            "{{ $value | humanizePercentage }}."
        ),
    ),
    Alert(
        name="VariantFarBelowPrediction",
        condition=(
            "A variant's engagement is more than <threshold> below its prediction, with a confidence of 95 % that "
            "holds however often one looks, and with at least <minimum_views> views."
        ),
        signal=VARIANT_PREDICTION_SHORTFALL,
        comparison=">",
        guards=("max without (instance) (variant_observed_views) >= <minimum_views>",),
        parameters={"minimum_views": Kind.COUNT},
        source="variants",
        absent=(
            "Variants without a prediction or views have none; when the database cannot be read, "
            "MlMonitoringSourceDown fires."
        ),
        summary="A variant performs significantly worse than predicted.",
        description=(
            "The engagement of {{ $labels.variant }} of {{ $labels.persona }} is more than "
            "{{ $value | humanizePercentage }} below its prediction, beyond chance."
        ),
    ),
    Alert(
        name="VariantClearWinnerNotExploited",
        condition=(
            "A variant is the best of its persona (always-valid p-value below <significance>) "
            "and got less than <threshold> of the views within <window>."
        ),
        signal=VARIANT_LEADER_TRAFFIC,
        comparison="<",
        guards=("max without (instance) (variant_sequential_p_value) < <significance>",),
        parameters={"significance": Kind.COUNT, "window": Kind.DURATION},
        source="variants",
        absent=(
            "Variants without a rival or without enough views have none; when the database cannot be read, "
            "MlMonitoringSourceDown fires."
        ),
        summary="A clear winner gets too little traffic.",
        description=(
            "{{ $labels.variant }} of {{ $labels.persona }} is the best active variant, "
            "but gets only {{ $value | humanizePercentage }} of the views."
        ),
    ),
    Alert(
        name="VariantUpdatesStopped",
        condition=(
            "No figures of a persona with active variants have been updated for <threshold> or longer, in which there "
            "were <minimum_updates> updates yesterday and a week ago."
        ),
        signal=VARIANT_UPDATE_AGE,
        comparison=">",
        guards=('max without (instance, status) (variants{status="active"}) > 0',),
        # A persona with few views is updated now and then, at night and at weekends seldom.
        evidence=(Events("persona:variant_updates_missing:count", "minimum_updates", "missing updates"),),
        parameters={"minimum_updates": Kind.COUNT},
        source="variants",
        absent=(
            "A persona whose variants were never measured has no last update; when the database cannot be "
            "read, MlMonitoringSourceDown fires."
        ),
        summary="Active variants are no longer updated.",
        description=(
            "The figures of the active variants of {{ $labels.persona }} were last updated "
            "{{ $value | humanizeDuration }} ago."
        ),
    ),
)
