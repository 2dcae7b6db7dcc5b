"""Scrapes of several servers in turns."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from tools.bench.progress import Progress
from tools.bench.results import Result, aligned, percentile
from tools.bench.usage import cpu_seconds, memory_mb
from tools.processes import Process

# What of the topic `mlflow` can be measured by itself.
PARTS = ("refreshes", "scrapes", "start", "rendering")
_CLIENTS = (1, 64, 500)
_FEW_CLIENTS = (1, 4, 50)
_ENCODINGS = ("plain", "gzip")


@dataclass(slots=True)
class Cell:
    """What was measured of one server in one way, a figure a round; seconds."""

    p50s: list[float] = field(default_factory=list)
    p95s: list[float] = field(default_factory=list)
    p99s: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    errors: list[int] = field(default_factory=list)
    size: int = 0

    @property
    def p99(self) -> float:
        """Return the median over the rounds."""
        return median(self.p99s)


@dataclass(slots=True)
class Target:
    """A server that is measured.

    Attributes:
        name: What the table calls it.
        url: Where it is scraped.
        process: The server.
        cells: What was measured, by encoding and number of clients.
        memory: Resident memory after each round, in MB.
    """

    name: str
    url: str
    process: Process
    cells: dict[str, Cell] = field(default_factory=dict)
    memory: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """Return all that was measured, for JSON."""
        return {"memory_mb": self.memory, **{name: asdict(cell) for name, cell in self.cells.items()}}

    def load(self, clients: int, encoding: str, *, requests: int, seconds: float) -> None:
        """Scrape it and note what was seen."""
        pid = self.process.pid
        assert pid is not None  # noqa: S101  # it was started, and its end would have raised
        command = [sys.executable, "-m", "tools.bench.load", self.url, str(clients), str(requests), str(seconds)]
        before = cpu_seconds(pid)
        done = subprocess.run([*command, encoding], check=True, capture_output=True, text=True)
        worked = cpu_seconds(pid) - before
        found = json.loads(done.stdout)
        cell = self.cells.setdefault(f"{encoding} {clients}", Cell())
        times = found["seconds"]
        cell.p50s.append(percentile(times, 0.5))
        cell.p95s.append(percentile(times, 0.95))
        cell.p99s.append(percentile(times, 0.99))
        cell.cpu.append(worked / len(times))
        cell.rate.append(len(times) / found["took"])
        cell.errors.append(found["errors"])
        cell.size = found["size"]
        self.memory.append(memory_mb(pid))


def measure(targets: Sequence[Target], rounds: int, progress: Progress, *, quick: bool) -> None:
    """Scrape all of them in turns; the largest crowd only the first two, as the others would take minutes."""
    steps = _FEW_CLIENTS if quick else _CLIENTS
    for number in range(rounds):
        for clients in steps:
            for encoding in _ENCODINGS:
                progress.step(f"round {number + 1} of {rounds}: {clients} clients, {encoding}")
                for target in targets[:2] if clients == steps[-1] else targets:
                    target.load(clients, encoding, requests=50 if quick else 20_000, seconds=1 if quick else 2)


def results(floor: Target, ours: Target, peers: Sequence[Target]) -> list[Result]:
    """Compare."""
    found = [
        Result(f"scrape p95 against the floor, {clients(cell)}", ratio(ours, floor, cell), "times", limit=2)
        for cell in ours.cells
    ]
    for cell in ours.cells:
        ratios = {peer.name: ratio(peer, ours, cell) for peer in peers if cell in peer.cells}
        if ratios:
            fastest = min(ratios, key=ratios.__getitem__)
            what = f"scrape p95 of the fastest neighbour ({fastest}) against ours, {clients(cell)}"
            found.append(Result(what, ratios[fastest], "times", least=20))
    crowd = list(ours.cells)[-1]
    errors = sum(sum(cell.errors) for cell in ours.cells.values())
    return [
        *found,
        Result("errors of all scrapes", errors, "errors", limit=0),
        Result("memory of the exporter", median(ours.memory), "MB", limit=100),
        Result(f"  at most, {clients(crowd)} among it", max(ours.memory), "MB"),
    ]


def clients(cell: str) -> str:
    """Return the name of a cell in words."""
    encoding, number = cell.split()
    return f"{encoding}, {number} client" + ("s" if number != "1" else "")


def ratio(one: Target, other: Target, cell: str) -> float:
    """Return the median over the rounds of how many times longer one's p95 is."""
    pairs = zip(one.cells[cell].p95s, other.cells[cell].p95s, strict=True)
    return median(mine / others for mine, others in pairs)


def summary(targets: Sequence[Target]) -> str:
    """Return all figures as a table."""
    heads = ("", "p50 ms", "p95 ms", "p99 ms", "CPU ms", "scrapes/s", "kB", "errors", "RSS MB")
    lines = []
    for cell in targets[0].cells:
        lines.append((clients(cell), *[""] * 8))
        for target in targets:
            found = target.cells.get(cell)
            if found is None:
                continue
            times = (f"{1000 * median(values):.2f}" for values in (found.p50s, found.p95s, found.p99s, found.cpu))
            rest = (f"{median(found.rate):.0f}", f"{found.size / 1000:.0f}", str(sum(found.errors)))
            lines.append((f"  {target.name}", *times, *rest, f"{median(target.memory):.0f}"))
    return aligned([heads, *lines])
