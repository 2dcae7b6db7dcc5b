"""One deployment: its settings, the Compose command that they make, and calls from inside its networks."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from exporter.suggestions import suggestion_or_all

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
VERSIONS = DOCKER / "versions.env"
PROJECT = "ml-monitoring"
# Where tools.standin_images unpacks Compose for machines whose Docker lacks it.
_UNPACKED_COMPOSE = ROOT / ".tools" / "docker" / "docker-compose"
_TIMEOUT = 1800.0
# Name and value as Compose reads them, which is more than `docker run` takes.
_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*[=:]\s*(.*?)\s*")
# A value as Compose reads it: in quotes, or up to a comment.
_VALUE = re.compile(r"""^(?:"([^"]*)"|'([^']*)'|(.*?))(?:(?:^|\s+)#.*)?$""")
# Runs in the exporter's container, which is on the network of every service that answers over HTTP: so a deployment
# can be verified whatever it publishes. What it is asked comes by standard input, as it may hold a password.
_CALL = """
import json, sys, urllib.error, urllib.request
asked = json.load(sys.stdin)
request = urllib.request.Request(asked["url"], asked["body"] and asked["body"].encode(), asked["headers"])
try:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=15) as answer:
        status, body = answer.status, answer.read()
except urllib.error.HTTPError as error:
    status, body = error.code, error.read()
except OSError as error:
    status, body = 0, str(error).encode()
json.dump({"status": status, "body": body.decode(errors="replace")}, sys.stdout)
"""


class DeployError(Exception):
    """Report what is wrong with a deployment, in words for the person who runs it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service of the stack answered.

    Attributes:
        status: HTTP status; 0 when there was no answer.
        body: Text, or the reason why there was none.
    """

    status: int
    body: str

    def json(self) -> Any:
        """Return the parsed body.

        Raises:
            DeployError: It is not JSON, or the status is no success.
        """
        if not 200 <= self.status < 300:
            raise DeployError(f"answers {self.status or 'nothing'}: {self.body.strip()[:300]}")
        try:
            return json.loads(self.body)
        except ValueError:
            raise DeployError(f"answers no JSON: {self.body[:100]!r}") from None


