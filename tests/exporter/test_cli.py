from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.mlflow import STORE_FILE, write_file
from tools.processes import Process, free_port, http_ok


def _run(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("ML_MONITORING_")}
    return subprocess.run(
        [sys.executable, "-m", "exporter", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**inherited, **environ},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "empty.db").touch()
    return tmp_path


@pytest.fixture
def stranger() -> Iterator[str]:
    """Give the address of a server that is neither Prometheus nor Alertmanager."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("arguments", [(), ("dance",), ("serve", "--cofnig", "x")])
def test_wrong_usage_is_said_with_status_2(arguments: tuple[str, ...]) -> None:
    done = _run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: python -m exporter")


@pytest.mark.parametrize("command", ["serve", "once"])
def test_settings_that_cannot_be_used_are_listed(command: str, folder: Path) -> None:
    config = folder / "exporter.yaml"
    config.write_text("web: {port: x}\nsources: {mlflow: {uri: 'postgresql://u:s3cret@h/d', interval: 0}}")
    done = _run(command, "--config", config)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        f"error: {config}:1: web.port: input should be a valid integer, unable to parse string as an integer",
        f"error: {config}:2: sources.mlflow.interval: must be longer than 0",
    ]


def test_the_environment_names_the_settings_file(folder: Path) -> None:
    config = folder / "missing.yaml"
    done = _run("once", ML_MONITORING_CONFIG=str(config))
    assert done.stderr == f"error: {config}: cannot be read: No such file or directory\n"


def test_check_says_what_is_wrong_a_line_each(folder: Path, stranger: str) -> None:
    config = folder / "exporter.yaml"
    config.write_text(
        f"""
        web: {{config_file: {folder}/web.yml}}
        prometheus: {{url: "http://127.0.0.1:1"}}
        alertmanager: {{url: "{stranger}"}}
        sources: {{mlflow: {{uri: "sqlite:///{folder}/empty.db"}}}}
        """
    )
    done = _run("check", "--config", config)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"ok    settings      {config}",
        f"FAIL  web           {folder}/web.yml: cannot be read: No such file or directory",
        "FAIL  mlflow        no MLflow tables found - check the database name and search_path; "
        "a new store gets its tables when MLflow first uses it",
        "FAIL  prometheus    http://127.0.0.1:1: Connection refused - is it running, and is prometheus.url right?",
        f"FAIL  alertmanager  {stranger} answered, but not like alertmanager - is alertmanager.url right?",
    ]


def test_check_names_each_bad_setting(folder: Path) -> None:
    done = _run("check", ML_MONITORING_SOURCES__MLFLOW__URI="mysql://u:s3cret@h/d", ML_MONITORING_WEB__PORT="-1")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "FAIL  settings  ML_MONITORING_WEB__PORT: input should be greater than or equal to 0",
        "FAIL  settings  ML_MONITORING_SOURCES__MLFLOW__URI: must begin with postgresql:// or sqlite:///, "
        "not with mysql",
    ]


def test_check_is_content_with_a_stack_that_works(folder: Path, programs: dict[str, Path]) -> None:
    write_file(folder, seed=1)
    ports = {name: free_port() for name in ("prometheus", "alertmanager", "cluster")}
    (folder / "prometheus.yml").write_text("{}")
    (folder / "alertmanager.yml").write_text("{route: {receiver: none}, receivers: [{name: none}]}")
    urls = {name: f"http://127.0.0.1:{ports[name]}" for name in ("prometheus", "alertmanager")}
    commands = {
        "prometheus": ["--config.file=prometheus.yml", "--storage.tsdb.path=data"],
        "alertmanager": ["--config.file=alertmanager.yml", "--storage.path=data", "--cluster.listen-address="],
    }
    config = folder / "exporter.yaml"
    config.write_text(
        f"prometheus: {{url: {urls['prometheus']}}}\nalertmanager: {{url: {urls['alertmanager']}/}}\n"
        f"sources: {{mlflow: {{uri: 'sqlite:///{folder}/{STORE_FILE}'}}}}\n"
    )

    def server(name: str) -> Process:
        return Process(
            name,
            [programs[name], *commands[name], f"--web.listen-address=127.0.0.1:{ports[name]}"],
            log=folder / f"{name}.log",
            cwd=folder,
            healthy=lambda: http_ok(f"{urls[name]}/-/ready"),
        )

    with server("prometheus"), server("alertmanager"):
        done = _run("check", "--config", config)
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["ok", "settings"],
        ["ok", "mlflow"],
        ["ok", "prometheus"],
        ["ok", "alertmanager"],
    ]
    assert lines[2].startswith(f"ok    prometheus    {urls['prometheus']}, version ")


def test_a_closed_pipe_is_no_defect(folder: Path) -> None:
    command = f"{sys.executable} -m exporter once | head -1"
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "ML_MONITORING_SOURCES__MLFLOW__URI": f"sqlite:///{folder}/empty.db"},
    )
    assert done.stdout.startswith("# HELP ml_monitoring_build_info")
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
