"""All dashboards of a deployment: ours, and those of the folder of extensions, as Grafana loads them."""

from __future__ import annotations

from functools import partial
from typing import Any

from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.page import Page
from ml_monitoring.dashboards.pages import build_all, linked
from ml_monitoring.exporter.errors import ConfigError

Json = dict[str, Any]


def documents(context: PageContext) -> list[tuple[str, Json]]:
    """Return folder and JSON of every dashboard.

    Args:
        context: What the settings in force say, the folder of extensions included.

    Raises:
        ConfigError: A page or panel of that folder cannot be used, or a rule for dashboards finds something.
    """
    pages: tuple[Page, ...] = build_all(context)
    if context.extensions is None:
        return [(page.folder, as_document(page, context)) for page in pages]
    # Only here, as most deployments have none.
    from ml_monitoring.dashboards import lint  # noqa: PLC0415
    from ml_monitoring.dashboards.extensions import build, modules  # noqa: PLC0415

    built = build.read(context.extensions, context)
    if twice := list(build.taken_titles(pages, built)):
        raise ConfigError(twice)
    pages = linked(tuple(build.extended(pages, built, context.own_alerts)))
    made = []
    for page in pages:
        make = partial(as_document, page, context)
        made.append((page.folder, modules.guarded(built.files[page.uid], make) if page.uid in built.files else make()))
    found = [
        build.placed(finding, built.files[uid]) if (uid := _page_of(finding)) in built.files else finding
        for finding in lint.findings([document for _, document in made])
        if _page_of(finding) in {*built.files, ""}
    ]
    if found:
        raise ConfigError(found)
    return made


def as_document(page: Page, context: PageContext) -> Json:
    """Return a page as Grafana loads it."""
    return page.to_json(
        context.alerts,
        context.selectors,
        cluster_variables=context.cluster_variables,
        store_variable=context.store_variable,
    )


def _page_of(finding: str) -> str:
    """Return the uid of the page that a finding is about; empty for one that is about several."""
    head = finding.partition(":")[0].partition("/")[0]
    return head if " " not in head else ""
