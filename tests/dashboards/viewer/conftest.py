from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.dashboards.render.prometheus import Prometheus
from ml_monitoring.dashboards.render.query_options import QueryOptions
from ml_monitoring.dashboards.viewer.library import Library
from ml_monitoring.dashboards.viewer.server import Viewer
from tests.support.house import write_pages


@pytest.fixture
def house(tmp_path: Path) -> Path:
    return write_pages(tmp_path / "house")


@pytest.fixture
def viewer(house: Path, prometheus: Prometheus) -> Viewer:
    queries = QueryOptions(prometheus, None, None, {}, 15.0, 0.0)
    return Viewer(Library([str(house)], house), queries, frozenset({"dashboards.example"}))
