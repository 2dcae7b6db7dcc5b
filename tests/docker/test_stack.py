"""The exporter's service, built and run by a real Docker engine from the compose file as it is.

Needs a Docker engine and, where no image registry is reachable, root for the stand-in of the base image. All that the
tests start has a project name of its own, so that a stack of the same machine is not touched.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from exporter.demo.mlflow import STORE_FILE, write_file
from tests.docker.engine import compose_for, fetch, output
from tests.docker.files import DOCKER, ROOT, read_env
from tools.processes import free_port
from tools.standin_images import ensure_image

pytestmark = [
    pytest.mark.stack,
    # SQLAlchemy deprecates a loader strategy that MLflow's own models use; nothing here can change that.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
]

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


@pytest.fixture(scope="module")
def running(compose: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[str], int]]:
    """Build the exporter and start it on a demo store, without the other services."""
    ensure_image("PYTHON_IMAGE")
    folder = tmp_path_factory.mktemp("stack")
    # Users in containers are others than the one here, and pytest keeps its folders to itself.
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    write_file(folder, seed=1)
    (folder / "uri").write_text(f"sqlite:////store/{STORE_FILE}", encoding="ascii")
    (folder / "uri").chmod(0o444)
    overlay = {
        "services": {
            "exporter": {
                # A stand-in has this machine's way to the package index, which starts on the machine itself.
                "build": {"network": "host"},
                "image": f"{PROJECT}/exporter",
                "volumes": [f"{folder}:/store:ro"],
            }
        },
        "secrets": {"mlflow_uri": {"file": str(folder / "uri")}},
    }
    (folder / "overlay.yaml").write_text(json.dumps(overlay), encoding="utf-8")
    command = [*compose, f"--file={folder / 'overlay.yaml'}"]
    port = free_port()
    try:
        output([*command, "up", "--detach", "--build", "--wait", "--no-deps", "exporter"], {"EXPORTER_PORT": str(port)})
        yield command, port
    finally:
        output([*command, "down", "--volumes", "--rmi=all", "--timeout=20"])


def inspect(command: list[str]) -> dict[str, Any]:
    container = output([*command, "ps", "--all", "--quiet", "exporter"]).strip()
    (found,) = json.loads(output(["docker", "inspect", container]))
    return dict(found)


def test_the_built_exporter_serves_the_store(running: tuple[list[str], int]) -> None:
    _command, port = running
    assert fetch(port, "/-/healthy") == "Healthy.\n"
    metrics = fetch(port, "/metrics")
    assert '\nexporter_source_up{source="mlflow"} 1.0\n' in metrics
    assert '\nmlflow_runs{experiment="churn-classifier",status="FINISHED"} 22.0\n' in metrics


def test_the_built_exporter_shows_the_runbooks(running: tuple[list[str], int]) -> None:
    _command, port = running
    runbooks = sorted(path.stem for path in (ROOT / "alerting" / "runbooks").glob("*.md"))
    assert runbooks
    assert runbooks[0] in fetch(port, f"/runbooks/{runbooks[0]}")


def test_the_container_has_no_more_rights_than_it_needs(running: tuple[list[str], int]) -> None:
    command, _port = running
    state = inspect(command)
    assert state["State"]["Health"]["Status"] == "healthy"
    assert state["Config"]["User"] == "10001:10001"
    assert state["HostConfig"]["ReadonlyRootfs"] is True
    assert state["HostConfig"]["CapDrop"] == ["ALL"]
    assert state["HostConfig"]["SecurityOpt"] == ["no-new-privileges:true"]
    bindings = state["HostConfig"]["PortBindings"]["9847/tcp"]
    assert [binding["HostIp"] for binding in bindings] == ["127.0.0.1"]
    status = output([*command, "exec", "-T", "exporter", "cat", "/proc/1/status"])
    assert "CapEff:\t0000000000000000\n" in status
    assert "NoNewPrivs:\t1\n" in status


def test_no_secret_is_in_the_image_or_the_environment(running: tuple[list[str], int]) -> None:
    command, _port = running
    state = inspect(command)
    history = output(["docker", "history", "--no-trunc", "--format={{.CreatedBy}}", state["Image"]])
    assert "sqlite://" not in json.dumps(state["Config"]) + history
    assert output([*command, "exec", "-T", "exporter", "cat", "/run/secrets/mlflow_uri"]).startswith("sqlite://")


def test_the_image_holds_the_package_and_what_is_pinned_for_it(running: tuple[list[str], int]) -> None:
    command, _port = running
    inside = [*command, "exec", "-T", "exporter"]
    files = output([*inside, "find", "/opt/app", "-type", "f"]).splitlines()
    assert "/opt/app/exporter/cli.py" in files
    assert {file.rsplit(".", 1)[-1] for file in files} == {"py", "pyc"}
    code = "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()), sep='\\n')"
    listed = output([*inside, "/opt/venv/bin/python", "-c", code]).split()
    installed = {line.lower().replace("_", "-") for line in listed}
    pins = re.findall(r"^([\w.-]+==[^ ;\\]+)", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert installed <= {pin.lower() for pin in pins}
    assert any(pin.startswith("psycopg2-binary==") for pin in installed)


def test_the_exporter_ends_cleanly(running: tuple[list[str], int]) -> None:
    command, _port = running
    output([*command, "stop", "exporter"])
    assert inspect(command)["State"]["ExitCode"] == 0
