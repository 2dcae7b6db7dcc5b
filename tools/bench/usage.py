"""What a process uses, and what it answers."""

from __future__ import annotations

import contextlib
import os
import time
import urllib.error
from pathlib import Path

from ml_monitoring.exporter.proxies import opener


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process in seconds, its threads that ended included."""
    # The number of the process's own clock, as clock_getcpuclockid(3) makes it.
    return time.clock_gettime(~pid << 3 | 2)


def tree_cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and of those that it and they have started, those that ended included."""
    total = cpu_seconds(pid) + _ended_cpu_seconds(pid)
    for task in Path(f"/proc/{pid}/task").iterdir():
        # A thread or a child may end meanwhile.
        with contextlib.suppress(OSError):
            total += sum(map(tree_cpu_seconds, map(int, (task / "children").read_text(encoding="ascii").split())))
    return total


def _ended_cpu_seconds(pid: int) -> float:
    # The name in parentheses may itself hold spaces and parentheses.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return sum(map(int, fields[13:15])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    return _memory_mb(pid, "VmRSS")


def peak_memory_mb(pid: int) -> float:
    """Return the most resident memory that a process ever had."""
    return _memory_mb(pid, "VmHWM")


def _memory_mb(pid: int, what: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1000


def answers(url: str) -> str:
    """Return what a GET gives, empty when nobody answers."""
    try:
        with opener(url).open(url, timeout=30) as response:
            text: str = response.read().decode()
            return text
    except (OSError, urllib.error.URLError):
        return ""
