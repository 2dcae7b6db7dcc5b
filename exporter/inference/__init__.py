"""Inference on experiments that may be looked at at any time: lifts with intervals, decisions, splits, power.

Sums of batches go into states of bounded size (`MetricState`, `SplitState`), in time order; what they say is asked at
any time (`decide`). Nothing here knows of metrics, settings or databases; it imports nothing but the standard library,
and every formula names its source.
"""

from __future__ import annotations

from ml_monitoring.exporter.inference.batches import ArmCounts, Batch, Sums
from ml_monitoring.exporter.inference.decision import ArmFinding, ExperimentDecision, Finding, Objective, decide
from ml_monitoring.exporter.inference.lift import Dispersion, EffectKind, Lift
from ml_monitoring.exporter.inference.metric import MetricDesign, MetricState
from ml_monitoring.exporter.inference.planning import PowerLeft, power_left, samples_needed
from ml_monitoring.exporter.inference.ranking import ArmRank, rank
from ml_monitoring.exporter.inference.split import SplitReport, SplitState

__all__ = [
    "ArmCounts",
    "ArmFinding",
    "ArmRank",
    "Batch",
    "Dispersion",
    "EffectKind",
    "ExperimentDecision",
    "Finding",
    "Lift",
    "MetricDesign",
    "MetricState",
    "Objective",
    "PowerLeft",
    "SplitReport",
    "SplitState",
    "Sums",
    "decide",
    "power_left",
    "rank",
    "samples_needed",
]
