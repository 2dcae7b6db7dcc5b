"""Signals of the page `system-infrastructure` about the machines, from the node exporter."""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.exporter.catalog import Unit

PAGE: Final = "ml-monitoring-system-infrastructure"
_INSTANCE = ("instance",)
_MOUNT = ("instance", "mountpoint")
_MOUNT_LEGEND = "{{mountpoint}} ({{instance}})"
# Loopback and what containers are given: their traffic is counted on the real devices too.
_DEVICES = 'device!~"lo|veth.*|br-.*|docker.*"'

HOST_CPU: Final = Signal(
    name="host_cpu",
    title="CPU utilization",
    question="What share of the machine's CPUs is busy?",
    expr='1 - avg without (cpu, mode) (rate(node_cpu_seconds_total{<node>,mode="idle",<filter>}[<window>]))',
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=_INSTANCE,
    filters=_INSTANCE,
)

HOST_LOAD: Final = Signal(
    name="host_load",
    title="Load average",
    question="How many processes run or wait for a CPU? Above the number of CPUs they wait.",
    expr="node_load5{<node>,<filter>}",
    unit=Unit.ANY,
    dashboard=PAGE,
    by=_INSTANCE,
    filters=_INSTANCE,
)

HOST_MEMORY_AVAILABLE: Final = Signal(
    name="host_memory_available",
    title="Available memory",
    question="What share of the memory is available to processes without swapping?",
    expr="node_memory_MemAvailable_bytes{<node>,<filter>} / node_memory_MemTotal_bytes{<node>,<filter>}",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=_INSTANCE,
    filters=_INSTANCE,
)

HOST_DISK_FREE: Final = Signal(
    name="host_disk_free",
    title="Free disk space",
    question="What share of each file system is free?",
    expr="instance_mountpoint:node_filesystem_free:ratio{<filter>}",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=_MOUNT,
    filters=_INSTANCE,
    legend=_MOUNT_LEGEND,
)

HOST_DISK_FULL_IN: Final = Signal(
    name="host_disk_full_in",
    title="Time until disk full",
    question="When is each file system full at the rate of the last hours? Absent where it does not fill.",
    expr="instance_mountpoint:node_filesystem_full_in_seconds:min{<filter>}",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_MOUNT,
    filters=_INSTANCE,
    legend=_MOUNT_LEGEND,
)

HOST_DISK_FILLING: Final = Signal(
    name="host_disk_filling",
    title="Disk full in",
    question="When is a file system full of which the alert HostDiskFilling says that it fills, or is about to?",
    # Large files come and go: a pace is no trend as long as the alert's other conditions do not hold.
    expr=(
        "instance_mountpoint:node_filesystem_full_in_seconds:min{<filter>} "
        'and on (cluster, namespace, instance, mountpoint) ALERTS{alertname="HostDiskFilling",<own_alerts>,<place>}'
    ),
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_MOUNT,
    filters=_INSTANCE,
    legend=_MOUNT_LEGEND,
)

HOST_DISK_READ: Final = Signal(
    name="host_disk_read",
    title="Disk reads",
    question="How much is read from the disks?",
    expr="sum without (device) (rate(node_disk_read_bytes_total{<node>,<filter>}[<window>]))",
    unit=Unit.BYTES_PER_SECOND,
    dashboard=PAGE,
    by=_INSTANCE,
    filters=_INSTANCE,
    legend="read {{instance}}",
)

HOST_DISK_WRITTEN: Final = Signal(
    name="host_disk_written",
    title="Disk writes",
    question="How much is written to the disks?",
    expr="sum without (device) (rate(node_disk_written_bytes_total{<node>,<filter>}[<window>]))",
    unit=Unit.BYTES_PER_SECOND,
    dashboard=PAGE,
    by=_INSTANCE,
    filters=_INSTANCE,
    legend="written {{instance}}",
)

HOST_NETWORK_RECEIVED: Final = Signal(
    name="host_network_received",
    title="Network receive",
    question="How much traffic does the network receive?",
    expr=f"sum without (device) (rate(node_network_receive_bytes_total{{<node>,{_DEVICES},<filter>}}[<window>]))",
    unit=Unit.BYTES_PER_SECOND,
    dashboard=PAGE,
    by=_INSTANCE,
    filters=_INSTANCE,
    legend="received {{instance}}",
)

HOST_NETWORK_SENT: Final = Signal(
    name="host_network_sent",
    title="Network transmit",
    question="How much traffic does the network transmit?",
    expr=f"sum without (device) (rate(node_network_transmit_bytes_total{{<node>,{_DEVICES},<filter>}}[<window>]))",
    unit=Unit.BYTES_PER_SECOND,
    dashboard=PAGE,
    by=_INSTANCE,
    filters=_INSTANCE,
    legend="sent {{instance}}",
)

HOST_CLOCK_OFFSET: Final = Signal(
    name="host_clock_offset",
    title="Clock skew",
    question="How far is the host's clock from Prometheus's? Every age is the difference of two clocks.",
    expr="abs(node_time_seconds{<node>,<filter>} - timestamp(node_time_seconds{<node>,<filter>}))",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_INSTANCE,
    filters=_INSTANCE,
    over_time=False,
)

HOST_UPTIME: Final = Signal(
    name="host_uptime",
    title="Uptime",
    question="When was the machine last started?",
    expr="time() - node_boot_time_seconds{<node>,<filter>}",
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_INSTANCE,
    filters=_INSTANCE,
)
