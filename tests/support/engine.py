"""A real Docker engine, spoken to by its command line."""

import os
import subprocess
import urllib.request
from collections.abc import Mapping

from tests.support.files import DOCKER
from tools.standin_images import compose_command

TIMEOUT = 900


def compose_for(project: str) -> list[str]:
    """Return the command that runs Docker Compose on the stack's file under a project name of its own."""
    return [
        *compose_command(),
        f"--project-name={project}",
        f"--env-file={DOCKER / 'versions.env'}",
        f"--file={DOCKER / 'compose.yaml'}",
    ]


def output(command: list[str], environment: Mapping[str, str] | None = None, *, stdin: str = "") -> str:
    done = subprocess.run(
        command,
        input=stdin,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def fetch(base: str, path: str) -> str:
    # Addresses of containers are of this machine: no proxy knows them.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{base}{path}", timeout=30) as response:
        return str(response.read().decode())
