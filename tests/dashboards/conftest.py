"""The pages as Grafana gets them, and a Prometheus with measurements for a dashboard with a panel of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.pages import build_all
from ml_monitoring.dashboards.render.engine import DashboardData
from ml_monitoring.dashboards.render.model import Dashboard, load_dashboard
from ml_monitoring.dashboards.render.prometheus import Prometheus
from ml_monitoring.dashboards.render.query_options import QueryOptions
from tests.support.panel_store import END, SPECIMEN, START, Store, stored
from tests.support.specimen import specimen


@pytest.fixture(scope="session")
def pages() -> list[dict[str, Any]]:
    context = PageContext.of(load_thresholds())
    return [page.to_json(context.alerts, context.selectors) for page in build_all(context)]


@pytest.fixture(scope="session")
def with_specimen(pages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*pages, specimen().to_json(load_alerts(), load_thresholds().scope())]


@pytest.fixture(scope="session")
def store(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with stored(programs, tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture
def prometheus(store: Store) -> Iterator[Prometheus]:
    with Prometheus(store.url) as client:
        yield client


@pytest.fixture
def queries(prometheus: Prometheus) -> QueryOptions:
    return QueryOptions(prometheus, str(START), str(END), {}, 15.0, float(END))


@pytest.fixture(scope="session")
def every_panel() -> Dashboard:
    return load_dashboard(SPECIMEN)


@pytest.fixture
def every_panel_data(queries: QueryOptions, every_panel: Dashboard) -> DashboardData:
    return queries.load(every_panel)
