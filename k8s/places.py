"""Where the committed chart and base are, and what their names are; light to import."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).resolve().parent
# Of an installed program only the templates and values of the chart are there, which every chart is made with.
CHART: Final = _FOLDER / "chart" / "ml-monitoring"
BASE: Final = _FOLDER / "base"
# The kustomization that makes ConfigMaps of the committed dashboards, from the base.
DASHBOARDS: Final = "../../dashboards/generated"
NAMESPACE: Final = "ml-monitoring"
