"""An alert log, as a process and as an object."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ml_monitoring.alerting.log.store import AlertLog
from tests.support.alert_log import Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "log")
    with server.process:
        yield server


@pytest.fixture
def make_log(tmp_path: Path) -> Iterator[Callable[[], AlertLog]]:
    opened = []

    def make() -> AlertLog:
        opened.append(AlertLog(tmp_path / "log", retention=86400, duplicate_window=120))
        return opened[-1]

    yield make
    for log in opened:
        log.close()
