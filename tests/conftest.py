"""Fixtures that more than one folder of tests needs. A server is shared by the tests of one process."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.experiment_series import steady_hours
from tools.backfilled_prometheus import backfilled_prometheus
from tools.mariadb import MariadbServer
from tools.packages import ensure_programs
from tools.postgres import PostgresServer
from tools.webhook import WebhookReceiver

# What the person who runs the tests has set for a stack of their own.
os.environ["ML_MONITORING_ALERTING_SETTINGS"] = os.devnull

# How long an example takes says how busy the machine is. The same examples each time: a change is judged by what it
# changed, and `make fuzz` looks for others.
settings.register_profile("any machine", deadline=None, derandomize=True)
settings.load_profile("any machine")

_database_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    """Leave to the next test the level and the handlers that commands replace for their whole process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def programs() -> dict[str, Path]:
    """Return the paths of `prometheus`, `promtool`, `alertmanager` and `amtool`."""
    return ensure_programs(["prometheus", "promtool", "alertmanager", "amtool"])


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Give a running PostgreSQL server; tests that stop, pause or set it up differently start one of their own."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_database(postgres_server: PostgresServer) -> Iterator[str]:
    """Give the superuser's address of a fresh, empty database."""
    with postgres_server.temporary_database(f"test_{next(_database_numbers)}") as uri:
        yield uri


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariadbServer]:
    """Give a running MariaDB server; a test that stops or pauses it brings it back."""
    with MariadbServer() as server:
        yield server


@pytest.fixture
def webhook() -> Iterator[WebhookReceiver]:
    """Give a receiver of Alertmanager's notifications."""
    with WebhookReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def experiments_url(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a Prometheus that holds four experiments of known truth, told apart by the label `service`."""
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
