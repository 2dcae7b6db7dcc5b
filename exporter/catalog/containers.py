"""Metrics of the source `containers`. Not `container_...`: those are cAdvisor's, with other labels."""

from __future__ import annotations

from ml_monitoring.exporter.catalog.base import Metric, Unit, counter, gauge

_ORIGIN = "containers"
# Not `service` and `container`: those are labels of targets on Kubernetes.
_LABELS = ("compose_service", "container_name")


def _gauge(name: str, help: str, unit: Unit) -> Metric:
    return gauge(name, help, unit, *_LABELS, origin=_ORIGIN)


CONTAINER_METRICS = (
    _gauge("docker_container_running", "Whether the container runs.", Unit.FLAG),
    _gauge(
        "docker_container_exit_code",
        "How a container ended that does not run: 0 where it had done its work, or was stopped.",
        Unit.INFO,
    ),
    _gauge(
        "docker_container_healthy",
        "Whether its check of health succeeds; absent without a check, and until the first is done.",
        Unit.FLAG,
    ),
    _gauge("docker_container_start_timestamp_seconds", "When the container was last started.", Unit.TIMESTAMP),
    counter(
        "docker_container_restarts_total",
        "How often the engine started the container again after it ended; starts again at 0 with a new container.",
        Unit.COUNT,
        *_LABELS,
        origin=_ORIGIN,
    ),
    counter(
        "docker_container_cpu_seconds_total",
        "Time that the container's processes ran on a CPU.",
        Unit.SECONDS,
        *_LABELS,
        origin=_ORIGIN,
    ),
    _gauge(
        "docker_container_memory_bytes",
        "Memory of the container without cached files that are not in use.",
        Unit.BYTES,
    ),
    _gauge(
        "docker_container_memory_limit_bytes", "Memory that the container may have; absent without a limit.", Unit.BYTES
    ),
    _gauge("docker_container_processes", "Processes and threads of the container.", Unit.COUNT),
)
