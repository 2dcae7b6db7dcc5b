"""A deployment of the stack of its own for tests, made by the tool that `make deploy` calls."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.engine import fetch, output
from tests.support.files import DOCKER, ROOT, VARIABLE, read_yaml
from tools.deploy.engine import Stack, run
from tools.processes import free_port
from tools.standin_images import BASE, compose_command, ensure_image

# Grafana is left out: nothing but its own registry has an image of it.
SERVICES = (
    "postgres",
    "exporter",
    "prometheus",
    "alertmanager",
    "alertlog",
    "node-exporter",
    "postgres-exporter",
)
JOBS = {"ml-monitoring", "prometheus", "alertmanager", "alertlog", "node", "postgres"}
PUBLISHED = ("exporter", "prometheus", "alertmanager", "alertlog")
DEMO_PORTS = ("mlflow", "inference")
# Of overlays: the demo's own image is built.
MORE_IMAGES = ("VICTORIAMETRICS_IMAGE",)


class Deployment:
    """A stack under a project name of its own.

    Attributes:
        folder: Its settings and secrets.
        project: Its name.
        ports: What is published where.
        stack: The same, as the tool sees it.
        first: What its first deployment printed.
    """

    first = ""

    def __init__(self, folder: Path, project: str, overlays: str = "") -> None:
        self.folder = folder
        self.project = project
        self.ports = {name: free_port() for name in (*PUBLISHED, *DEMO_PORTS)}
        overlay = {
            "services": {
                # A stand-in has this machine's way to the package index, which starts on the machine itself.
                "exporter": {"build": {"network": "host"}, "image": f"{project}/exporter"},
                "alertlog": {"image": f"{project}/exporter"},
                "grafana": {"profiles": ["left-out"]},
            }
        }
        (folder / "tests.yaml").write_text(json.dumps(overlay), encoding="utf-8")
        # On top of the overlay `demo`: its build needs the same.
        demo = {"services": {"mlflow-tables": {"build": {"network": "host"}}}}
        (folder / "tests-demo.yaml").write_text(json.dumps(demo), encoding="utf-8")
        lines = [f"{name.upper()}_PORT={port}" for name, port in self.ports.items()]
        lines.append(f"WITH={overlays} {folder / 'tests.yaml'}")
        (folder / ".env").write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.stack = Stack(folder, project)

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the tool as `make` does."""
        command = [sys.executable, "-m", "tools.deploy", f"--folder={self.folder}", f"--project={self.project}"]
        return subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)

    def do(self, *arguments: str) -> str:
        """Run the tool, which must succeed."""
        done = self.call(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def remove(self) -> None:
        """Remove containers, volumes and the image."""
        everything = Stack(self.folder, self.project, ["demo", "scale", str(self.folder / "tests.yaml")])
        everything.compose("down", "--volumes", "--remove-orphans", "--timeout=20")
        subprocess.run(["docker", "image", "rm", f"{self.project}/exporter"], capture_output=True, check=False)

    def api(self, service: str, path: str) -> Any:
        return json.loads(fetch(self.published(service), path))

    def published(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}"

    def address(self, service: str, network: str = "monitoring") -> str:
        """Return a container's own address, which this machine reaches whatever is published."""
        networks = self.container(service)["NetworkSettings"]["Networks"]
        return str(networks[f"{self.project}_{network}"]["IPAddress"])

    def query(self, expression: str, at: float | None = None, server: str = "") -> dict[str, float]:
        """Return the value of each series, by its job where it has one.

        Args:
            expression: In PromQL.
            at: Moment; now when it is None.
            server: Address of what answers, if not of the published Prometheus.
        """
        parameters = {"query": expression, **({} if at is None else {"time": str(at)})}
        path = f"/api/v1/query?{urllib.parse.urlencode(parameters)}"
        answer = json.loads(fetch(server or self.published("prometheus"), path))
        return {one["metric"].get("job", ""): float(one["value"][1]) for one in answer["data"]["result"]}

    # By name, since the service may be of an overlay that this command does not know.

    def container(self, service: str) -> dict[str, Any]:
        (found,) = json.loads(output(["docker", "inspect", f"{self.project}-{service}-1"]))
        return dict(found)

    def inside(self, service: str, *command: str) -> str:
        return run(["docker", "exec", f"{self.project}-{service}-1", *command])

    def secret(self, name: str) -> str:
        return (self.folder / "secrets" / name).read_text(encoding="ascii")


def ensure_images() -> None:
    """Make what no registry gives, Compose among it where Docker comes without."""
    compose_command()
    services = read_yaml(DOCKER / "compose.yaml")["services"]
    images = [VARIABLE.fullmatch(services[name]["image"]) for name in SERVICES]
    for variable in ("PYTHON_IMAGE", *MORE_IMAGES, *(match["name"] for match in images if match is not None)):
        ensure_image(variable)


@contextmanager
def proxy_alone(project: str, *, overlay: str, service: str) -> Iterator[Stack]:
    """Run nothing of an overlay but its proxy in front of the Docker socket."""
    # Unpacks it where Docker comes without.
    compose_command()
    for variable in (BASE, "HAPROXY_IMAGE"):
        ensure_image(variable)
    with tempfile.TemporaryDirectory(prefix="ml-monitoring-test-") as folder:
        stack = Stack(Path(folder), project, [overlay])
        try:
            stack.compose("up", "--detach", "--wait", service)
            yield stack
        finally:
            stack.compose("down", "--volumes", "--timeout=5")


def wait_for(condition: Callable[[], object], *, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, "has not come true in time"
        time.sleep(1)


def project(name: str) -> str:
    return f"ml-monitoring-test-{name}-{os.getpid()}"
