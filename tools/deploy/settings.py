"""What is wrong with the settings of a deployment, each with its line in `.env`."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterator, Sequence

from exporter.http_addresses import problem_of
from exporter.suggestions import suggestion
from tools.deploy.engine import DOCKER, VERSIONS, DeployError, Stack, env_entries, read_env
from tools.deploy.result import Result

# What the values of settings look like: how the names end, the form, and what a value is not.
_FORMS = (
    (("_PORT",), r"0*[1-9]\d*", "a port"),
    (("_RETENTION_SIZE",), r"\d+[KMGTPE]?B", "a size such as 512MB or 10GB"),
    # As Docker reads it: 512m, 0.5G, 2gb, 1GiB, or bytes.
    (("_MEMORY",), r"(?i)(\d+(?:\.\d+)?) ?(?:([kmgtp])i?)?b?", "a size such as 512m or 2g"),
    (("PROMETHEUS_RETENTION", "ALERT_LOG_RETENTION"), r"(\d+(ms|[smhdwy]))+", "a duration such as 12h, 30d or 1y"),
    # Of VictoriaMetrics, where a number alone counts months.
    (("LOGS_RETENTION", "VICTORIAMETRICS_RETENTION"), r"\d+(\.\d+)?[hdwy]?", "a duration such as 14d or 1y"),
    (
        ("_IMAGE",),
        # As the engine reads it: host, path, tag and digest.
        r"(?:(?:[\w-]+\.[\w.-]+|[\w.-]+(?=:\d)|localhost)(?::\d+)?/)?(?:[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)"
        r"(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?::\w[\w.-]{0,127})?(?:@[a-z0-9]+:[0-9a-f]{32,})?",
        "the name of an image such as registry.example/postgres:17.2",
    ),
    (("TRACES_URL",), r"(https?://[^/\s].*)?", "an address with http:// or https://"),
)
# The engine starts no container with less than 6 MiB: a number without a unit counts bytes.
_LEAST_MEMORY = 6 * 1024**2
_PORT_WITH_DEFAULT = re.compile(r"\$\{(\w+_PORT):-(\d+)\}")
_LINKS = frozenset({"GRAFANA_URL", "RUNBOOKS_URL", "LOGS_URL"})
# Settings that are no variables of the Compose files.
_OWN = frozenset({"WITH"})
# How names of what is secret end.
_SECRET = ("PASSWORD", "TOKEN", "SECRET", "SECRET_KEY")
# What Compose would read, and this tool gives it as an option.
_PROJECT = "COMPOSE_PROJECT_NAME"


def judge(stack: Stack) -> Result:
    """Return the verdict on the deployment's settings."""
    try:
        entries = env_entries(stack.folder / ".env")
        given = {name: value for name, value, _line in entries}
        overlays = [path.name for path in stack.overlays]
        problems = list(_problems(stack, [(name, line) for name, _value, line in entries]))
    except DeployError as error:
        return Result("settings", False, str(error))
    if problems:
        return Result("settings", False, "\n".join(problems))
    text = f"{stack.folder / '.env' if given else 'defaults'}{', with ' + ', '.join(overlays) if overlays else ''}"
    pinned = read_env(VERSIONS)
    if own := [name for name in pinned if name in given and given[name] != pinned[name]]:
        text += f"; in place of the pinned version: {', '.join(own)}"
    address = stack.settings["BIND_ADDRESS"]
    loopback = ipaddress.ip_address(address).is_loopback
    if not loopback:
        text += f"; published on {address}, where Prometheus and Alertmanager let everybody in"
    return Result("settings", True, text, warning=not loopback)


def _problems(stack: Stack, given: Sequence[tuple[str, int]]) -> Iterator[str]:
    """Yield what is wrong, given the names that are in `.env`, each with its line."""

    def at(name: str) -> str:
        return f"{stack.place_of(name)}{name}={stack.settings[name]}"

    yield from _of_entries(stack, given)
    try:
        ipaddress.ip_address(stack.settings["BIND_ADDRESS"])
    except ValueError:
        yield f"{at('BIND_ADDRESS')}: not an IP address; write 127.0.0.1 for this machine alone, 0.0.0.0 for everybody"
    for name in sorted(_LINKS):
        # As the generator says it, when the images are built.
        if problem := os.environ.get(name) and problem_of(os.environ[name]):
            yield f"{name}: {problem}"
    for name, value in stack.settings.items():
        _, form, what = next((one for one in _FORMS if name.endswith(one[0])), ("", "", ""))
        found = re.fullmatch(form, value) if form else None
        if form and (found is None or (name.endswith("_PORT") and int(value) > 65535)):
            yield f"{at(name)}: not {what}"
        elif found and name.endswith("_MEMORY") and _bytes(found) < _LEAST_MEMORY:
            yield f"{at(name)}: no container starts with less than 6m; units are k, m and g"
    for name, *others in _same_port(stack):
        yield f"{at(name)}: is the port of {' and '.join(others)} as well"


def _of_entries(stack: Stack, given: Sequence[tuple[str, int]]) -> Iterator[str]:
    """Yield the entries of `.env` that nothing reads, or not as they stand there."""
    known = {*read_env(DOCKER / ".env.example"), *read_env(VERSIONS), *_OWN}
    # Those of overlays that are not chosen may stay where they are.
    files = {*DOCKER.glob("compose.*.yaml"), *stack.overlays}
    known |= {name for path in files for name in re.findall(r"\$\{(\w+)", path.read_text(encoding="utf-8"))}
    lines: dict[str, int] = {}
    for name, line in given:
        if name in lines:
            said = f"is given in line {lines[name]} already; keep one of them"
        elif name == _PROJECT:
            said = "is --project of `python3 -m tools.deploy`"
        elif name in _LINKS:
            said = "is read from the environment of `make deploy`, or is one of `links` in docker/alerting.yml"
        elif name not in known:
            secret = f"; passwords are files of {stack.secrets}/" if name.endswith(_SECRET) else ""
            said = f"unknown setting{secret or suggestion(name, known)}"
        else:
            said = ""
        lines.setdefault(name, line)
        if said:
            yield f"{stack.folder / '.env'}:{line}: {name}: {said}"


def _bytes(memory: re.Match[str]) -> float:
    power = "kmgtp".index(memory[2].lower()) + 1 if memory[2] else 0
    return float(memory[1]) * 1024.0**power


def _same_port(stack: Stack) -> Iterator[list[str]]:
    """Yield the settings that publish on one port, first those that are given."""
    defaults: dict[str, str] = {}
    for path in (DOCKER / "compose.yaml", *stack.overlays):
        defaults |= _PORT_WITH_DEFAULT.findall(path.read_text(encoding="utf-8"))
    names: dict[str, list[str]] = {}
    for name, default in defaults.items():
        names.setdefault(stack.settings.get(name, default).lstrip("0"), []).append(name)
    for same in names.values():
        if len(same) > 1:
            yield sorted(same, key=lambda name: stack.settings.get(name) in (None, defaults[name]))
