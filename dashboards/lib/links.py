"""Links between pages: the menu of all pages, and from a value to the page with its details."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml_monitoring.alerting.model.foreign import PLACE_LABELS
from ml_monitoring.alerting.model.links import variable
from ml_monitoring.dashboards import TAG
from ml_monitoring.dashboards.lib.upstream import grafana


def menu() -> Any:
    """Return the link menu of all pages of this project; time range and variables go along."""
    return grafana.DashboardLink(
        title="ML stack", type="dashboards", tags=[TAG], asDropdown=True, includeVars=True, keepTime=True
    )


def page_url(uid: str, variables: Mapping[str, str]) -> str:
    """Return the address of another page, with the data source, clusters and time range of this one.

    Args:
        uid: The page's uid.
        variables: Values of the labels that the page's variables narrow, in Grafana's link syntax.
    """
    narrowed = "".join(f"var-{variable(uid, name)}={value}&" for name, value in sorted(variables.items()))
    kept = "".join(f"${{{name}:queryparam}}&" for name in ("datasource", *PLACE_LABELS))
    return f"/d/{uid}?{narrowed}{kept}${{__url_time_range}}"


def cell(column: str) -> str:
    """Return the link syntax for the value that the clicked table row has in `column`."""
    return f'${{__data.fields["{column}"]:percentencode}}'


def data_link(title: str, url: str) -> dict[str, Any]:
    """Return a link for `links` of a field."""
    return {"title": title, "url": url, "targetBlank": False}
