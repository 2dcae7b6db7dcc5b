"""What the demo shows, one module a part.

To add a part, write a module with a class as `tools.demo.parts.base.Part` describes it, and enter it in `PARTS`.
"""

from __future__ import annotations

from tools.demo.parts.alertlog import AlertLog
from tools.demo.parts.base import Part
from tools.demo.parts.experiments import DeclaredExperiments
from tools.demo.parts.fleet import FleetIncident
from tools.demo.parts.inference import InferenceService
from tools.demo.parts.machine import Machine
from tools.demo.parts.mlflow import MlflowStore
from tools.demo.parts.search import SearchService
from tools.demo.parts.variants import VariantSystem

# In the order in which they are prepared and shown.
PARTS: tuple[Part, ...] = (
    MlflowStore(),
    VariantSystem(),
    FleetIncident(),
    InferenceService(),
    DeclaredExperiments(),
    AlertLog(),
    Machine(),
    SearchService(),
)
