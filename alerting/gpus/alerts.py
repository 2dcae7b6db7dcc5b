"""Alerts on GPUs: hot, throttled, broken, or held and not used."""

from __future__ import annotations

from ml_monitoring.alerting.gpus.signals import (
    GPU_EXPORTER_UP,
    GPU_IDLE,
    GPU_MEMORY_ERRORS,
    GPU_TEMPERATURE,
    GPU_THROTTLED,
    GPU_XID,
)
from ml_monitoring.alerting.model.alert import Alert

_GPU = "GPU {{ $labels.gpu }} ({{ $labels.modelName }}) of {{ $labels.Hostname }}"
_ABSENT = "Where the DCGM exporter does not expose it, none; when it does not answer, GpuExporterDown fires."

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="GpuExporterDown",
        condition="A DCGM exporter is down.",
        signal=GPU_EXPORTER_UP,
        comparison="<",
        absent="Without GPUs there is none; when all of a job's targets are gone, MlMonitoringJobVanished fires.",
        summary="A DCGM exporter is down.",
        description=(
            "The DCGM exporter {{ $labels.instance }} did not answer its last scrapes. Nothing is known of the GPUs of "
            "its machine, and alerts on them cannot fire."
        ),
    ),
    Alert(
        name="GpuTemperatureHigh",
        condition="A GPU is hotter than <threshold> °C.",
        signal=GPU_TEMPERATURE,
        comparison=">",
        absent=_ABSENT,
        summary="A GPU is hot.",
        description=f"{_GPU} has {{{{ $value }}}} °C.",
    ),
    Alert(
        name="GpuThrottled",
        condition="A GPU is slowed down all the time because it is hot or not reliable.",
        signal=GPU_THROTTLED,
        comparison=">",
        absent=_ABSENT,
        summary="A GPU is slowed down.",
        description=f"{_GPU} is slowed down: {{{{ $labels.reason }}}}.",
    ),
    Alert(
        name="GpuXidError",
        condition="A GPU reported an error (Xid) within an hour that is not one of a program.",
        signal=GPU_XID,
        comparison=">",
        absent=_ABSENT,
        summary="A GPU reported an error.",
        description=f"{_GPU} reported Xid {{{{ $value }}}}.",
    ),
    Alert(
        name="GpuMemoryFaulty",
        condition="Memory of a GPU had an uncorrectable error within an hour, or its spare rows are used up.",
        signal=GPU_MEMORY_ERRORS,
        comparison=">",
        absent=_ABSENT,
        summary="Memory of a GPU is faulty.",
        description=f"Memory of {_GPU} had an error that cannot be corrected.",
    ),
    Alert(
        name="GpuIdle",
        condition="More than a tenth of a GPU's memory is held, and it was used less than <threshold> within an hour.",
        signal=GPU_IDLE,
        comparison="<",
        absent="A GPU whose memory nobody holds has none. " + _ABSENT,
        summary="A GPU is held and not used.",
        description=f"{_GPU} is held, and was used {{{{ $value | humanizePercentage }}}} at most within an hour.",
    ),
)
