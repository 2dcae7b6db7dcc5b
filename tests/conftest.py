"""Fixtures that more than one folder of tests needs. A server is shared by the tests of one process."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

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
def postgres_database(postgres_server: PostgresServer) -> str:
    """Return the superuser's address of a fresh, empty database."""
    return postgres_server.create_database(f"test_{next(_database_numbers)}")


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
