"""The report of a soak."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.soak.checker import Usage, Watched

_DEFECT = re.compile(r"^Traceback|defect in source|this is a defect", re.MULTILINE)
_MEGABYTE = 1 << 20
# Caches fill first.
_SETTLE = 120.0


@dataclass(frozen=True, slots=True)
class Recovery:
    """How a fault ended: seconds until all numbers were right again, None when they were not in time."""

    fault: str
    seconds: float | None


def defects(logs: Iterable[Path]) -> list[str]:
    """Return the logs that hold exceptions, with their number."""
    counts = {path: len(_DEFECT.findall(path.read_text(encoding="utf-8", errors="replace"))) for path in logs}
    return [f"{path}: {count}" for path, count in counts.items() if count]


def slope(usages: Sequence[Usage]) -> float | None:
    """Return bytes an hour by which memory grew, by least squares; None where too little was seen."""
    seen = [usage for usage in usages if usage.at - usages[0].at >= _SETTLE]
    if len(seen) < 10:
        return None
    return 3600 * statistics.linear_regression([u.at for u in seen], [float(u.memory) for u in seen]).slope


def table_of_recoveries(recoveries: Sequence[Recovery]) -> list[str]:
    """Return the recoveries by fault, as a table in Markdown."""
    lines = ["| fault | times | recovered, median | slowest | not in time |", "|---|---|---|---|---|"]
    for name in dict.fromkeys(recovery.fault for recovery in recoveries):
        all_ = [recovery.seconds for recovery in recoveries if recovery.fault == name]
        known = [seconds for seconds in all_ if seconds is not None]
        figures = f"{statistics.median(known):.1f} s | {max(known):.1f} s" if known else "- | -"
        lines.append(f"| {name} | {len(all_)} | {figures} | {len(all_) - len(known)} |")
    return lines


def table_of_usages(usages: Sequence[Usage]) -> list[str]:
    """Return memory and file descriptors of each process's longest life, as a table in Markdown."""
    lines = [
        "| process | lived | memory at first, peak, at last | a hour | descriptors at first, peak, at last |",
        "|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(usage.name for usage in usages):
        lives: dict[int, list[Usage]] = {}
        for usage in usages:
            if usage.name == name:
                lives.setdefault(usage.pid, []).append(usage)
        life = max(lives.values(), key=len)
        memory = [usage.memory / _MEGABYTE for usage in life]
        files = [usage.descriptors for usage in life]
        grows = slope(life)
        growth = "-" if grows is None else f"{grows / _MEGABYTE:+.1f} MB"
        lines.append(
            f"| {name} | {(life[-1].at - life[0].at) / 60:.0f} min"
            f" | {memory[0]:.0f}, {max(memory):.0f}, {memory[-1]:.0f} MB | {growth}"
            f" | {files[0]}, {max(files)}, {files[-1]} |"
        )
    return lines


def table_of_counts(watched: Iterable[Watched]) -> list[str]:
    """Return how the comparisons ended, as a table in Markdown."""
    lines = ["| exporter | right | said to be down | no answer | wrong and shown as fresh |", "|---|---|---|---|---|"]
    for each in watched:
        counts: Mapping[str, int] = each.counts
        lines.append(
            f"| {each.name} | {counts['fresh']} | {counts['down']} | {counts['no answer']} | {counts['wrong']} |"
        )
    return lines
