"""Links between pages: the menu of all pages, and from a value to the page with its details."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from ml_monitoring.alerting.model.foreign import PLACE_LABELS, STORE_LABEL
from ml_monitoring.alerting.model.links import variable
from ml_monitoring.dashboards import TAG
from ml_monitoring.dashboards.lib.upstream import grafana

# Where the address of a page has the choice of stores and services: that of the page with the link, or of a row.
_CHOSEN, _OF_ROW = "${chosen}", "${store_of_row}"
_TO_PAGE = re.compile(r"(/d/([\w-]+)\?\S*?)(\$\{(?:chosen|store_of_row)\})")


def menu() -> Any:
    """Return the link menu of all pages of this project; time range and variables go along."""
    return grafana.DashboardLink(
        title="ML stack", type="dashboards", tags=[TAG], asDropdown=True, includeVars=True, keepTime=True
    )


def way_back(title: str, uid: str) -> Any:
    """Return the link to the page that led here; time range and variables go along."""
    return grafana.DashboardLink(
        title=title,
        type="link",
        uri=f"/d/{uid}",
        icon="doc",
        includeVars=True,
        keepTime=True,
        tooltip=f"Back to {title}",
    )


def outside(title: str, url: str) -> Any:
    """Return a link at the top to an address of the user's own; the time range goes along to other pages."""
    return grafana.DashboardLink(
        title=title, type="link", uri=url, icon="external link", keepTime=url.startswith("/d/")
    )


def page_url(uid: str, variables: Mapping[str, str]) -> str:
    """Return the address of another page, with the data source, clusters, stores, service and time range of this one.

    Args:
        uid: The page's uid.
        variables: Values of the labels that the page's variables narrow, in Grafana's link syntax.
    """
    narrowed = "".join(f"var-{variable(uid, name)}={value}&" for name, value in sorted(variables.items()))
    kept = "".join(f"${{{name}:queryparam}}&" for name in ("datasource", *PLACE_LABELS))
    return f"/d/{uid}?{narrowed}{kept}{_CHOSEN}${{__url_time_range}}"


def to_store_of_row(link: dict[str, Any]) -> dict[str, Any]:
    """Return a link of a table's column that leads to the store in the row, not to those that the page shows."""
    return {**link, "url": link["url"].replace(_CHOSEN, _OF_ROW)}


def with_chosen(thing: Any, chosen: Collection[str], pages: Mapping[str, Collection[str]]) -> Any:
    """Return JSON whose addresses of pages hand on which stores and services are chosen.

    Args:
        thing: Any part of a dashboard.
        chosen: The variables by which its page chooses them.
        pages: Those of all pages by uid.
    """
    if isinstance(thing, dict):
        return {key: with_chosen(each, chosen, pages) for key, each in thing.items()}
    if isinstance(thing, list):
        return [with_chosen(each, chosen, pages) for each in thing]
    if not isinstance(thing, str):
        return thing

    def handed_on(found: re.Match[str]) -> str:
        address, page, place = found.groups()
        row = cell(STORE_LABEL.capitalize())
        values = (
            f"var-{name}={row}&"
            if place == _OF_ROW and name.endswith(f"_{STORE_LABEL}")
            else f"${{{name}:queryparam}}&"
            for name in chosen
            if name in pages.get(page, ())
        )
        return address + "".join(values)

    return _TO_PAGE.sub(handed_on, thing)


def cell(column: str) -> str:
    """Return the link syntax for the value that the clicked table row has in `column`."""
    return f'${{__data.fields["{column}"]:percentencode}}'


def data_link(title: str, url: str) -> dict[str, Any]:
    """Return a link for `links` of a field."""
    return {"title": title, "url": url, "targetBlank": False}
