"""What the service's process uses, and how much of it it may use: processor, memory, disk.

The process writes its own share, so that in multi-process mode the workers add up and a worker that died keeps
what it used.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from time import perf_counter, process_time
from typing import Final

from ml_monitoring.instrument.families import Metrics

_INTERVAL: Final = 5.0
_CGROUP: Final = Path("/sys/fs/cgroup")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
# Version 1 of control groups writes a number near 2**63 for "no limit".
_NO_LIMIT: Final = 1 << 60
_START: Final = time.time()


class ProcessMetrics:
    """Keeps the `ml_process_*` metrics current; costs some 50 microseconds every five seconds."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._start = metrics.gauge("ml_process_start_timestamp_seconds")
        self._cpu = metrics.counter("ml_process_cpu_seconds_total")
        self._cores = metrics.gauge("ml_process_cpu_limit_cores")
        self._memory = metrics.gauge("ml_process_memory_bytes")
        self._memory_limit = metrics.gauge("ml_process_memory_limit_bytes")
        self._disk_used = metrics.gauge("ml_process_disk_used_bytes")
        self._disk_limit = metrics.gauge("ml_process_disk_limit_bytes")
        self._pid = os.getpid()
        self._counted = 0.0
        self._next = 0.0

    def refresh_if_due(self) -> None:
        """Refresh when the last time is five seconds ago."""
        if perf_counter() >= self._next:
            self.refresh()

    def refresh(self) -> None:
        """Read and publish everything."""
        self._next = perf_counter() + _INTERVAL
        if self._pid != os.getpid():
            # A forked worker starts from 0 again, and so does its processor clock.
            self._pid = os.getpid()
            self._counted = 0.0
        used = process_time()
        self._cpu.child().inc(max(0.0, used - self._counted))
        self._counted = used
        disk = shutil.disk_usage(Path.cwd())
        self._start.child().set(_START)
        self._cores.child().set(cpu_limit())
        self._memory.child().set(resident_bytes())
        self._memory_limit.child().set(memory_limit())
        self._disk_used.child().set(disk.used)
        self._disk_limit.child().set(disk.total)


def cpu_limit(cgroup: Path = _CGROUP) -> float:
    """Return how many cores the process may use: the container's quota, or else those it may run on."""
    available = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    try:
        quota, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
        return min(available, int(quota) / int(period))
    except (OSError, ValueError):
        return available


def memory_limit(cgroup: Path = _CGROUP) -> int:
    """Return how much memory the process may use: the container's limit, or else that of the machine."""
    machine = os.sysconf("SC_PHYS_PAGES") * _PAGE
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            limit = int((cgroup / name).read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
        if limit < _NO_LIMIT:
            return min(machine, limit)
    return machine


def resident_bytes() -> int:
    """Return the memory that the process holds."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except OSError:
        # Not Linux: the highest it ever held, in kilobytes, is the nearest that the standard library knows.
        import resource  # noqa: PLC0415  # not on every platform

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
