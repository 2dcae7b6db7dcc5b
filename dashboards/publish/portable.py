"""Dashboards for others, as Grafana's import dialog and grafana.com take them.

Such a file asks for its data sources (`__inputs`) and says which Grafana and which plugins it needs (`__requires`). The
data source that is chosen at import becomes the first choice of the page's data source variable, so that the page
keeps the variable.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Final

from ml_monitoring.dashboards.publish.files import Json

# The oldest Grafana that reads the schema that the dashboards are written in.
OLDEST_GRAFANA: Final = "9.4.0"
# Names that Grafana gives its own plugins; an unknown plugin is a mistake here, not there.
_PANELS: Final = {
    "alertlist": "Alert list",
    "bargauge": "Bar gauge",
    "barchart": "Bar chart",
    "gauge": "Gauge",
    "heatmap": "Heatmap",
    "histogram": "Histogram",
    "logs": "Logs",
    "piechart": "Pie chart",
    "stat": "Stat",
    "state-timeline": "State timeline",
    "status-history": "Status history",
    "table": "Table",
    "text": "Text",
    "timeseries": "Time series",
    "xychart": "XY Chart",
}
_DATASOURCES: Final = {
    "alertmanager": "Alertmanager",
    "loki": "Loki",
    # Newer versions of Grafana know the type by this name too.
    "postgres": "PostgreSQL",
    "prometheus": "Prometheus",
}


def exportable(dashboard: Json) -> Json:
    """Return a dashboard with its inputs and requirements.

    Raises:
        KeyError: If it needs a plugin that this module has no name for.
    """
    result = deepcopy(dashboard)
    found = []
    for variable in result["templating"]["list"]:
        if variable["type"] == "datasource":
            kind = variable["query"]
            found.append(kind)
            reference = f"${{{_input(kind)}}}"
            variable["current"] = {"selected": True, "text": reference, "value": reference}
    kinds = list(dict.fromkeys(found))
    panels = sorted({panel["type"] for panel in _panels(result["panels"])} - {"row"})
    # Grafana itself, then as its own export sorts: by the plugin's id.
    requires = [{"type": "grafana", "id": "grafana", "name": "Grafana", "version": OLDEST_GRAFANA}]
    requires += [{"type": "datasource", "id": kind, "name": _DATASOURCES[kind], "version": "1.0.0"} for kind in kinds]
    requires += [{"type": "panel", "id": panel, "name": _PANELS[panel], "version": ""} for panel in panels]
    return result | {
        "__inputs": [
            {
                "name": _input(kind),
                "label": _DATASOURCES[kind],
                "description": "",
                "type": "datasource",
                "pluginId": kind,
                "pluginName": _DATASOURCES[kind],
            }
            for kind in kinds
        ],
        "__elements": {},
        "__requires": sorted(requires, key=lambda plugin: plugin["id"]),
        # It is theirs from the import on.
        "editable": True,
        "id": None,
    }


def _input(kind: str) -> str:
    # A name of Grafana's own form, which is made from the data source's name.
    return f"DS_{_DATASOURCES[kind].upper()}"


def _panels(panels: list[Any]) -> Iterator[Json]:
    for panel in panels:
        yield panel
        yield from _panels(panel.get("panels") or [])
