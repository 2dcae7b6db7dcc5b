"""Panels without numbers: text, Grafana's list of alerts, and rows of the variant tables."""

from __future__ import annotations

from typing import Any

from ml_monitoring.dashboards.lib.layout import Size
from ml_monitoring.dashboards.lib.panels.base import Panel
from ml_monitoring.dashboards.lib.panels.tables import LEAST_WIDTH, cells
from ml_monitoring.dashboards.lib.queries import Scope
from ml_monitoring.dashboards.lib.style import NO_VALUE
from ml_monitoring.dashboards.lib.upstream import grafana, plugin_panel
from ml_monitoring.dashboards.lib.variables import VARIANTS_DATASOURCE


def text(title: str, markdown: str, *, width: int = 24, height: int = 3) -> Panel:
    """Return a panel of Markdown."""

    def render(_: Scope) -> Any:
        return grafana.Text(title=title, description=title, content=markdown, mode="markdown")

    return Panel("text", title, Size(width, height), (), render)


def alert_list(title: str, description: str, *, labels: str = "", width: int = 8, height: int = 8) -> Panel:
    """Return Grafana's own list of firing and pending alerts, those of Prometheus included.

    Args:
        title: Heading.
        description: The operator's question.
        labels: Matchers such as `{team="mlops"}` that alerts must meet.
        width: Columns.
        height: Grid units.
    """
    options = {
        "viewMode": "list",
        "groupMode": "default",
        "groupBy": [],
        "maxItems": 20,
        # By importance.
        "sortOrder": 3,
        "dashboardAlerts": False,
        "alertName": "",
        "alertInstanceLabelFilter": labels,
        "stateFilter": {"firing": True, "pending": True, "noData": False, "normal": False, "error": True},
    }

    def render(_: Scope) -> Any:
        return plugin_panel("alertlist", title=title, description=description, options=options)

    return Panel("alertlist", title, Size(width, height), (), render)


def rows(title: str, description: str, sql: str, *, width: int = 24, height: int = 10, empty: str = NO_VALUE) -> Panel:
    """Return rows of the variant tables as they are; the page needs the variable `variants_datasource`."""

    def render(_: Scope) -> Any:
        return plugin_panel(
            "table",
            title=title,
            description=description,
            targets=[grafana.SqlTarget(rawSql=sql, datasource=VARIANTS_DATASOURCE, refId="A", format="table")],
            defaults={
                "custom": {
                    "align": "auto",
                    **cells("auto"),
                    "filterable": True,
                    "inspect": True,
                    "minWidth": LEAST_WIDTH,
                },
                "noValue": empty,
                "unit": "short",
            },
            overrides=[],
            options={"showHeader": True, "cellHeight": "sm"},
            transformations=[],
        )

    return Panel("table", title, Size(width, height), (), render)