class Stack:
    """A deployment.

    Attributes:
        folder: What belongs to it and is not committed: `.env`, `alerting.yml`, `secrets/`, `run/`, `backups/`.
        project: Name in front of its containers, volumes and networks.
    """

    def __init__(self, folder: Path = DOCKER, project: str = PROJECT, overlays: Iterable[str] | None = None) -> None:
        """Describe the deployment; nothing is run yet.

        Args:
            folder: See above.
            project: See above.
            overlays: Overlays instead of those that the settings name.
        """
        self.folder = folder.resolve()
        self.project = project
        self._overlays = None if overlays is None else list(overlays)

    @cached_property
    def settings(self) -> dict[str, str]:
        """Return the settings: the environment before `.env` before the pinned versions and the example's values."""
        merged = read_env(DOCKER / ".env.example") | read_env(VERSIONS)
        merged |= read_env(self.folder / ".env")
        return merged | {name: value for name, value in os.environ.items() if name in merged}

    def place_of(self, name: str) -> str:
        """Return which line of `.env` gives a setting, for the front of a message; empty where none does."""
        path = self.folder / ".env"
        # Variables of the environment go before the file.
        _, line = ("", 0) if name in os.environ else read_env_lines(path).get(name, ("", 0))
        return f"{path}:{line}: " if line else ""

    @property
    def secrets(self) -> Path:
        """Return the folder of secrets."""
        return self.folder / "secrets"

    @property
    def generated(self) -> Path:
        """Return the folder of what Prometheus and Alertmanager read."""
        return self.folder / "run" / "alerting"

    @property
    def dashboards(self) -> Path:
        """Return the folder of what Grafana shows."""
        return self.folder / "run" / "dashboards"

    @property
    def own_alerting(self) -> Path:
        """Return the file of the user's own numbers, teams and channels; it need not be there."""
        return self.folder / "alerting.yml"

    @property
    def targets(self) -> Path:
        """Return the folder of the user's own services that Prometheus scrapes, the same for each deployment."""
        return DOCKER / "targets"

    @property
    def extensions(self) -> Path:
        """Return the folder of the user's own rules, alerts, pages and panels; it need not be there."""
        return self.folder / "extensions"

    @property
    def overlays(self) -> list[Path]:
        """Return the files of the chosen overlays, and that of own runbooks where there are some.

        Raises:
            DeployError: There is no such overlay.
        """
        names = overlay_names(self.settings.get("WITH", "")) if self._overlays is None else self._overlays
        paths = [Path(name) if name.endswith((".yaml", ".yml")) else DOCKER / f"compose.{name}.yaml" for name in names]
        for name, path in zip(names, paths, strict=True):
            if not path.is_file():
                what = (
                    f"overlay of that name{suggestion_or_all(name, known_overlays())}"
                    if path.parent == DOCKER
                    else "such file"
                )
                place = self.place_of("WITH") if self._overlays is None else ""
                raise DeployError(f"{place}WITH={name}: there is no {what}")
        runbooks = [DOCKER / "compose.extensions.yaml"] if (self.extensions / "runbooks").is_dir() else []
        # Each once, in its order.
        return list(dict.fromkeys([*(path.resolve() for path in paths), *runbooks]))

    def has_overlay(self, name: str) -> bool:
        """Tell whether an overlay is chosen."""
        return DOCKER / f"compose.{name}.yaml" in self.overlays

    def as_deployed(self) -> Stack:
        """Return the deployment with the overlays that its containers were made with; itself when there are none."""
        label = '{{.Label "com.docker.compose.project.config_files"}}'
        project = f"label=com.docker.compose.project={self.project}"
        service = "label=com.docker.compose.service=exporter"
        printed = run(["docker", "ps", "--all", f"--filter={project}", f"--filter={service}", f"--format={label}"])
        files = printed.strip().partition("\n")[0].split(",")
        if files[0] != str(DOCKER / "compose.yaml") or not all(Path(file).is_file() for file in files):
            return self
        return Stack(self.folder, self.project, files[1:])

    @cached_property
    def command(self) -> list[str]:
        """Return the Compose command with the stack's files."""
        files = [DOCKER / "compose.yaml", *self.overlays]
        return [
            *compose_program(),
            f"--project-name={self.project}",
            f"--project-directory={DOCKER}",
            f"--env-file={VERSIONS}",
            *([f"--env-file={self.folder / '.env'}"] if (self.folder / ".env").is_file() else []),
            *(f"--file={path}" for path in files),
        ]

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that Compose needs beside the settings."""
        own = {
            "GENERATED_DIR": str(self.generated),
            "DASHBOARDS_DIR": str(self.dashboards),
            "SECRETS_DIR": str(self.secrets),
            "EXTENSIONS_DIR": str(self.extensions),
            "REVISION": revision(),
        }
        given = read_env(self.folder / ".env") | os.environ
        if "DOCKER_SOCKET_GROUP" not in given:
            own["DOCKER_SOCKET_GROUP"] = socket_group(Path(given.get("DOCKER_SOCKET", "/var/run/docker.sock")))
        return {**os.environ, **own}

    def compose(self, *arguments: str, show: bool = False, stdin: str | None = None) -> str:
        """Run Compose and return what it prints.

        Args:
            arguments: Command and options.
            show: Let it print to the terminal instead, and return nothing.
            stdin: What it reads.

        Raises:
            DeployError: It failed.
        """
        return run([*self.command, *arguments], env=self.environment, show=show, stdin=stdin)

    @cached_property
    def services(self) -> dict[str, dict[str, Any]]:
        """Return the services of the Compose files with their overlays."""
        services: dict[str, dict[str, Any]] = json.loads(self.compose("config", "--format=json"))["services"]
        return services

    def containers(self) -> list[dict[str, Any]]:
        """Return what Compose says of each container, those that ended included."""
        text = self.compose("ps", "--all", "--format=json").strip()
        # One list in older releases, one object a line in newer ones.
        rows = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
        return list(rows)

    def call(
        self, url: str, *, body: str | None = None, user: str = "", password: str = "", service: str = "exporter"
    ) -> Answer:
        """Call a service from inside the stack's networks; a body makes it a POST of JSON."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if user:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        asked = json.dumps({"url": url, "body": body, "headers": headers})
        try:
            text = self.compose("exec", "--no-TTY", service, "/opt/venv/bin/python", "-c", _CALL, stdin=asked)
        except DeployError as error:
            return Answer(0, str(error))
        answer = json.loads(text)
        return Answer(answer["status"], answer["body"])

    def image(self, service: str) -> str:
        """Return the name of a service's image."""
        return str(self.services[service]["image"])

    def volumes(self) -> set[str]:
        """Return the names of the stack's volumes that there are, without the project's."""
        label = f"label=com.docker.compose.project={self.project}"
        printed = run(["docker", "volume", "ls", f"--filter={label}", "--format={{.Name}}"])
        return {name.removeprefix(f"{self.project}_") for name in printed.split()}

    def volume(self, name: str) -> str:
        """Return the engine's name of a volume of the stack."""
        return f"{self.project}_{name}"


