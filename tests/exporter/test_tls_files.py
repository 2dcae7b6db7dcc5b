"""A file that is no certificate, or no key, is named with its setting."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.exporter import checks
from ml_monitoring.exporter.config import load

_CERTIFICATE = "-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n".replace("\\n", "\n")


@pytest.mark.parametrize(
    ("given", "name", "said"),
    [
        ("ca_file: X/other", "ca_file", "X/other holds no certificate in PEM"),
        ("certificate_file: X/other", "certificate_file", "X/other holds no certificate in PEM"),
        ("certificate_file: X/c.pem, key_file: X/other", "key_file", "X/other holds no private key in PEM"),
        ("certificate_file: X/c.pem, key_file: X/key.pem", "key_file", "X/key.pem holds a key that is encrypted"),
        ("certificate_file: X/c.pem", "certificate_file", "X/c.pem holds no key: name it in key_file"),
    ],
)
def test_a_file_for_tls_that_holds_something_else_is_named(given: str, name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("no certificate")
    (tmp_path / "c.pem").write_text(_CERTIFICATE)
    (tmp_path / "key.pem").write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    config = tmp_path / "own.yml"
    config.write_text(f"sources:\n  mlflow: {{uri: https://127.0.0.1:1, {given}}}\n".replace("X", str(tmp_path)))
    (failed,) = (each for each in checks.run(load(config, {})) if each.subject == "mlflow")
    assert failed.message.startswith(f"{name}: {said}".replace("X", str(tmp_path)))


@pytest.mark.parametrize("name", ["ca_file", "certificate_file"])
def test_a_file_for_tls_that_is_not_there_is_said_once(name: str, tmp_path: Path) -> None:
    config = tmp_path / "own.yml"
    config.write_text(f"sources:\n  mlflow: {{uri: https://127.0.0.1:1, {name}: {tmp_path}/none}}\n")
    (failed,) = (each for each in checks.run(load(config, {})) if each.subject == "mlflow")
    assert failed.message == f"sources.mlflow.{name}: {tmp_path}/none cannot be read: No such file or directory"
