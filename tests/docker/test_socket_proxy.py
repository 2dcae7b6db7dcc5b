"""The proxy in front of the Docker socket, in a real engine: reads get through, and nothing else."""

import json
import os
from collections.abc import Iterator

import pytest

from tests.support.deployment import proxy_alone
from tests.support.engine import output
from tests.support.files import DOCKER, read_env
from tools.deploy.engine import Stack
from tools.standin_images import BASE

pytestmark = pytest.mark.stack

PYTHON = read_env(DOCKER / "versions.env")[BASE]
PROJECT = f"ml-monitoring-test-proxy-{os.getpid()}"
NETWORK = f"{PROJECT}_docker-api"
VICTIM = f"{PROJECT}-docker-proxy-1"

# Prints the status of each request that comes by standard input; 0 where nothing answers.
_ASK = """
import http.client, json, sys
found = []
for host, method, path, body in json.load(sys.stdin):
    connection = http.client.HTTPConnection(host, 2375, timeout=5)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        found.append(connection.getresponse().status)
    except OSError:
        found.append(0)
print(json.dumps(found))
"""
# Follows a log for as long as it takes to see a line that was not there before.
_FOLLOW = """
import sys, urllib.error, urllib.request
proxy, name = sys.argv[1:]
stream = urllib.request.urlopen(f"http://{proxy}:2375/containers/{name}/logs?follow=1&stdout=1&tail=0", timeout=20)
try:
    urllib.request.urlopen(f"http://{proxy}:2375/followed", timeout=5)
except urllib.error.HTTPError:
    pass
print(stream.readline().decode(errors="replace"))
"""

READS = [
    "/_ping",
    "/containers/json?all=1",
    "/v1.41/containers/json",
    f"/containers/{VICTIM}/json",
    f"/containers/{VICTIM}/logs?stdout=1",
    "/events?since=1&until=2",
    "/networks",
    f"/networks/{NETWORK}",
]
# Reads too, but of more than anybody who collects logs needs.
OTHER_READS = [
    "/info",
    "/version",
    "/images/json",
    "/volumes",
    "/secrets",
    "/configs",
    "/swarm",
    "/system/df",
    "/plugins",
    f"/containers/{VICTIM}/archive?path=/etc/passwd",
    f"/containers/{VICTIM}/export",
    f"/containers/{VICTIM}/attach/ws?stream=1",
    f"/containers/{VICTIM}/top",
    f"/containers/{VICTIM}/changes",
    f"/containers/../containers/{VICTIM}/top",
    "/containers/%2e%2e/info",
]
WRITES = [
    ("POST", "/containers/create"),
    *(("POST", f"/containers/{VICTIM}/{what}") for what in ("start", "stop", "kill", "restart", "pause", "update")),
    *(("POST", f"/containers/{VICTIM}/{what}") for what in ("exec", "attach?stream=1&stdin=1", "rename?name=x")),
    ("PUT", f"/containers/{VICTIM}/archive?path=/tmp"),
    ("DELETE", f"/containers/{VICTIM}?force=1"),
    ("POST", "/containers/prune"),
    ("POST", "/images/create?fromImage=x"),
    ("DELETE", "/images/x"),
    ("POST", "/build"),
    ("POST", "/networks/create"),
    ("POST", f"/networks/{NETWORK}/connect"),
    ("DELETE", f"/networks/{NETWORK}"),
    ("POST", "/volumes/create"),
    ("POST", "/swarm/init"),
    # What may be read may not be written.
    *((method, "/containers/json") for method in ("POST", "PUT", "DELETE", "PATCH")),
]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with proxy_alone(PROJECT, overlay="logs", service="docker-proxy") as stack:
        yield stack


def ask(requests: list[tuple[str, str]], *, host: str = "docker-proxy", network: str = NETWORK) -> dict[str, int]:
    command = ["docker", "run", "--rm", "--interactive", f"--network={network}", PYTHON, "python3", "-c", _ASK]
    stdin = json.dumps([(host, method, path, "{}" if method != "GET" else None) for method, path in requests])
    statuses = json.loads(output(command, stdin=stdin))
    return {f"{method} {path}": status for (method, path), status in zip(requests, statuses, strict=True)}


def test_what_alloy_reads_is_answered(stack: Stack) -> None:
    answers = ask([("GET", path) for path in READS])
    assert answers == {f"GET {path}": 200 for path in READS}


def test_every_write_is_refused_and_changes_nothing(stack: Stack) -> None:
    def state() -> str:
        return output(
            ["docker", "inspect", "--format={{.Id}} {{.State.StartedAt}} {{.State.Status}} {{.Name}}", VICTIM]
        )

    before = state()
    assert set(ask(WRITES).values()) == {403}
    assert state() == before


def test_reads_that_hand_out_more_are_refused(stack: Stack) -> None:
    assert ask([("GET", path) for path in OTHER_READS]) == {f"GET {path}": 403 for path in OTHER_READS}


def test_a_log_can_be_followed_and_what_is_refused_is_in_the_proxys_own(stack: Stack) -> None:
    command = [
        "docker",
        "run",
        "--rm",
        f"--network={NETWORK}",
        PYTHON,
        "python3",
        "-c",
        _FOLLOW,
        "docker-proxy",
        VICTIM,
    ]
    assert "level=warning msg=refused method=GET path=/followed status=403" in output(command)


def test_nobody_outside_of_its_network_reaches_the_proxy(stack: Stack) -> None:
    networks = json.loads(output(["docker", "inspect", "--format={{json .NetworkSettings.Networks}}", VICTIM]))
    assert list(networks) == [NETWORK]
    answers = ask([("GET", "/_ping")], host=networks[NETWORK]["IPAddress"], network="bridge")
    assert answers == {"GET /_ping": 0}


def test_the_proxy_has_no_rights(stack: Stack) -> None:
    status = stack.compose("exec", "--no-TTY", "docker-proxy", "cat", "/proc/1/status")
    assert "CapEff:\t0000000000000000\n" in status
    assert "Uid:\t99\t99\t99\t99\n" in status
