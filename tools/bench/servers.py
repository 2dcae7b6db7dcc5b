"""What a scrape costs with several HTTP servers that hand out the same body, beside the floor.

The floor is a bare server that sends the same bytes. Each server is a process of its own. All answer in turns, round by
round and each round in another order, so that what else the machine does strikes all of them. What is printed are
medians over the rounds, of figures and of ratios within a round, and what the best round of each gives ("least").
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median

from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.snapshot import Renderer
from tools.bench.mlflow_answers import Target, clients, ratio
from tools.bench.progress import Progress
from tools.bench.results import Result, aligned
from tools.bench.servers_contenders import CONTENDERS
from tools.bench.usage import answers
from tools.processes import Process, free_port

_FLOOR = "floor"
_OURS = "exporter"
# What answers of a store of 100,000 runs have, and of a small one.
_SERIES = {"large": 14_000, "small": 400}
_PACKAGES = ("aiohttp", "uvicorn", "httptools", "uvloop", "granian")
_CLIENTS = (1, 64, 500)
_FEW_CLIENTS = (1, 4, 50)
_ENCODINGS = ("plain", "gzip")
# Of the floor's 95th percentile.
_LIMIT = 2.0


def run(options: argparse.Namespace) -> list[Result]:
    """Measure all servers, with a large body and with a small one."""
    found: list[Result] = []
    kept: dict[str, object] = {"versions": {name: version(name) for name in _PACKAGES}}
    with Progress() as progress, tempfile.TemporaryDirectory(prefix="bench-") as name:
        for size, series in _SERIES.items():
            targets = _measured(Path(name) / size, size, series, progress, quick=options.quick)
            floor, *others = targets
            ours = next(target for target in others if target.name == _OURS)
            print(f"{size} body\n{summary(floor, others)}", flush=True)
            found += [
                Result(
                    f"scrape p95 against the floor, {size} body, {clients(cell)}",
                    ratio(ours, floor, cell),
                    "times",
                    # A small answer costs next to nothing, so that its ratio is that of two trifles.
                    limit=_LIMIT if size == "large" else None,
                )
                for cell in ours.cells
            ]
            errors = sum(sum(cell.errors) for cell in ours.cells.values())
            found.append(Result(f"errors of all scrapes, {size} body", errors, "errors", limit=0))
            kept[size] = {target.name: target.figures() for target in targets}
    if options.json:
        _write(options.json, kept)
    return found


def body(series: int) -> bytes:
    """Return an answer with so many series, as the exporter renders them."""
    chance = random.Random(1)  # noqa: S311  # the same numbers each time
    families = FamilySet("mlflow", max_series=series)
    family = families["mlflow_metric_latest"]
    for number in range(series):
        experiment, metric = divmod(number, 30)
        value = round(chance.random(), 5)
        family.add(value, f"experiment-{experiment}", f"variant-{number % 3}", f"metric_{metric}")
    return b"".join(piece.plain for piece in Renderer().render(families).text)


def summary(floor: Target, others: Sequence[Target]) -> str:
    """Return all figures as a table."""
    heads = ("", "p50 ms", "p95 ms", "least", "x floor", "least", "scrapes/s", "CPU ms", "kB", "errors", "RSS MB")
    lines = []
    for name, base in floor.cells.items():
        lines.append((clients(name), *[""] * (len(heads) - 1)))
        for target in (floor, *others):
            cell = target.cells[name]
            lines.append(
                (
                    f"  {target.name}",
                    f"{1000 * median(cell.p50s):.2f}",
                    f"{1000 * median(cell.p95s):.2f}",
                    f"{1000 * min(cell.p95s):.2f}",
                    f"{ratio(target, floor, name):.2f}",
                    f"{min(cell.p95s) / min(base.p95s):.2f}",
                    f"{median(cell.rate):.0f}",
                    f"{1000 * median(cell.cpu):.3f}",
                    f"{cell.size / 1000:.0f}",
                    str(sum(cell.errors)),
                    f"{max(target.memory):.0f}",
                )
            )
    return aligned([heads, *lines])


def _measured(folder: Path, size: str, series: int, progress: Progress, *, quick: bool) -> list[Target]:
    """Start all servers on one body and scrape them in turns; the first is the floor."""
    folder.mkdir()
    file = folder / "body.txt"
    file.write_bytes(body(series))
    rounds = 2 if quick else 5
    with contextlib.ExitStack() as stack:
        targets = []
        for name in (_FLOOR, *CONTENDERS):
            progress.step(f"{size} body: starting {name}")
            port = free_port()
            url = f"http://127.0.0.1:{port}/metrics"
            module = ["tools.bench.floor"] if name == _FLOOR else ["tools.bench.servers_contenders", name]
            process = Process(
                name,
                [sys.executable, "-m", *module, str(port), file],
                log=folder / f"{name}.log",
                healthy=functools.partial(_answers, url),
            )
            targets.append(Target(name, url, stack.enter_context(process)))
        order = random.Random(1)  # noqa: S311  # only the order of turns
        for number in range(rounds):
            for count in _FEW_CLIENTS if quick else _CLIENTS:
                for encoding in _ENCODINGS:
                    progress.step(f"{size} body, round {number + 1} of {rounds}: {count} clients, {encoding}")
                    for target in order.sample(targets, len(targets)):
                        target.load(count, encoding, requests=50 if quick else 20_000, seconds=1)
    return targets


def _answers(url: str) -> bool:
    return bool(answers(url))


def _write(path: Path, figures: dict[str, object]) -> None:
    """Write the figures into the file, beside what other topics wrote."""
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps(content | {"servers": figures}, indent=1) + "\n", encoding="utf-8")
