"""A Prometheus with made-up measurements, and a dashboard with a panel of every kind on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboards.render.asking import Asking
from dashboards.render.engine import DashboardData
from dashboards.render.model import Dashboard, load_dashboard
from dashboards.render.prometheus import Prometheus
from tests.dashboards.render.store import END, START, Store

SPECIMEN = Path(__file__).with_name("specimen.json")


@pytest.fixture(scope="session")
def store(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store(programs, tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture
def prometheus(store: Store) -> Iterator[Prometheus]:
    with Prometheus(store.url) as client:
        yield client


@pytest.fixture
def asking(prometheus: Prometheus) -> Asking:
    return Asking(prometheus, str(START), str(END), {}, 15.0, float(END))


@pytest.fixture(scope="session")
def specimen() -> Dashboard:
    return load_dashboard(SPECIMEN)


@pytest.fixture
def specimen_data(asking: Asking, specimen: Dashboard) -> DashboardData:
    return asking.load(specimen)
