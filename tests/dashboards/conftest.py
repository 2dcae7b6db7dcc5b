"""The pages as Grafana gets them."""

from __future__ import annotations

from typing import Any

import pytest

from dashboards.pages import build_all
from tests.dashboards.specimen import specimen


@pytest.fixture(scope="session")
def pages() -> list[dict[str, Any]]:
    return [page.to_json() for page in build_all()]


@pytest.fixture(scope="session")
def with_specimen(pages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*pages, specimen().to_json()]
