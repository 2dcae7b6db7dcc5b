"""Alerts on containers, from what the Docker engine knows; without the overlay `containers` nobody asks it."""

from __future__ import annotations

from ml_monitoring.alerting.containers.signals import CONTAINER_MEMORY, CONTAINER_RESTARTS, CONTAINER_STATE
from ml_monitoring.alerting.model.alert import Alert, Kind

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="ContainerRestarting",
        condition=(
            "A container ended by itself and was started again more than <threshold> times within an hour, in each of "
            "the last two <window>."
        ),
        signal=CONTAINER_RESTARTS,
        comparison=">",
        # Until its database is there, a container may be started ten times within minutes.
        guards=(
            "sum without (instance) (increase(docker_container_restarts_total[<window>s])) > 0",
            "sum without (instance) (increase(docker_container_restarts_total[<window>s] offset <window>s)) > 0",
        ),
        parameters={"window": Kind.DURATION},
        summary="A container keeps restarting.",
        description='{{ $labels.container_name }} was started again {{ $value | printf "%.0f" }} times within an hour.',
    ),
    Alert(
        name="ContainerUnhealthy",
        condition="A container that should run does not, or its health check fails.",
        signal=CONTAINER_STATE,
        comparison="<",
        summary="A container is unhealthy or down.",
        description="{{ $labels.container_name }} does not run, or its check of health fails.",
    ),
    Alert(
        name="ContainerMemoryNearLimit",
        condition="A container uses more than <threshold> of its memory limit.",
        signal=CONTAINER_MEMORY,
        comparison=">",
        absent=("Containers without a limit have none; when the engine cannot be read, MlMonitoringSourceDown fires."),
        summary="A container is close to its memory limit.",
        description=(
            "{{ $labels.container_name }} uses {{ $value | humanizePercentage }} of the memory that it may have."
        ),
    ),
)
