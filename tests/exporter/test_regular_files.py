"""Files that users name: what is no regular file is named at once, and never waited for."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ml_monitoring.exporter.config import load
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.regular_files import open_regular, read_text
from ml_monitoring.exporter.web_config import WebConfig
from tests.support.certificates import make_certificates
from tests.support.shell import PYTHON


def _is_refused(read: Callable[[], object], file: Path) -> None:
    with pytest.raises(ConfigError) as error:
        read()
    problem = error.value.problems[0]
    assert str(file) in problem
    assert problem.endswith("is a FIFO, not a regular file")


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


def test_a_settings_file(fifo: Path) -> None:
    _is_refused(lambda: load(fifo, {}), fifo)


def test_the_file_of_a_secret(fifo: Path, tmp_path: Path) -> None:
    settings = tmp_path / "settings.yml"
    settings.write_text(f"sources: {{mlflow: {{uri_file: {fifo}}}}}\n")
    _is_refused(lambda: load(settings, {}), fifo)
    _is_refused(lambda: load([], {"ML_MONITORING_SOURCES__MLFLOW__URI_FILE": str(fifo)}), fifo)


def test_a_web_config_and_the_files_that_it_names(fifo: Path, tmp_path: Path) -> None:
    _is_refused(lambda: WebConfig(fifo), fifo)
    make_certificates(tmp_path)
    certificate, key = tmp_path / "exporter_certificate", tmp_path / "exporter_key"
    web = tmp_path / "web.yml"
    for given in ((fifo, key), (certificate, fifo)):
        web.write_text("tls_server_config: {{cert_file: {}, key_file: {}}}\n".format(*given))
        _is_refused(lambda: WebConfig(web), fifo)


def test_a_file_that_becomes_a_fifo_after_the_look(fifo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml_monitoring.exporter.regular_files.require_regular", lambda _path: None)
    with pytest.raises(OSError, match="is a FIFO, not a regular file"):
        open_regular(fifo)


def test_what_a_shell_hands_over_is_read(tmp_path: Path) -> None:
    script = "import sys; from pathlib import Path; from ml_monitoring.exporter.regular_files import read_text; "
    done = subprocess.run(
        ["bash", "-c", f"{PYTHON} -c '{script} print(read_text(Path(sys.argv[1])))' <(echo text)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == "text"
    assert read_text(Path(os.devnull)) == ""
