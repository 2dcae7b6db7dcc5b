"""What a process uses, and what it answers."""

from __future__ import annotations

import contextlib
import urllib.error
from pathlib import Path

from ml_monitoring.exporter.proxies import opener


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process, in nanoseconds' resolution (its `stat` counts in hundredths)."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        # A thread may end while the folder is read.
        with contextlib.suppress(OSError):
            total += int((task / "schedstat").read_text(encoding="ascii").split()[0])
    return total / 1e9


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1000


def answers(url: str) -> str:
    """Return what a GET gives, empty when nobody answers."""
    try:
        with opener(url).open(url, timeout=30) as response:
            text: str = response.read().decode()
            return text
    except (OSError, urllib.error.URLError):
        return ""
