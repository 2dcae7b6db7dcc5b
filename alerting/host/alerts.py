"""Alerts on machines: what runs out, and a clock that lies."""

from __future__ import annotations

from ml_monitoring.alerting.host.signals import (
    HOST_CLOCK_OFFSET,
    HOST_CPU,
    HOST_DISK_FREE,
    HOST_DISK_FULL_IN,
    HOST_MEMORY_AVAILABLE,
)
from ml_monitoring.alerting.model.alert import Alert, Kind
from ml_monitoring.alerting.model.evidence import Also

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="HostCpuBusy",
        condition="The CPU utilization of a host is above <threshold>.",
        signal=HOST_CPU,
        comparison=">",
        evidence=(
            Also(
                "instance:node_cpu_unusually_busy:ratio",
                "The CPU utilization over <window>, which is usual neither at this time of day nor of the week,",
            ),
        ),
        parameters={"window": Kind.DURATION},
        summary="The CPU usage of a host is high.",
        description="{{ $value | humanizePercentage }} of the CPUs of {{ $labels.instance }} are busy.",
    ),
    Alert(
        name="HostMemoryLow",
        condition="Less than <threshold> of a host's memory is available.",
        signal=HOST_MEMORY_AVAILABLE,
        comparison="<",
        summary="A host is running out of memory.",
        description="{{ $value | humanizePercentage }} of the memory of {{ $labels.instance }} is available.",
    ),
    Alert(
        name="HostDiskFull",
        condition="Less than <threshold> of a file system is free.",
        signal=HOST_DISK_FREE,
        comparison="<",
        summary="A file system is nearly full.",
        description=(
            "{{ $value | humanizePercentage }} of {{ $labels.mountpoint }} on {{ $labels.instance }} is free."
        ),
    ),
    Alert(
        name="HostDiskFilling",
        condition=(
            "A file system is full within <threshold> at the pace of the last <window>, "
            "and less than <free_below> of it is free. A pattern that repeats each day or week is none: compared with "
            "the same time of yesterday, or of a week ago, at least <lost_above> of what is free was lost. Of a new "
            "one, less than <free_below_at_first> must be free."
        ),
        signal=HOST_DISK_FULL_IN,
        comparison="<",
        guards=(
            "instance_mountpoint:node_filesystem_free:ratio < <free_below>",
            # Of a new host there is nothing to compare with, and its first backup looks like a disk that fills.
            "(instance_mountpoint:node_filesystem_lost_per_free:ratio >= <lost_above> "
            "or (instance_mountpoint:node_filesystem_free:ratio < <free_below_at_first> "
            "unless instance_mountpoint:node_filesystem_lost_per_free:ratio))",
        ),
        parameters={
            "window": Kind.DURATION,
            "free_below": Kind.RATIO,
            "free_below_at_first": Kind.RATIO,
            "lost_above": Kind.RATIO,
        },
        summary="A file system is filling up.",
        description=(
            "{{ $labels.mountpoint }} on {{ $labels.instance }} is full in {{ $value | humanizeDuration }} "
            "at its present pace."
        ),
    ),
    Alert(
        name="HostClockOff",
        condition="The clock of a host differs from that of Prometheus by more than <threshold>.",
        signal=HOST_CLOCK_OFFSET,
        comparison=">",
        summary="The clock of a host is out of sync.",
        description=(
            "The clock of {{ $labels.instance }} is {{ $value | humanizeDuration }} away from that of Prometheus: "
            "ages and time ranges are wrong by as much."
        ),
    ),
)
