"""Several workers that share no folder: the log says so, where the command line tells."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ml_monitoring.instrument.workers import count
from tools.processes import Process, free_port, http_ok

SERVICE = """
from fastapi import FastAPI
from ml_monitoring.instrument import instrument

app = FastAPI()
instrument(app)
"""


@pytest.mark.parametrize(
    ("command", "variable", "workers"),
    [
        ("/venv/bin/uvicorn app:app --workers 2", "", 2),
        ("/venv/lib/python3.11/site-packages/uvicorn/__main__.py --workers=3 app:app", "", 3),
        ("/venv/bin/uvicorn app:app", "", 1),
        ("/venv/bin/uvicorn app:app", "4", 4),
        ("/venv/bin/uvicorn app:app --workers 1", "4", 1),
        # Its reloader starts one, whatever is asked for.
        ("/venv/bin/uvicorn app:app --reload --workers 2", "", 1),
        ("gunicorn -w 2 app:app", "", 2),
        ("gunicorn -w4 -k uvicorn_worker.UvicornWorker app:app", "", 4),
        ("gunicorn --config gunicorn.conf.py app:app", "", 1),
        ("gunicorn --workers many app:app", "", 1),
        ("/srv/app/main.py --workers 8", "8", 1),
        ("", "", 1),
    ],
)
def test_the_command_says_how_many_there_are(
    command: str, variable: str, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", variable)
    assert count(command.split()) == workers


@pytest.mark.parametrize(("workers", "shared", "warned"), [(2, False, 2), (2, True, 0), (1, False, 0)])
def test_workers_on_their_own_are_logged(workers: int, shared: bool, warned: int, tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(SERVICE, encoding="utf-8")
    port = free_port()
    url = f"http://127.0.0.1:{port}/metrics"
    command = [sys.executable, "-m", "uvicorn", "--workers", str(workers), "--port", str(port), "service:app"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("PROMETHEUS_MULTIPROC_DIR", None)
    environment |= {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "shared")} if shared else {}
    log = tmp_path / "log"

    def all_started() -> bool:
        return log.exists() and log.read_text().count("Application startup complete") == workers and http_ok(url)

    server = Process("uvicorn", command, log=log, cwd=tmp_path, env=environment, healthy=all_started, start_timeout=120)
    server.start()
    server.stop()
    said = log.read_text()
    assert said.count(f"one of {workers} workers without PROMETHEUS_MULTIPROC_DIR") == warned, said
