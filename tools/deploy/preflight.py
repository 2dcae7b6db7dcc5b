"""What a deployment needs, tried before anything is changed."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tools import bootstrap
from tools.deploy import certificates, database, secrets
from tools.deploy.engine import ROOT, DeployError, Stack, compose_program, run
from tools.deploy.result import Result
from tools.deploy.settings import judge

_VENV = ROOT / ".venv"
_COMPOSE = (2, 24)
_DISK = 5 * 1024**3
_MEMORY = 4 * 1024**3
# What overlays want besides; without it the engine ends containers when they are busy.
_MORE_MEMORY = {"demo": 4 * 1024**3, "logs": 3 * 1024**3 // 2, "render": 1024**3, "scale": 1024**3}
_SIZES = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4, "PB": 1024**5, "EB": 1024**6}


def check(stack: Stack, *, restoring: bool = False) -> Iterator[Result]:
    """Try everything; what cannot be tried because of an earlier failure is left out.

    Args:
        stack: The deployment.
        restoring: Its secrets come from a backup.
    """
    # Needs no engine: what is missing is all said at once.
    compose = _compose()
    yield compose
    engine = _engine()
    yield engine
    settings = judge(stack)
    yield settings
    yield from _unread(stack)
    if settings.ok:
        if not restoring and (wrong := list(secrets.unusable(stack))):
            yield Result("secrets", False, "\n".join(wrong))
        yield from _targets(stack)
    if os.path.lexists(stack.own_alerting):
        yield _alerting(stack, restoring=restoring)
    if compose.ok and engine.ok and settings.ok:
        yield _ports(stack)
        yield database.check(stack)
        if stack.has_overlay("tls"):
            yield certificates.check_files(stack.secrets)
        yield _memory(stack)
        yield from _disk(stack)


def _engine() -> Result:
    try:
        version = run(["docker", "version", "--format", "{{.Server.Version}}"], timeout=60).strip()
    except DeployError as error:
        hint = "start the engine, or set DOCKER_HOST; your user must be allowed to use it (group docker)"
        if shutil.which("docker") is None:
            hint = "install an engine (package docker-ce or docker.io)"
        return Result("docker", False, f"{_last(error)}: {hint}")
    return Result("docker", True, f"engine {version}")


def _compose() -> Result:
    try:
        version = run([*compose_program(), "version", "--short"], timeout=60).strip()
    except DeployError:
        return Result("compose", False, "Docker Compose 2 is not installed (package docker-compose-plugin)")
    if compose_version(version) < _COMPOSE:
        return Result("compose", False, f"{version} is too old: {'.'.join(map(str, _COMPOSE))} or newer is needed")
    return Result("compose", True, version)


def compose_version(text: str) -> tuple[int, int]:
    """Return major and minor number of what `compose version --short` prints; (0, 0) when it is no version."""
    match = re.match(r"v?(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _alerting(stack: Stack, *, restoring: bool) -> Result:
    """Try the user's own numbers, teams and channels where this machine has what reads them; the image does later."""
    own = stack.own_alerting
    if not own.is_file():
        return Result(
            "alerting", False, f"{own}: {'is a folder' if own.is_dir() else 'leads nowhere'}; it must be a file"
        )
    try:
        problems = [] if restoring else list(secrets.wrong_of_channels(stack))
    except (DeployError, OSError, UnicodeDecodeError):
        # Said by the settings, or by what reads the whole file.
        problems = []
    if problems:
        return Result("alerting", False, "\n".join(problems))
    if not _has_packages():
        return Result("alerting", True, f"{own}: tried when the image is built")
    with tempfile.TemporaryDirectory() as folder:
        try:
            _run_module("alerting", "generate", f"--settings={own}", f"--output-dir={folder}")
        except DeployError as error:
            said = re.findall(r"^error: (.*)", str(error), re.MULTILINE)
            return Result("alerting", False, "\n".join(said) or str(error))
    return Result("alerting", True, str(own))


def _has_packages() -> bool:
    return bootstrap.is_current(_VENV, bootstrap.fingerprint(ROOT / "requirements-dev.txt", _VENV))


def _run_module(*command: str) -> str:
    """Run what needs packages, and return what it prints.

    Raises:
        DeployError: It failed.
    """
    return run(
        [str(_VENV / "bin" / "python"), "-m", *command], env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=120
    )


