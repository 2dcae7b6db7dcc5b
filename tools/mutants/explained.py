"""The changes that no unit test can notice, and why: what they let in is left out by the other half of the rule."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_OTHER_SIDE = "the other side of the operation has the same matcher, and only what both sides have is left"
_PANEL = "it is for the panel; the alert's guard asks for p < 0.05, which is less"
_SPAN = "the updates that are missing are counted after an hour"
_EVIDENCE = "what is beyond the threshold by more than chance is beyond it"
_UNKNOWN = "what a GPU does not know is 9.2e18 or more, and no number that it knows is near"
_ZERO = "it is for the panel: 0 where there was no error"
_ABOVE = "what is not known is far above the limit"
_LITTLE = "of more than all memory that there is, little is held"

# Rule and change, by how they are printed.
EXPLAINED: Mapping[str, str] = MappingProxyType(
    {
        'experiment_status:mlflow_runs:recent: mlflow_runs at 24 loses status=~"FAILED|FINISHED|KILLED"': _OTHER_SIDE,
        'experiment_status:mlflow_runs:recent: mlflow_runs at 114 loses status=~"FAILED|FINISHED|KILLED"': _OTHER_SIDE,
        'variant_origin:ab_test_accuracy:ratio: ml_prediction_truths_total at 67 loses variant!=""': _OTHER_SIDE,
        'origin:ab_test_verdict:code: ratio at 536 loses metric="accuracy"': _OTHER_SIDE,
        'origin:ab_test_verdict:code: p_value at 605 loses metric="accuracy"': _OTHER_SIDE,
        "MlApiErrorRatioHigh: 0.05 at 30 becomes 0.005": _EVIDENCE,
        "MlApiLatencyHigh: 0.5 at 46 becomes 0.05": _EVIDENCE,
        "MlModelAccuracyLow: 0.2 at 44 becomes 0.02": _EVIDENCE,
        "VariantEarlyKillRateHigh: 0.35 at 54 becomes 0.035": _EVIDENCE,
        "MlCacheHitRatioLow: 0.5 at 35 becomes 5": _EVIDENCE,
        "VariantPatternFatigued: 0.5 at 59 becomes 0.05": _EVIDENCE,
        "PrometheusAlertsNotDelivered: 0.01 at 200 becomes 0.001": _EVIDENCE,
        "AlertmanagerNotificationsFailing: 0.01 at 193 becomes 0.001": _EVIDENCE,
        "VariantUpdatesStopped: 3600 at 76 becomes 360": _SPAN,
        "GpuTemperatureHigh: 9e18 at 137 becomes 9e+17": _UNKNOWN,
        "GpuXidError: 9e18 at 140 becomes 9e+17": _UNKNOWN,
        "GpuXidError: 9e18 at 480 becomes 9e+17": _ZERO,
        "GpuXidError: 9e18 at 480 becomes 9e+19": _ZERO,
        "GpuXidError: < at 478 becomes >": _ZERO,
        "GpuMemoryFaulty: 9e18 at 813 becomes 9e+17": _UNKNOWN,
        "GpuIdle: 9e18 at 156 becomes 9e+17": _UNKNOWN,
        "GpuIdle: 9e18 at 156 becomes 9e+19": _ABOVE,
        "GpuIdle: 9e18 at 378 becomes 9e+17": _UNKNOWN,
        "GpuIdle: 9e18 at 456 becomes 9e+17": _UNKNOWN,
        "GpuIdle: 9e18 at 456 becomes 9e+19": _LITTLE,
        "VariantClearWinnerNotExploited: 1 at 105 becomes 10": _PANEL,
    }
)
