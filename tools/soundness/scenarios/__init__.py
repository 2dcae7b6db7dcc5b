"""The scenarios of all alerts, a module for each domain."""

from __future__ import annotations

from tools.soundness.scenario import Scenario
from tools.soundness.scenarios import experiments, fleet, mlflow, services

SCENARIOS: tuple[Scenario, ...] = (
    *services.SCENARIOS,
    *experiments.SCENARIOS,
    *fleet.SCENARIOS,
    *mlflow.SCENARIOS,
)
