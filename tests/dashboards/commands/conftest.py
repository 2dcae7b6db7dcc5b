"""What tests of commands share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.grafana_double import GrafanaDouble


@pytest.fixture
def grafana() -> Iterator[GrafanaDouble]:
    """Start a Grafana with one data source."""
    with GrafanaDouble() as double:
        double.add_datasource("abc", "Prometheus of the team", "prometheus", default=True)
        yield double
