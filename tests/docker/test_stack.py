"""What a real Docker engine makes of the compose files and of the exporter's image."""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from ml_monitoring.exporter import __version__
from tests.support.deployment import Deployment
from tests.support.engine import compose_for, output
from tests.support.files import DOCKER, pins, read_env

pytestmark = pytest.mark.stack

PROJECT = f"ml-monitoring-test-{os.getpid()}"
VERSIONS = read_env(DOCKER / "versions.env")


@pytest.fixture(scope="module")
def compose() -> list[str]:
    return compose_for(PROJECT)


def config(command: list[str], environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads(output([*command, "config", "--format=json"], environment))
    return settings


def test_compose_accepts_the_file_and_pins_every_image(compose: list[str]) -> None:
    images = {name: service["image"] for name, service in config(compose)["services"].items()}
    assert images == {
        "postgres": VERSIONS["POSTGRES_IMAGE"],
        "exporter": "ml-monitoring/exporter:local",
        "prometheus": VERSIONS["PROMETHEUS_IMAGE"],
        "alertmanager": VERSIONS["ALERTMANAGER_IMAGE"],
        "alertlog": "ml-monitoring/exporter:local",
        "grafana": VERSIONS["GRAFANA_IMAGE"],
        "node-exporter": VERSIONS["NODE_EXPORTER_IMAGE"],
        "postgres-exporter": VERSIONS["POSTGRES_EXPORTER_IMAGE"],
    }


def test_settings_move_what_is_published(compose: list[str]) -> None:
    services = config(compose, {"GRAFANA_PORT": "3333", "BIND_ADDRESS": "127.0.0.2"})["services"]
    published = {
        name: [(port["host_ip"], port["published"], port["target"]) for port in service.get("ports", [])]
        for name, service in services.items()
    }
    assert published == {
        "postgres": [],
        "node-exporter": [],
        "postgres-exporter": [],
        "exporter": [("127.0.0.2", "9847", 9847)],
        "prometheus": [("127.0.0.2", "9090", 9090)],
        "alertmanager": [("127.0.0.2", "9093", 9093)],
        "alertlog": [("127.0.0.2", "9848", 9848)],
        "grafana": [("127.0.0.2", "3333", 3000)],
    }


def test_without_the_pinned_versions_nothing_starts(compose: list[str]) -> None:
    command = [argument for argument in compose if not argument.startswith("--env-file")]
    done = subprocess.run([*command, "config", "--quiet"], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "run make deploy, or give --env-file docker/versions.env" in done.stderr


def _canonical(pin: str) -> str:
    name, version = pin.split("==")
    return f"{re.sub(r'[-_.]+', '-', name.lower())}=={version}"


def test_the_image_holds_the_packages_and_what_is_pinned_for_them(deployed: Deployment) -> None:
    found = deployed.inside("exporter", "find", "/opt", "-type", "f").splitlines()
    files = {file.partition("/ml_monitoring/")[2] for file in found}
    folders = {file.split("/")[0] for file in files if "/" in file}
    assert {"cli.py", "alerting/thresholds.yml", "alerting/exporter/runbooks/MlMonitoringDown.md"} <= files
    assert folders == {"exporter", "alerting", "dashboards", "k8s", "__pycache__"}
    assert not [file for file in found if "/app/" in file or "/tools/" in file]
    code = "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()), sep='\\n')"
    listed = deployed.inside("exporter", "/opt/venv/bin/python", "-c", code).split()
    installed = {_canonical(line) for line in listed}
    pinned = {_canonical(pin) for pin in pins(DOCKER / "exporter" / "requirements.txt")}
    assert installed - pinned == {f"ml-monitoring=={__version__}"}
    assert any(pin.startswith("psycopg2-binary==") for pin in installed)


def test_no_secret_is_in_the_image(deployed: Deployment) -> None:
    image = deployed.container("exporter")["Image"]
    history = output(["docker", "history", "--no-trunc", "--format={{.CreatedBy}}", image])
    assert "COPY /opt/venv /opt/venv" in history
    assert deployed.secret("exporter_password") not in history
    assert deployed.inside("exporter", "find", "/opt", "-name", "*_password") == ""
