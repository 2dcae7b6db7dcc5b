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
    host,
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
    *host.SCENARIOS,
    *logs.SCENARIOS,
    *mlflow.SCENARIOS,
    *monitoring.SCENARIOS,
    *services.SCENARIOS,
    *variants.SCENARIOS,
)

# Alerts that nothing can be simulated for, and why. Every other one has a scenario.
NOT_SIMULATED: Mapping[str, str] = MappingProxyType(
    {"MlMonitoringWatchdog": "it always fires by design; its receiver raises the alarm when it stops"}
)
