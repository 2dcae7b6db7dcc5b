"""Signals of the page `system-infrastructure` about containers, from the exporter's source `containers`."""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.host.signals import PAGE
from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.exporter.catalog import Unit

_CONTAINER: Final = ("compose_service", "container_name")
_LEGEND = "{{container_name}}"

CONTAINER_STATE: Final = Signal(
    name="container_state",
    title="Containers",
    question="Which containers are running and healthy? Completed ones are left out.",
    # Without a check of health a container is as well as it runs.
    expr=(
        "(min without (instance) (docker_container_healthy{<containers>,<filter>}) "
        "* min without (instance) (docker_container_running{<containers>,<filter>}) "
        "or min without (instance) (docker_container_running{<containers>,<filter>})) "
        "unless max without (instance) (docker_container_exit_code{<containers>,<filter>}) == 0"
    ),
    unit=Unit.FLAG,
    dashboard=PAGE,
    by=_CONTAINER,
    legend=_LEGEND,
)

CONTAINER_CPU: Final = Signal(
    name="container_cpu",
    title="CPU by container",
    question="What share of one core does each container use?",
    expr="sum without (instance) (rate(docker_container_cpu_seconds_total{<containers>,<filter>}[<window>]))",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=_CONTAINER,
    legend=_LEGEND,
)

CONTAINER_MEMORY: Final = Signal(
    name="container_memory",
    title="Memory usage vs limit",
    question="What share of its memory limit does each container use? At 100 % it is OOM-killed.",
    expr=(
        "max without (instance) (docker_container_memory_bytes{<containers>,<filter>}) "
        "/ max without (instance) (docker_container_memory_limit_bytes{<containers>,<filter>})"
    ),
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=_CONTAINER,
    legend=_LEGEND,
)

CONTAINER_RESTARTS: Final = Signal(
    name="container_restarts",
    title="Restarts (1h)",
    question="Which containers exited and were restarted?",
    expr="sum without (instance) (increase(docker_container_restarts_total{<containers>,<filter>}[<window>]))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_CONTAINER,
    legend=_LEGEND,
    window="1h",
)

CONTAINER_AGE: Final = Signal(
    name="container_age",
    title="Uptime",
    question="When was each container last started?",
    expr="time() - max without (instance) (docker_container_start_timestamp_seconds{<containers>,<filter>})",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_CONTAINER,
    legend=_LEGEND,
)

CONTAINER_PROCESSES: Final = Signal(
    name="container_processes",
    title="Processes",
    question="How many processes and threads does each container have? A leak shows here.",
    expr="max without (instance) (docker_container_processes{<containers>,<filter>})",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_CONTAINER,
    legend=_LEGEND,
)

CONTAINER_MEMORY_BYTES: Final = Signal(
    name="container_memory_bytes",
    title="Memory",
    question="How much memory does each container use, without cached files?",
    expr="max without (instance) (docker_container_memory_bytes{<containers>,<filter>})",
    unit=Unit.BYTES,
    dashboard=PAGE,
    by=_CONTAINER,
    legend=_LEGEND,
)
