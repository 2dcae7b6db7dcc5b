"""The stack from the compose file in a real Docker engine: PostgreSQL, exporter, Prometheus and Alertmanager.

Grafana is left out: nothing but its own registry has an image of it.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from exporter.demo.mlflow import open_store, write_store
from tests.docker.engine import compose_for, fetch, output
from tests.docker.files import DOCKER, VARIABLE, read_yaml
from tools.processes import free_port
from tools.standin_images import ensure_image

pytestmark = [
    pytest.mark.stack,
    # SQLAlchemy deprecates a loader strategy that MLflow's own models use; nothing here can change that.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
]

PROJECT = f"ml-monitoring-test-whole-{os.getpid()}"
SERVICES = ("postgres", "exporter", "prometheus", "alertmanager", "alertlog")


class Stack:
    """A running stack: its compose command and what is published where."""

    def __init__(self, command: list[str], ports: dict[str, int]) -> None:
        self.command = command
        self.ports = ports

    def api(self, service: str, path: str) -> Any:
        return json.loads(fetch(self.ports[service], path))

    def query(self, expression: str) -> list[dict[str, Any]]:
        result: list[dict[str, Any]] = self.api("prometheus", f"/api/v1/query?query={expression}")["data"]["result"]
        return result

    def container(self, service: str) -> dict[str, Any]:
        (found,) = json.loads(output(["docker", "inspect", output([*self.command, "ps", "-q", service]).strip()]))
        return dict(found)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start the stack with new secrets and volumes, and write the demo into its PostgreSQL as MLflow's role."""
    images = [VARIABLE.fullmatch(read_yaml(DOCKER / "compose.yaml")["services"][name]["image"]) for name in SERVICES]
    for variable in ("PYTHON_IMAGE", *(match["name"] for match in images if match is not None)):
        ensure_image(variable)
    folder = tmp_path_factory.mktemp("whole")
    secrets = folder / "secrets"
    subprocess.run([DOCKER / "make-secrets.sh", secrets], check=True, capture_output=True)
    # A stand-in has this machine's way to the package index, which starts on the machine itself.
    built = {"build": {"network": "host"}, "image": f"{PROJECT}/exporter"}
    overlay = {
        "services": {"exporter": built, "alertlog": built},
        "secrets": {path.name: {"file": str(path)} for path in secrets.iterdir()},
    }
    (folder / "overlay.yaml").write_text(json.dumps(overlay), encoding="utf-8")
    command = [*compose_for(PROJECT), f"--file={folder / 'overlay.yaml'}"]
    ports = {name: free_port() for name in SERVICES[1:]}
    environment = {f"{name.upper()}_PORT": str(port) for name, port in ports.items()}
    try:
        output([*command, "up", "--detach", "--build", "--wait", *SERVICES], environment)
        running = Stack(command, ports)
        address = running.container("postgres")["NetworkSettings"]["Networks"][f"{PROJECT}_data"]["IPAddress"]
        password = (secrets / "mlflow_password").read_text(encoding="ascii")
        write_store(open_store(f"postgresql://mlflow:{password}@{address}:5432/mlflow"), seed=1)
        yield running
    finally:
        output([*command, "down", "--volumes", "--timeout=20"])
        subprocess.run(["docker", "image", "rm", f"{PROJECT}/exporter"], capture_output=True, check=False)


def wait_for(condition: Callable[[], object], *, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "has not come true in time"
        time.sleep(1)


def test_every_container_is_healthy_and_none_is_root(stack: Stack) -> None:
    for name in SERVICES:
        assert stack.container(name)["State"]["Health"]["Status"] == "healthy"
        process = output([*stack.command, "exec", "-T", name, "cat", "/proc/1/status"])
        owner = next(line for line in process.splitlines() if line.startswith("Uid:")).split()[1]
        assert owner != "0", name
        assert "CapEff:\t0000000000000000\n" in process
        assert "NoNewPrivs:\t1\n" in process


def test_prometheus_scrapes_every_target_and_has_every_rule(stack: Stack) -> None:
    def up() -> dict[str, str]:
        return {sample["metric"]["job"]: sample["value"][1] for sample in stack.query("up")}

    wait_for(lambda: len(up()) == 4 and set(up().values()) == {"1"})
    assert set(up()) == {"exporter", "prometheus", "alertmanager", "alertlog"}
    groups = stack.api("prometheus", "/api/v1/rules")["data"]["groups"]
    files = [read_yaml(path) for path in (DOCKER.parent / "alerting" / "generated").glob("*.yml")]
    assert {group["name"] for group in groups} == {group["name"] for file in files for group in file.get("groups", [])}


def test_prometheus_has_what_mlflow_wrote(stack: Stack) -> None:
    query = "mlflow_runs{experiment='churn-classifier',status='FINISHED'}".replace("{", "%7B").replace("}", "%7D")
    wait_for(lambda: [sample["value"][1] for sample in stack.query(query)] == ["22"])
    assert [sample["value"][1] for sample in stack.query("exporter_source_up")] == ["1"]


def test_an_alert_reaches_alertmanager(stack: Stack) -> None:
    def names() -> set[str]:
        return {alert["labels"]["alertname"] for alert in stack.api("alertmanager", "/api/v2/alerts")}

    wait_for(lambda: "Watchdog" in names())
    # And from there the alert log, since no other channel is set up.
    wait_for(lambda: [one["labels"]["alertname"] for one in stack.api("alertlog", "/api/alerts")] == ["Watchdog"])


def test_nothing_listens_beyond_loopback(stack: Stack) -> None:
    for name in SERVICES:
        for bindings in stack.container(name)["NetworkSettings"]["Ports"].values():
            assert {binding["HostIp"] for binding in bindings or []} <= {"127.0.0.1"}


def test_a_service_sees_its_own_secrets_only(stack: Stack) -> None:
    def seen(name: str) -> set[str]:
        listed = subprocess.run(
            [*stack.command, "exec", "-T", name, "ls", "/run/secrets"], capture_output=True, text=True, check=False
        )
        return set(listed.stdout.split())

    assert {name: seen(name) for name in SERVICES} == {
        "postgres": {"postgres_password", "mlflow_password", "exporter_password"},
        "exporter": {"mlflow_uri"},
        "prometheus": set(),
        "alertmanager": set(),
        "alertlog": set(),
    }
    for name in SERVICES:
        environment = " ".join(stack.container(name)["Config"]["Env"])
        password = output([*stack.command, "exec", "-T", "postgres", "cat", "/run/secrets/exporter_password"])
        assert len(password) == 32
        assert password not in environment
