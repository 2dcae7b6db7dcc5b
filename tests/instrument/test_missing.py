"""What a service lacks is said in one sentence, with the command that brings it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_SET = "PROMETHEUS_MULTIPROC_DIR is not set: it names the folder that worker processes share; before the server"


def _python(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=environ | environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("missing", "statement", "said"),
    [
        ("opentelemetry.sdk", "Recorder(exporter='otlp')", "pip install 'ml-monitoring-instrument[otlp]'"),
        ("opentelemetry", "Recorder(exporter='otlp')", "pip install 'ml-monitoring-instrument[otlp]'"),
        (
            "opentelemetry.exporter.otlp.proto.http.metric_exporter",
            "from ml_monitoring.instrument.otlp import Otlp; Otlp()",
            "pip install 'ml-monitoring-instrument[otlp]'",
        ),
        ("grpc", "import ml_monitoring.instrument.grpc", "pip install grpcio"),
    ],
)
def test_a_package_that_is_missing(missing: str, statement: str, said: str) -> None:
    # `None` makes an import fail as if the package were not installed.
    script = (
        f"import sys; sys.modules[{missing!r}] = None\nfrom ml_monitoring.instrument import Recorder\n"
        f"try: {statement}\nexcept ModuleNotFoundError as error: print(error)"
    )
    done = _python(script)
    assert done.stdout.rstrip().endswith(said), done.stderr
    assert missing.partition(".")[0] in done.stdout


def test_the_folder_of_workers_that_is_not_set(tmp_path: Path) -> None:
    done = _python(
        "from ml_monitoring.instrument.multiprocess import clear\ntry: clear()\nexcept ValueError as e: print(e)"
    )
    assert done.stdout.startswith(_SET)
    # gunicorn ends with the sentence, and with nothing of the code.
    (tmp_path / "service.py").write_text("def app(environ, start_response): ...\n")
    started = _python(
        "import sys; from gunicorn.app.wsgiapp import run\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "sys.argv[1:] = ['--bind', '127.0.0.1:0', 'service:app', '--config']\n"
        "sys.argv.append('python:ml_monitoring.instrument.multiprocess')\n"
        "run()"
    )
    assert started.returncode != 0
    assert f"ml_monitoring.instrument.multiprocess: {_SET}" in started.stderr
    assert "Traceback" not in started.stderr


def test_a_variable_that_is_no_number() -> None:
    script = "from ml_monitoring.instrument.otlp import Otlp\ntry: Otlp()\nexcept ValueError as error: print(error)"
    done = _python(script, OTEL_METRIC_EXPORT_INTERVAL="15s")
    assert done.stdout == "OTEL_METRIC_EXPORT_INTERVAL: '15s' is not a number of milliseconds\n"


def test_the_old_name_of_the_variable_makes_the_folder_too(tmp_path: Path) -> None:
    folder = tmp_path / "workers"
    script = "from ml_monitoring.instrument import Recorder; Recorder().cache('c').record_hit()"
    done = _python(script, prometheus_multiproc_dir=str(folder))
    assert done.returncode == 0, done.stderr
    assert [each.name.partition("_")[0] for each in folder.glob("counter_*.db")] == ["counter"]
