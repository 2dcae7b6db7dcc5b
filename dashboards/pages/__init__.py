"""The list of all pages. A new page is one module with a `build(context)`, and one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.page import Page
from ml_monitoring.dashboards.pages import (
    ab_testing,
    alerts,
    business,
    experiment,
    experiments,
    exporter_health,
    fleet_incident,
    fleet_server,
    gpus,
    llm_serving,
    logs,
    ml_api,
    mlflow,
    mlflow_models,
    mlflow_traces,
    model_quality,
    operations_overview,
    system_infrastructure,
    training,
    variant_detail,
    variant_performance,
)

BUILDERS: tuple[Callable[[PageContext], Page], ...] = (
    mlflow.build,
    training.build,
    mlflow_models.build,
    mlflow_traces.build,
    variant_performance.build,
    variant_detail.build,
    fleet_incident.build,
    fleet_server.build,
    ab_testing.build,
    experiments.build,
    experiment.build,
    business.build,
    ml_api.build,
    model_quality.build,
    llm_serving.build,
    exporter_health.build,
    system_infrastructure.build,
    gpus.build,
    alerts.build,
    logs.build,
    operations_overview.build,
)


def build_all(context: PageContext) -> tuple[Page, ...]:
    """Return every page.

    Args:
        context: What a deployment says of links, assumptions and alerts.

    Raises:
        ValueError: If two pages share a uid or a title.
    """
    pages = tuple(build(context) for build in BUILDERS)
    for what, values in (("uid", [page.uid for page in pages]), ("title", [page.title for page in pages])):
        if len(set(values)) < len(values):
            raise ValueError(f"two pages share a {what}: {', '.join(sorted(values))}")
    return linked(pages)


def linked(pages: tuple[Page, ...]) -> tuple[Page, ...]:
    """Return pages that know of each other which variables links to them hand on."""
    handed_on = {page.uid: page.handed_on for page in pages}
    return tuple(replace(page, pages=handed_on) for page in pages)
