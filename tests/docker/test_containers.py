"""The overlay `containers`: its proxy, and the exporter's source through it, in a real Docker engine."""

import contextlib
import http.client
import json
import os
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ml_monitoring.exporter.sources.containers import ContainersSettings, ContainersSource
from tests.support.deployment import proxy_alone
from tests.support.engine import output
from tests.support.files import DOCKER, read_env, read_yaml
from tests.support.fleet_files import samples
from tools.standin_images import BASE

OVERLAY: dict[str, Any] = read_yaml(DOCKER / "compose.containers.yaml")
PROXY = (DOCKER / "containers" / "haproxy.cfg").read_text(encoding="utf-8")
PYTHON = read_env(DOCKER / "versions.env")[BASE]
PROJECT = f"ml-monitoring-test-containers-{os.getpid()}"
CONTAINER = f"{PROJECT}-containers-proxy-1"
CRASHING = f"{PROJECT}-crashing"


def test_only_the_exporter_reaches_the_proxy_which_alone_has_the_socket() -> None:
    services = OVERLAY["services"]
    assert OVERLAY["networks"] == {"containers-api": {"internal": True}}
    members = [name for name, service in services.items() if "containers-api" in service["networks"]]
    assert members == ["containers-proxy", "exporter"]
    with_socket = [name for name, service in services.items() if "docker.sock" in str(service.get("volumes"))]
    assert with_socket == ["containers-proxy"]
    assert re.match(r"[1-9]\d*:", services["containers-proxy"]["user"])
    assert (
        services["exporter"]["environment"]["ML_MONITORING_SOURCES__CONTAINERS__URL"] == "http://containers-proxy:2375"
    )


def test_the_proxy_refuses_all_but_reads_of_settings_and_statistics() -> None:
    (pattern,) = re.findall(r"^ *acl known path -m reg (\S+)$", PROXY, re.MULTILINE)
    assert "http-request deny deny_status 403 unless reads known" in PROXY
    known = re.compile(pattern)
    assert all(
        known.search(path) for path in ("/containers/json", "/containers/f00/json", "/v1.51/containers/f00/stats")
    )
    for path in (
        "/containers/f00/logs",
        "/containers/f00/archive",
        "/containers/f00/top",
        "/events",
        "/networks",
        "/info",
    ):
        assert not known.search(path), path


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Start the proxy and a container that crashes; give the proxy's address."""
    with proxy_alone(PROJECT, overlay="containers", service="containers-proxy"):
        try:
            output(
                [
                    *("docker", "run", "--detach", f"--name={CRASHING}", "--memory=32m", "--restart=always"),
                    *(f"--label=com.docker.compose.project={PROJECT}", "--label=com.docker.compose.service=crashing"),
                    *(PYTHON, "python3", "-c", "import time; time.sleep(0.5); raise SystemExit(1)"),
                ]
            )
            networks = json.loads(
                output(["docker", "inspect", "--format={{json .NetworkSettings.Networks}}", CONTAINER])
            )
            yield networks[f"{PROJECT}_containers-api"]["IPAddress"]
        finally:
            output(["docker", "rm", "--force", CRASHING])


@pytest.mark.stack
def test_the_source_shows_what_the_engine_knows(address: str) -> None:
    source = ContainersSource(ContainersSettings(url=f"http://{address}:2375", project=PROJECT))
    deadline = time.monotonic() + 60
    crashing = f'{{compose_service="crashing",container_name="{CRASHING}"}}'
    while True:
        families = source.collect()
        shown = samples(families)
        if shown[f"docker_container_restarts_total{crashing}"] >= 2 or time.monotonic() > deadline:
            break
        time.sleep(1)
    assert families.problems == []
    assert shown[f"docker_container_restarts_total{crashing}"] >= 2
    assert shown[f"docker_container_memory_limit_bytes{crashing}"] == 32 * 1024**2
    proxy = f'{{compose_service="containers-proxy",container_name="{CONTAINER}"}}'
    assert shown[f"docker_container_running{proxy}"] == 1
    assert shown[f"docker_container_healthy{proxy}"] == 1
    assert shown[f"docker_container_restarts_total{proxy}"] == 0
    assert shown[f"docker_container_memory_limit_bytes{proxy}"] == 64 * 1024**2
    assert 0 < shown[f"docker_container_memory_bytes{proxy}"] < 64 * 1024**2
    assert 0 < shown[f"docker_container_cpu_seconds_total{proxy}"] < 60
    started = shown[f"docker_container_start_timestamp_seconds{proxy}"]
    assert 0 < time.time() - started < 600
    # The other containers of the machine are none of this project.
    assert {re.findall(r'container_name="([^"]+)"', one)[0] for one in shown} == {CONTAINER, CRASHING}


@pytest.mark.stack
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/containers/NAME/stop"),
        ("POST", "/containers/create"),
        ("DELETE", "/containers/NAME?force=1"),
        ("POST", "/containers/NAME/json"),
        ("GET", "/containers/NAME/logs?stdout=1"),
        ("GET", "/containers/NAME/archive?path=/etc/passwd"),
        ("GET", "/events"),
        ("GET", "/info"),
    ],
)
def test_all_else_is_refused(address: str, method: str, path: str) -> None:
    with contextlib.closing(http.client.HTTPConnection(address, 2375, timeout=5)) as connection:
        connection.request(method, path.replace("NAME", CONTAINER))
        assert connection.getresponse().status == 403
