"""A search service that another team wrote: it carries starlette-exporter, and an adapter reads it as it is."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tools.demo.parts.base import Contribution, Look, Place, PortUse
from tools.processes import Process, http_ok

_PORT = "search"
JOB = "demo-search"


class SearchService:
    """The part."""

    name = "search"
    doing = "starting a second service, which an adapter reads"
    ports: Sequence[PortUse] = (PortUse(_PORT, "demo search service", 9862),)

    def prepare(self, place: Place) -> Contribution:
        """Start the service."""
        port = place.ports[_PORT]
        url = f"http://127.0.0.1:{port}"
        command: list[str | Path] = [sys.executable, "-m", "demo", "search", "--port", str(port)]
        service = Process(
            "the search service",
            command,
            log=place.logs / "search.log",
            healthy=lambda: http_ok(f"{url}/metrics"),
        )
        place.run("Search service (starlette-exporter)", url, service)
        target = {"targets": [f"127.0.0.1:{port}"], "labels": {"origin": "simulated"}}
        return Contribution(
            jobs=({"job_name": JOB, "static_configs": [target]},),
            looks=(
                Look(
                    "Beside it a service without the library, with another middleware, read by an adapter:",
                    page="ml-api",
                ),
            ),
            thresholds={"services": {"adapters": [{"server": "starlette-exporter", "job": JOB}]}},
        )
