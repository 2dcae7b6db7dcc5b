"""Alerts on declared experiments: what harms, what cannot be believed, what is decided, and what was forgotten."""

from __future__ import annotations

from ml_monitoring.alerting.experiments.declared_signals import (
    EXPERIMENT_DECIDED,
    EXPERIMENT_DECISION,
    EXPERIMENT_GUARDRAIL,
    EXPERIMENT_OVERDISPERSED,
    EXPERIMENT_OVERDUE,
    EXPERIMENT_SILENCE,
    EXPERIMENT_SPLIT_P_VALUE,
    EXPERIMENT_UP,
    EXPOSED,
    RUNNING,
)
from ml_monitoring.alerting.model.alert import Alert

_ABSENT = (
    "Experiments whose counts cannot be read have none: ExperimentDataMissing fires for those; when none can be read, "
    "MlMonitoringSourceDown fires."
)

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="ExperimentGuardrailBreached",
        condition=(
            "An arm of a running experiment is worse than its baseline by more than the margin of a guardrail, "
            "by an interval that holds at all times."
        ),
        signal=EXPERIMENT_GUARDRAIL,
        comparison=">",
        guards=(RUNNING,),
        source="experiments",
        absent=_ABSENT,
        summary="An experiment breaches a guardrail.",
        description=(
            '{{ $labels.arm }} of experiment "{{ $labels.experiment }}" is worse than the baseline '
            "in {{ $labels.metric }}, by more "
            "than the margin of this guardrail."
        ),
    ),
    Alert(
        name="ExperimentSampleRatioMismatch",
        condition=(
            "The units of a running experiment are not put into arms as declared: an always-valid p-value below "
            "<threshold>."
        ),
        signal=EXPERIMENT_SPLIT_P_VALUE,
        comparison="<",
        guards=(RUNNING,),
        source="experiments",
        absent=_ABSENT,
        summary="Sample ratio mismatch in an experiment.",
        description=(
            'Traffic of experiment "{{ $labels.experiment }}" is not split as intended '
            '(p = {{ printf "%.2g" $value }}): fix that first, until then no comparison can be trusted.'
        ),
    ),
    Alert(
        name="ExperimentDecided",
        condition="A running experiment is decided: an arm is better or worse, or none differs by what is of interest.",
        signal=EXPERIMENT_DECIDED,
        comparison=">",
        guards=(RUNNING,),
        source="experiments",
        absent=_ABSENT,
        summary="An experiment is decided.",
        description='Experiment "{{ $labels.experiment }}" is decided: what it says is on its page. It can be ended.',
    ),
    Alert(
        name="ExperimentOverdue",
        condition="An experiment is still running more than <threshold> after its planned end.",
        signal=EXPERIMENT_OVERDUE,
        comparison=">",
        guards=(RUNNING,),
        source="experiments",
        absent="Experiments without a planned end have none; when none can be read, MlMonitoringSourceDown fires.",
        summary="An experiment runs longer than planned.",
        description='Experiment "{{ $labels.experiment }}" should have ended {{ $value | humanizeDuration }} ago.',
    ),
    Alert(
        name="ExperimentNothingExposed",
        condition="Nothing was put into any arm of a running experiment for more than <threshold>.",
        signal=EXPERIMENT_SILENCE,
        comparison=">",
        guards=(RUNNING,),
        source="experiments",
        absent=_ABSENT,
        summary="An experiment exposes nothing.",
        description=(
            'Nothing was counted in any arm of experiment "{{ $labels.experiment }}" for '
            "{{ $value | humanizeDuration }}."
        ),
    ),
    Alert(
        name="ExperimentUndecidable",
        condition=(
            "A running experiment cannot be decided as it is counted: an arm, a goal or a guardrail has no data, or "
            "what is counted is not what is randomised."
        ),
        signal=EXPERIMENT_DECISION,
        comparison=">",
        matchers='decision=~"no data|unanswerable"',
        # Where nothing is exposed at all, ExperimentNothingExposed fires.
        guards=(RUNNING, EXPOSED),
        source="experiments",
        absent=_ABSENT,
        summary="An experiment cannot be decided.",
        description='Experiment "{{ $labels.experiment }}" cannot be decided as it is counted. {{ $labels.reason }}.',
    ),
    Alert(
        name="ExperimentDataMissing",
        condition="The counts of an experiment cannot be read.",
        signal=EXPERIMENT_UP,
        comparison="<",
        source="experiments",
        summary="The counts of an experiment cannot be read.",
        description=(
            'The counts of experiment "{{ $labels.experiment }}" cannot be read; the exporter\'s '
            "landing page and its log say why."
        ),
    ),
    Alert(
        name="ExperimentOverdispersed",
        condition=(
            "A metric of a running experiment varies more than independent trials do, as when one process fails."
        ),
        signal=EXPERIMENT_OVERDISPERSED,
        comparison=">",
        guards=(RUNNING,),
        source="experiments",
        absent=_ABSENT,
        summary="A metric of an experiment is overdispersed.",
        description=(
            '{{ $labels.metric }} of experiment "{{ $labels.experiment }}" ({{ $labels.arm }}) '
            "varies more than independent trials "
            "do. Its interval allows for that, and is wider."
        ),
    ),
)
