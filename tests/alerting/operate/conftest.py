"""A real Alertmanager for the tests of the commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_monitoring.alerting.generate import alertmanager
from tests.support.alertmanager_server import AT_ONCE, Alertmanager, running
from tools.webhook import WebhookReceiver


@pytest.fixture
def server(programs: dict[str, Path], webhook: WebhookReceiver, tmp_path: Path) -> Iterator[Alertmanager]:
    config = alertmanager.build(webhook.url, timing=AT_ONCE, alert_log_url="")
    with running(programs["alertmanager"], config, tmp_path) as server:
        yield server
