"""The scenarios of all alerts, a module for each domain."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tools.soundness.scenario import Scenario
from tools.soundness.scenarios import (
    containers,
    database,
    experiments,
    exporter,
    fleet,
    gpus,
    host,
    jobs,
    llm,
    logs,
    mlflow,
    monitoring,
    services,
    variants,
)

SCENARIOS: tuple[Scenario, ...] = (
    *containers.SCENARIOS,
    *database.SCENARIOS,
    *experiments.SCENARIOS,
    *exporter.SCENARIOS,
    *fleet.SCENARIOS,
    *gpus.SCENARIOS,
    *host.SCENARIOS,
    *jobs.SCENARIOS,
    *llm.SCENARIOS,
    *logs.SCENARIOS,
    *mlflow.SCENARIOS,
    *monitoring.SCENARIOS,
    *services.SCENARIOS,
    *variants.SCENARIOS,
)

_EXPERIMENTS = (
    "`.venv/bin/python -m tools.soundness.experiments` simulates whole experiments that the same inference judges"
)

# Alerts that have no scenario, and why. Every other one has one.
NOT_SIMULATED: Mapping[str, str] = MappingProxyType(
    {
        "MlMonitoringWatchdog": "it always fires by design; its receiver raises the alarm when it stops",
        "ExperimentDecided": _EXPERIMENTS,
        "ExperimentGuardrailBreached": _EXPERIMENTS,
        "ExperimentSampleRatioMismatch": _EXPERIMENTS,
        "ExperimentOverdispersed": "it is about how an experiment was declared, not about a moment that may be healthy",
        "ExperimentOverdue": "a planned end has passed or has not; chance has no part in it",
        "ExperimentUndecidable": "a metric is counted or is not; `data_within` is to be longer than its quiet hours",
        "ExperimentDataMissing": "the exporter could read the counts or could not; chance has no part in it",
        "MlJobFailed": "a run failed or it did not; chance has no part in it",
        "ExperimentNothingExposed": "its wait is to be longer than the quiet hours of the experiments that one runs",
    }
)
