"""Recorded series about machines."""

from __future__ import annotations

from ml_monitoring.alerting.model.recording import Record

# Not in memory, and not images that are always full.
_REAL = 'fstype!~"tmpfs|overlay|squashfs|iso9660|ramfs",mountpoint!~"/(boot|run|var/lib/docker)(/.*)?"'

RECORDS: tuple[Record, ...] = (
    Record(
        name="instance:node_cpu_busy:ratio",
        meaning="Busy share of a host's CPUs over the window of HostCpuBusy, which a nightly job does not fill.",
        expr='1 - avg without (cpu, mode) (rate(node_cpu_seconds_total{<node>,mode="idle"}[<HostCpuBusy.window>]))',
        by=("instance",),
    ),
    Record(
        name="instance:node_cpu_unusually_busy:ratio",
        meaning=(
            "The same, but absent where a job may explain it: where about the same time of yesterday, or of a week "
            "ago, was nine tenths as busy, and the last 18 hours were not."
        ),
        expr="""
            instance:node_cpu_busy:ratio
            unless (
              max without (ago) (
                label_replace(max_over_time(instance:node_cpu_busy:ratio[2h] offset 23h), "ago", "1d", "", "")
                or label_replace(max_over_time(instance:node_cpu_busy:ratio[2h] offset 167h), "ago", "1w", "", "")
              ) > 0.9 * instance:node_cpu_busy:ratio
              unless avg_over_time(instance:node_cpu_busy:ratio[18h]) > 0.9 * instance:node_cpu_busy:ratio
            )
        """,
        by=("instance",),
    ),
    Record(
        name="instance_mountpoint:node_filesystem_free:ratio",
        meaning="Free share of a file system, as a program without privileges may fill it.",
        expr=f"""
            min without (device, fstype) (
              node_filesystem_avail_bytes{{<node>,{_REAL}}} / (node_filesystem_size_bytes{{<node>}} > 0)
            )
        """,
        by=("instance", "mountpoint"),
    ),
    Record(
        name="instance_mountpoint:node_filesystem_full_in_seconds:min",
        meaning="Time until a file system is full at the pace of the window of HostDiskFilling; absent where none is.",
        expr=f"""
            min without (device, fstype) (
              node_filesystem_avail_bytes{{<node>,{_REAL}}}
              / -(deriv(node_filesystem_avail_bytes{{<node>}}[<HostDiskFilling.window>]) < 0)
            )
        """,
        by=("instance", "mountpoint"),
    ),
    Record(
        name="instance_mountpoint:node_filesystem_lost_per_free:ratio",
        meaning=(
            "What a file system has lost since about the same time of yesterday, or of a week ago if less was free "
            "then, for each byte that is free: what backups and jobs take and give back each day or week cancels out."
        ),
        expr="""
            min without (ago) (
              label_replace(
                min_over_time(instance_mountpoint:node_filesystem_free:ratio[4h] offset 22h), "ago", "1d", "", ""
              )
              or label_replace(
                min_over_time(instance_mountpoint:node_filesystem_free:ratio[4h] offset 166h), "ago", "1w", "", ""
              )
            )
            / instance_mountpoint:node_filesystem_free:ratio
            - 1
        """,
        by=("instance", "mountpoint"),
    ),
)