def _targets(stack: Stack) -> Iterator[Result]:
    """Try the lists of the user's own services where this machine has what reads them."""
    # The demo mounts its own in their place.
    files = sorted(stack.targets.glob("*.yml"))
    if files and _has_packages() and not stack.has_overlay("demo"):
        try:
            said = _run_module("tools.deploy.targets", *map(str, files)).strip()
        except DeployError as error:
            yield Result("targets", False, str(error))
        else:
            if said:
                yield Result("targets", True, said, warning=True)
    for path in sorted(stack.targets.iterdir()):
        if path.suffix in (".yaml", ".json"):
            yield Result("targets", True, f"{path}: is not read: Prometheus reads *.yml here", warning=True)


def _unread(stack: Stack) -> Iterator[Result]:
    """Warn of files that stand beside the place where they would be read."""
    for subject, path, meant in (
        ("settings", ROOT / ".env", stack.folder / ".env"),
        ("alerting", stack.own_alerting.with_suffix(".yaml"), stack.own_alerting),
    ):
        if path.is_file() and not os.path.lexists(meant):
            yield Result(subject, True, f"{path}: is not read; did you mean {meant}?", warning=True)


def _ports(stack: Stack) -> Result:
    """Tell whether what is to be published can be; ports of a stack that runs already count as free."""
    address = stack.settings["BIND_ADDRESS"]
    wanted = [
        (name, int(port["published"]))
        for name, service in stack.services.items()
        for port in service.get("ports", [])
        if port.get("published")
    ]
    own = {
        int(publisher["PublishedPort"])
        for container in stack.containers()
        for publisher in container.get("Publishers") or []
        if publisher.get("PublishedPort")
    }
    taken = [(name, port) for name, port in wanted if port not in own and not _is_free(address, port)]
    if taken:
        each = "; ".join(f"{port} ({name}) is taken: set {_setting(name)} in .env" for name, port in taken)
        return Result("ports", False, f"{each}; `ss -ltnp` tells by whom")
    return Result("ports", True, ", ".join(f"{name} {address}:{port}" for name, port in wanted) or "none published")


def _setting(service: str) -> str:
    return f"{service.upper().replace('-', '_')}_PORT"


def _is_free(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True


def _memory(stack: Stack) -> Result:
    memory = int(_info()["MemTotal"])
    more = {name: size for name, size in _MORE_MEMORY.items() if stack.has_overlay(name)}
    return judge_memory(memory, more)


def judge_memory(memory: int, more: Mapping[str, int]) -> Result:
    """Return the verdict on the machine's memory, given what overlays want besides, all in bytes."""
    found = f"{memory / 1024**3:.1f} GiB"
    if memory < _MEMORY:
        return Result("memory", False, f"{found}; at least {_MEMORY // 1024**3} GiB are needed")
    wanted = _MEMORY + sum(more.values())
    if memory < wanted:
        text = f"with {' and '.join(more)}, {wanted / 1024**3:.1f} GiB are wanted: the engine may end busy containers"
        return Result("memory", True, f"{found}; {text}", warning=True)
    return Result("memory", True, found)


def _disk(stack: Stack) -> Iterator[Result]:
    folder = Path(_info()["DockerRootDir"])
    # An engine on another machine: its disk cannot be looked at from here.
    if not folder.is_dir():
        return
    # What Prometheus has taken already counts as used.
    later = 0 if "prometheus-data" in stack.volumes() else size(stack.settings["PROMETHEUS_RETENTION_SIZE"])
    yield judge_disk(shutil.disk_usage(folder).free, later, folder)


def judge_disk(free: int, later: int, folder: Path) -> Result:
    """Return the verdict on a disk, given what Prometheus may still take of it, in bytes."""
    found = f"{free / 1024**3:.1f} GiB free in {folder}"
    if free < _DISK:
        needed = f"at least {_DISK // 1024**3} GiB are needed, and PROMETHEUS_RETENTION_SIZE on top"
        return Result("disk", False, f"{found}; {needed}")
    if free < _DISK + later:
        text = f"{found}; Prometheus may take {later / 1024**3:.0f} GiB: set PROMETHEUS_RETENTION_SIZE in docker/.env"
        return Result("disk", True, text, warning=True)
    return Result("disk", True, found)


def size(text: str) -> int:
    """Return the bytes of a size as Prometheus writes it; 0 when it sets no limit or is none."""
    match = re.fullmatch(r"(\d+)([KMGTPE]?B)", text)
    return int(match[1]) * _SIZES[match[2]] if match else 0


def _info() -> dict[str, Any]:
    info: dict[str, Any] = json.loads(run(["docker", "info", "--format", "{{json .}}"], timeout=60))
    return info


def _last(error: Exception) -> str:
    return str(error).splitlines()[-1]
