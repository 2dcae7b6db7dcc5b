"""What refreshes cost: asks the process of `mlflow_refresh` for them and sums up."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

_TIMES = 9


@dataclass(frozen=True, slots=True)
class Refreshes:
    """Medians over refreshes of one store; database time in seconds.

    Attributes:
        full: Of the first one.
        first: How long the first one took on the clock, rendering included.
        idle: When nothing was written.
        changed: When some runs changed, without the scan that finds out which.
        scan: That scan.
        cpu: Processor time of the exporter when some runs changed, rendering included.
        memory: Bytes that the process grew by.
    """

    full: float
    first: float
    idle: float
    changed: float
    scan: float
    cpu: float
    memory: float

    @classmethod
    def measure(cls, command: Sequence[str], change: Callable[[int], None], quick: bool) -> Refreshes:
        """Refresh a source, idle and after changes."""
        times = 3 if quick else _TIMES
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            first = refresh(process)
            idle = [refresh(process) for _time in range(times)]
            changed = []
            for number in range(times):
                change(number)
                changed.append(refresh(process))
            assert process.stdin is not None  # noqa: S101  # it is a pipe
            process.stdin.close()
        return cls(
            full=first["database"],
            first=first["collect"] + first["render"],
            idle=median(each["database"] for each in idle),
            changed=median(each["database"] - each["scan"] for each in changed),
            scan=median(each["scan"] for each in changed),
            cpu=median(each["cpu"] for each in changed),
            memory=first["rss"] - first["before"],
        )


def first_read(command: Sequence[str]) -> float:
    """Return how many seconds the first refresh takes on the clock."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        first = refresh(process)
        assert process.stdin is not None  # noqa: S101  # it is a pipe
        process.stdin.close()
    seconds: float = first["collect"] + first["render"]
    return seconds


def refresh(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Let the process of `mlflow_refresh` refresh; return what it says of that."""
    assert process.stdin is not None  # noqa: S101  # they are pipes
    assert process.stdout is not None  # noqa: S101  # the same
    process.stdin.write("refresh\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("the refreshing process ended; its error is above")
    found: dict[str, Any] = json.loads(line)
    return found
