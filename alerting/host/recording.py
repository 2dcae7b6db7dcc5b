"""Recorded series about machines."""

from __future__ import annotations

from ml_monitoring.alerting.model.recording import Record

# Not in memory, and not images that are always full.
_REAL = 'fstype!~"tmpfs|overlay|squashfs|iso9660|ramfs",mountpoint!~"/(boot|run|var/lib/docker)(/.*)?"'

RECORDS: tuple[Record, ...] = (
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
)
