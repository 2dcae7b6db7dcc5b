"""The source `containers`: the services of a Compose project as the Docker engine sees them.

It reads lists, settings and statistics of containers and nothing else, so that a proxy can refuse the rest; see
docker/compose.containers.yaml.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Annotated, Any, ClassVar
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator
from typing_extensions import override

from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.families import FamilySet, Problem
from ml_monitoring.exporter.sources.base import Source, SourceSettings
from ml_monitoring.exporter.sources.containers.engine import Engine

_PROJECT = "com.docker.compose.project"
_SERVICE = "com.docker.compose.service"
# Older engines take a second for the statistics of each container.
_AT_ONCE = 16
_NANO = 1e-9
_FRACTION = re.compile(r"\.\d+")


def _address(value: str) -> str:
    if not re.fullmatch(r"http://[^\s/]+|unix:///\S+", value):
        hint = ""
        if socket := re.fullmatch(r"(?:unix:/{0,2})?(/?[\w./-]+\.sock)", value):
            hint = f"; did you mean unix:///{socket[1].lstrip('/')}?"
        elif value.startswith("tcp://"):
            hint = "; write http:// in place of tcp://"
        raise ValueError(f"must be http://host:port or unix:///path/of/docker.sock{hint}")
    if "@" in urlsplit(value).netloc:
        raise ValueError("holds a user or a password, which an engine does not ask for: write http://host:port")
    return value


class ContainersSettings(SourceSettings):
    """Settings of the `containers` source.

    Attributes:
        url: The Docker engine, or a proxy in front of it.
        project: Only containers of this Compose project; by default all.
    """

    url: Annotated[str, AfterValidator(_address)]
    project: str = ""


class ContainersSource(Source):
    """Reads one Docker engine.

    Args:
        settings: What to read.
    """

    name: ClassVar[str] = "containers"
    Settings: ClassVar[type[SourceSettings]] = ContainersSettings

    def __init__(self, settings: ContainersSettings) -> None:
        self._settings = settings
        self._engine = Engine(settings.url, settings.timeout)

    @override
    def collect(self) -> FamilySet:
        """Read every container once."""
        self._engine.ready()
        families = FamilySet(self.name, max_series=self._settings.max_series)
        listed = self._list()
        with ThreadPoolExecutor(max_workers=min(_AT_ONCE, len(listed) or 1), thread_name_prefix="containers") as pool:
            read = list(pool.map(self._read, listed))
        for found in sorted(read, key=lambda pair: str(pair[0].get("Name")) if pair else ""):
            if found is not None:
                _add(families, *found)
        return families

    @override
    def check(self) -> str:
        """Count the containers."""
        self._engine.ready()
        listed = self._list()
        if not listed and self._settings.project:
            said = f"there is no container of the project {self._settings.project}"
            raise SourceError(Reason.INVALID_VALUE, said, hint="is it started?", setting=("project",))
        running = sum(1 for one in listed if one.get("State") == "running")
        whose = f" of the project {self._settings.project}" if self._settings.project else ""
        return f"{len(listed)} containers{whose}, {running} running"

    @override
    def abort(self) -> None:
        self._engine.abort()

    def _list(self) -> list[Mapping[str, Any]]:
        query = "all=1"
        if self._settings.project:
            query += f"&filters={quote(json.dumps({'label': [f'{_PROJECT}={self._settings.project}']}))}"
        listed = self._engine.ask(f"/containers/json?{query}")
        if not isinstance(listed, list):
            raise SourceError(
                Reason.SCHEMA, f"{self._settings.url}: gives no list of containers: is it a Docker engine?"
            )
        return listed

    def _read(self, listed: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
        """Return settings and statistics of a container; None when it is gone meanwhile."""
        path = f"/containers/{listed['Id']}"
        settings = self._engine.ask(f"{path}/json")
        if settings is None:
            return None
        stats = self._engine.ask(f"{path}/stats?stream=false&one-shot=true") if settings["State"]["Running"] else None
        return settings, stats or {}


def _add(families: FamilySet, settings: Mapping[str, Any], stats: Mapping[str, Any]) -> None:
    name = str(settings["Name"]).removeprefix("/")
    labels = (str((settings["Config"].get("Labels") or {}).get(_SERVICE) or name), name)
    state = settings["State"]
    try:
        # Between an end and the next start the engine counts a container as running.
        running = state["Running"] and not state["Restarting"]
        families["docker_container_running"].add(float(running), *labels)
        if not running and state["Status"] != "created":
            families["docker_container_exit_code"].add(state["ExitCode"], *labels)
        # Without a check of its own nothing is known of its health, nor before the first is done.
        health = (state.get("Health") or {}).get("Status")
        if health in ("healthy", "unhealthy"):
            families["docker_container_healthy"].add(float(health == "healthy"), *labels)
        families["docker_container_restarts_total"].add(settings["RestartCount"], *labels)
        if running:
            families["docker_container_start_timestamp_seconds"].add(_seconds(state["StartedAt"]), *labels)
        families["docker_container_memory_limit_bytes"].add(settings["HostConfig"]["Memory"] or None, *labels)
        families["docker_container_cpu_seconds_total"].add(_cpu(stats), *labels)
        families["docker_container_memory_bytes"].add(_memory(stats), *labels)
        families["docker_container_processes"].add((stats.get("pids_stats") or {}).get("current"), *labels)
    except (KeyError, TypeError, ValueError) as error:
        families.problems.append(Problem(Reason.SCHEMA, f"container {name}: {type(error).__name__}: {error}"))


def _cpu(stats: Mapping[str, Any]) -> float | None:
    used = (stats.get("cpu_stats") or {}).get("cpu_usage", {}).get("total_usage")
    # The engine gives 0 of a container that ended meanwhile.
    return used * _NANO if used else None


def _memory(stats: Mapping[str, Any]) -> float | None:
    """Return the memory that cannot be taken away: without files that are cached and not in use."""
    memory = stats.get("memory_stats") or {}
    if "usage" not in memory:
        return None
    detail = memory.get("stats") or {}
    # The second is the name of cgroups of version 1.
    cached = detail.get("inactive_file") if "total_inactive_file" not in detail else detail["total_inactive_file"]
    return float(max(0, memory["usage"] - (cached or 0)))


def _seconds(text: str) -> float:
    """Return a time of the engine, whose nanoseconds Python does not read."""
    return datetime.fromisoformat(_FRACTION.sub(lambda digits: digits[0][:7].ljust(7, "0"), text)).timestamp()
