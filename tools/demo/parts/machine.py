"""The machine that the demo runs on, and the PostgreSQL server of its variant system."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ml_monitoring.alerting.domains import load_thresholds
from tools.demo.parts.base import Contribution, Look, Place, PortUse
from tools.packages import MissingProgram, ensure_programs
from tools.processes import Process, free_port, http_ok

# Disks, and not what programs mount for themselves.
_DISKS = ("--collector.filesystem.mount-points-exclude=^/(dev|proc|run|snap|sys|tmp|var/lib/(docker|containers))($|/)",)


class Machine:
    """The part; node exporter and postgres exporter, where the distribution has them."""

    name = "machine"
    doing = "starting exporters of this machine and of the PostgreSQL server"
    ports: Sequence[PortUse] = ()

    def prepare(self, place: Place) -> Contribution:
        """Start the exporters; the part `variants`, which comes before, has the server."""
        try:
            programs = ensure_programs(["node-exporter", "postgres-exporter"])
        except MissingProgram as error:
            place.say(f"without figures of the machine: {error}")
            return Contribution()
        # The driver of the exporter asks for TLS unless told otherwise, and the server of the demo has none.
        database = (place.directory.parent / "variants" / "uri").read_text(encoding="utf-8") + "?sslmode=disable"
        return Contribution(
            jobs=(
                _start(place, "node", programs["node-exporter"], _DISKS, {}),
                # In the environment, not among the arguments: it holds the password.
                _start(place, "postgres", programs["postgres-exporter"], (), {"DATA_SOURCE_NAME": database}),
            ),
            # The machine is no demo: what lasts for seconds, as while the demo starts, is no reason for an alert.
            thresholds={
                "alerts": {
                    name: {"for": numbers.for_}
                    for name, numbers in load_thresholds().alerts.items()
                    if name.startswith("Host")
                }
            },
            looks=(Look("How busy this machine is, and what is left of its disks:", page="system-infrastructure"),),
        )


def _start(
    place: Place, job: str, program: Path, options: Sequence[str], environment: dict[str, str]
) -> dict[str, object]:
    """Start an exporter; return what Prometheus scrapes."""
    address = f"127.0.0.1:{free_port()}"
    url = f"http://{address}/metrics"
    process = Process(
        f"the {job} exporter",
        [program, f"--web.listen-address={address}", *options],
        log=place.logs / f"{job}-exporter.log",
        env=environment,
        healthy=lambda: http_ok(url),
    )
    place.run(f"{job.capitalize()} exporter", "", process)
    return {"job_name": job, "static_configs": [{"targets": [address]}]}
