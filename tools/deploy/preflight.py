"""What a deployment needs, tried before anything is changed."""

from __future__ import annotations

import ipaddress
import json
import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from exporter.suggestions import suggestion
from tools.deploy import certificates, database
from tools.deploy.engine import DOCKER, VERSIONS, DeployError, Stack, compose_program, read_env, run
from tools.deploy.result import Result

_COMPOSE = (2, 24)
_DISK = 5 * 1024**3
_MEMORY = 4 * 1024**3
# What overlays want besides; without it the engine ends containers when they are busy.
_MORE_MEMORY = {"demo": 4 * 1024**3, "logs": 3 * 1024**3 // 2, "render": 1024**3, "scale": 1024**3}
_SIZES = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4, "PB": 1024**5, "EB": 1024**6}
# What the values of settings look like: how the names end, the form, and what a value is not.
_FORMS = (
    (("_PORT",), r"0*[1-9]\d*", "a port"),
    (("_RETENTION_SIZE",), r"\d+[KMGTPE]?B", "a size such as 512MB or 10GB"),
    (("_MEMORY",), r"\d+[kmg]b?", "a size such as 512m or 2g"),
    (("PROMETHEUS_RETENTION", "ALERT_LOG_RETENTION"), r"(\d+(ms|[smhdwy]))+", "a duration such as 12h, 30d or 1y"),
    # Of VictoriaMetrics, where a number alone counts months.
    (("LOGS_RETENTION", "VICTORIAMETRICS_RETENTION"), r"\d+(\.\d+)?[hdwy]?", "a duration such as 14d or 1y"),
    (("TRACES_URL",), r"(https?://[^/\s].*)?", "an address with http:// or https://"),
)
_LINKS = frozenset({"GRAFANA_URL", "RUNBOOKS_URL", "LOGS_URL"})
# Settings that are no variables of the Compose files.
_OWN = frozenset({"WITH"})


def check(stack: Stack) -> Iterator[Result]:
    """Try everything; what cannot be tried because of an earlier failure is left out."""
    engine = _engine()
    yield engine
    compose = _compose() if engine.ok else None
    if compose:
        yield compose
    settings = judge_settings(stack)
    yield settings
    if compose and compose.ok and settings.ok:
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


def judge_settings(stack: Stack) -> Result:
    """Return the verdict on the deployment's settings."""
    try:
        given = read_env(stack.folder / ".env")
        overlays = [path.name for path in stack.overlays]
    except DeployError as error:
        return Result("settings", False, str(error))
    known = {*read_env(DOCKER / ".env.example"), *read_env(VERSIONS), *_OWN}
    # Those of overlays that are not chosen may stay where they are.
    files = {*DOCKER.glob("compose.*.yaml"), *stack.overlays}
    known |= {name for path in files for name in re.findall(r"\$\{(\w+)", path.read_text(encoding="utf-8"))}
    problems = [
        f"{name}: is read from the environment of `make deploy`, or is one of `links` in docker/alerting.yml"
        if name in _LINKS
        else f"{name}: unknown setting{suggestion(name, known)}"
        for name in given
        if name not in known
    ]
    address = stack.settings["BIND_ADDRESS"]
    try:
        loopback = ipaddress.ip_address(address).is_loopback
    except ValueError:
        problems.append(f"BIND_ADDRESS={address}: not an IP address")
        loopback = True
    for name, value in (stack.settings | given).items():
        form = next(((form, text) for ends, form, text in _FORMS if name.endswith(ends)), None)
        if form and not (re.fullmatch(form[0], value) and (form[1] != "a port" or int(value) < 65536)):
            problems.append(f"{name}={value}: not {form[1]}")
    if problems:
        return Result("settings", False, "; ".join(problems))
    found = f"{stack.folder / '.env'}" if given else "defaults"
    text = f"{found}{', with ' + ', '.join(overlays) if overlays else ''}"
    if own := [name for name, image in read_env(VERSIONS).items() if given.get(name, image) != image]:
        text += f"; in place of the pinned version: {', '.join(own)}"
    if not loopback:
        text += f"; published on {address}, where Prometheus and Alertmanager let everybody in"
    return Result("settings", True, text, warning=not loopback)


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
