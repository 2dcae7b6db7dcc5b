"""The overlay `containers` on top of the deployment that the other tests have used."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.support.deployment import SERVICES, Deployment, wait_for
from tools.standin_images import ensure_image

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def watched(deployed: Deployment) -> Iterator[Deployment]:
    ensure_image("HAPROXY_IMAGE")
    own = str(deployed.folder / "tests.yaml")
    deployed.do("--with", f"containers {own}", "up")
    yield deployed
    deployed.do("--with", own, "up")
    # Compose removes networks of the files that it is given.
    subprocess.run(["docker", "network", "rm", f"{deployed.project}_containers-api"], capture_output=True, check=True)


def test_prometheus_has_what_the_engine_knows_of_every_container(watched: Deployment) -> None:
    everything = len(SERVICES) + 1
    wait_for(lambda: watched.query("sum(docker_container_running)") == {"": everything})
    wait_for(lambda: watched.query("sum(docker_container_healthy)") == {"": everything})
    # Each has a limit of memory, and is below it.
    ratio = "docker_container_memory_bytes / docker_container_memory_limit_bytes"
    assert watched.query(f"count({ratio} > 0 < 1)") == {"": everything}
    assert watched.query("ml_monitoring_source_up{source='containers'}") == {"ml-monitoring": 1}


def test_a_crash_is_counted(watched: Deployment) -> None:
    before = watched.query("sum(docker_container_restarts_total{compose_service='node-exporter'})")[""]
    watched.stack.compose("exec", "--no-TTY", "node-exporter", "sh", "-c", "kill -ABRT 1 || kill -TERM 1")
    wait_for(
        lambda: (
            watched.query("sum(docker_container_restarts_total{compose_service='node-exporter'})").get("", 0) > before
        )
    )


def test_no_other_service_reaches_the_proxy(watched: Deployment) -> None:
    assert watched.stack.call("http://containers-proxy:2375/_ping", service="exporter").body == "OK"
    assert watched.stack.call("http://containers-proxy:2375/_ping", service="alertlog").status == 0
    refused = watched.stack.call("http://containers-proxy:2375/containers/prune", body="{}", service="exporter")
    assert refused.status == 403