def known_overlays() -> list[str]:
    """Return the names of the overlays that there are."""
    return sorted(path.name.split(".")[1] for path in DOCKER.glob("compose.*.yaml"))


def overlay_names(text: str) -> list[str]:
    """Return the names of overlays, between which there are blanks or commas."""
    return text.replace(",", " ").split()


def revision() -> str:
    """Return the git revision of the checkout, for the images that are built from it; empty when it is not known."""
    try:
        return run(["git", "-C", str(ROOT), "rev-parse", "HEAD"]).strip()
    except DeployError:
        return ""


def socket_group(socket: Path) -> str:
    """Return the group that may use the Docker socket, as a container sees it."""
    try:
        owner = socket.stat()
    except OSError:
        # An engine on another machine; the settings have to say.
        return "0"
    # An engine without root runs containers whose root is the owner of the socket.
    return str(owner.st_gid) if owner.st_uid == 0 else "0"


def read_env(path: Path) -> dict[str, str]:
    """Return the variables of an env file; nothing when there is none.

    Raises:
        DeployError: A line is not one.
    """
    return {name: value for name, (value, _line) in read_env_lines(path).items()}


def read_env_lines(path: Path) -> dict[str, tuple[str, int]]:
    """Return the variables of an env file, each with its line; see `env_entries`."""
    return {name: (value, line) for name, value, line in env_entries(path)}


def env_entries(path: Path) -> list[tuple[str, str, int]]:
    """Return name, value and line of each entry of an env file, of which the last of a name goes; none without a file.

    Raises:
        DeployError: A line is not one, or the file cannot be read.
    """
    if not path.exists():
        return []
    try:
        # Compose, too, takes a byte order mark.
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DeployError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'is no text'}") from None
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise DeployError(f"{path}:{number}: neither NAME=value nor a comment")
        found.append((match[1], _VALUE.sub(r"\1\2\3", match[2]), number))
    return found


def has_image(name: str) -> bool:
    """Tell whether the engine has an image of that name."""
    try:
        run(["docker", "image", "inspect", "--format={{.Id}}", name], timeout=60)
    except DeployError:
        return False
    return True


def run_in_image(image: str, script: str, *, volume: str, powers: Sequence[str] = (), write: bool = False) -> list[str]:
    """Return the command that runs a shell script in an image, as root with a volume as /data and nothing else at hand.

    Args:
        image: Its name; the engine must have it.
        script: What the shell runs.
        volume: The engine's name of the volume.
        powers: Capabilities, which root of this container has none of otherwise.
        write: Whether the script changes the volume.
    """
    return [
        *("docker", "run", "--rm", "--interactive", "--network=none", "--read-only", "--user=0:0", "--cap-drop=ALL"),
        *(f"--cap-add={power}" for power in powers),
        f"--volume={volume}:/data{'' if write else ':ro'}",
        *("--entrypoint=/bin/sh", image, "-c", script),
    ]


def compose_program() -> list[str]:
    """Return the command that runs Docker Compose 2.

    Raises:
        DeployError: There is none.
    """
    if shutil.which("docker") is not None:
        done = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        if done.returncode == 0:
            return ["docker", "compose"]
    if not _UNPACKED_COMPOSE.exists():
        raise DeployError("Docker Compose 2 is not installed (package docker-compose-plugin)")
    return [str(_UNPACKED_COMPOSE)]


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    show: bool = False,
    stdin: str | None = None,
    timeout: float = _TIMEOUT,
) -> str:
    """Run a command and return its output.

    Raises:
        DeployError: It is not there, failed, or took too long.
    """
    try:
        done = subprocess.run(
            command, env=env, input=stdin or "", capture_output=not show, text=True, check=False, timeout=timeout
        )
    except FileNotFoundError:
        raise DeployError(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise DeployError(f"{' '.join(command[:2])} took longer than {timeout:.0f} s") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout or "").strip().splitlines()
        raise DeployError("\n".join(said[-12:]) or f"{command[0]} ended with status {done.returncode}")
    return done.stdout or ""
