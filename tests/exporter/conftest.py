"""A Prometheus that holds four experiments of known truth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.experiment_series import steady_hours
from tools.backfilled_prometheus import backfilled_prometheus


@pytest.fixture(scope="session")
def experiments_url(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give its address; the experiments are told apart by the label `service`."""
    services = (
        steady_hours("winner", {"control": (20, 0.10), "treatment": (20, 0.15)}),
        steady_hours("harmful", {"control": (20, 0.10), "treatment": (20, 0.10)}, errors=0.05),
        steady_hours("null", {"control": (20, 0.10), "treatment": (20, 0.10)}),
        steady_hours("split", {"control": (24, 0.10), "treatment": (16, 0.10)}),
    )
    # The samples of a name have to stand together.
    lines: dict[str, list[str]] = {name: [] for name in ("requests_total", "successes_total", "errors_total")}
    for service in services:
        for (name, labels), each in service.series.items():
            lines[name] += [f"{name}{{{labels}}} {value:.0f} {moment}" for moment, value in each]
    folder = tmp_path_factory.mktemp("experiments")
    with backfilled_prometheus(programs, folder, (line for each in lines.values() for line in each)) as url:
        yield url
