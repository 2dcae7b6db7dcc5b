"""Every panel of every generated page shows something on the demo, without Grafana."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_monitoring.dashboards.cli import main
from tools.demo import ports
from tools.demo.parts import PARTS
from tools.stack import ROOT


@pytest.fixture
def demo(programs: dict[str, Path]) -> Iterator[str]:
    """Give the address of a running demo's Prometheus."""
    # Away from where the demo's own tests, which may run at the same time, look for theirs.
    base = ports.propose([*ports.STACK_PORTS, *(use for part in PARTS for use in part.ports)], first=29000)
    assert base is not None
    command = [sys.executable, "-m", "tools.demo", "--port-base", str(base)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        try:
            assert any(line.startswith("Ctrl-C stops everything.") for line in process.stdout)
            yield f"http://127.0.0.1:{base + 1}"
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.communicate(timeout=60)


def test_every_panel_of_the_demo_has_data(demo: str, capsys: pytest.CaptureFixture[str]) -> None:
    # Rates, alerts and incidents need a while; the wait ends as soon as nothing is empty.
    arguments = ["--prometheus", demo, "--scrape-interval", "5s", "--from", "now-5m", "--wait", "240s"]
    status = main(["prove", *arguments])
    assert status == 0, capsys.readouterr().out
