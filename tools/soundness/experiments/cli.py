"""The command line: simulate all conditions or some, print what each test did, and write the page."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools.soundness.experiments import growthbook_package, methods, splits
from tools.soundness.experiments.further_worlds import FURTHER
from tools.soundness.experiments.report import Cell, misses, stored, write
from tools.soundness.experiments.worlds import CONDITIONS as FIRST
from tools.soundness.experiments.worlds import MEAN, Condition

PAGE = Path("docs/soundness-experiments.md")
DATA = Path("docs/soundness-experiments.json")
# Relative effects that are to be found, by kind of metric.
EFFECTS = {"proportion": 0.4, MEAN: 0.2}
CONDITIONS = (*FIRST, *FURTHER)
# Nothing was chosen with these: another one for each set of figures that thresholds were looked at with.
_SEED = 20261129
_PARTS = 8
# Experiments of each part that are asked whether something varies too much.
_NAMED = 12


@dataclass(frozen=True, slots=True)
class _Job:
    condition: str
    kind: str
    effect: float
    experiments: int
    seed: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each condition and kind of metric; return 1 when more is decided falsely than promised."""
    parser = argparse.ArgumentParser(prog="python -m tools.soundness.experiments", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="CONDITION", help="default: all; the page keeps its other rows")
    parser.add_argument("--experiments", type=int, default=1000, help="without a difference, each (default: 1000)")
    parser.add_argument("--differences", type=int, default=200, help="with a difference, each (default: 200)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    began = time.monotonic()
    chosen = [condition for condition in CONDITIONS if not options.names or condition.name in options.names]
    cells: list[Cell] = []
    with ProcessPoolExecutor(options.workers) as pool:
        for condition in chosen:
            for kind in condition.kinds:
                null = _run(pool, condition, kind, 0.0, options.experiments)
                found = _run(pool, condition, kind, EFFECTS[kind], options.differences)
                cells.append(Cell.of(condition, kind, EFFECTS[kind], null, found))
                print(cells[-1].line(), flush=True)
        split_rows = splits.run(pool, options.experiments, options.names)
    for row in split_rows:
        print(row.line())
    old_cells, old_rows = stored(DATA)
    by_cell = {(cell.condition, cell.kind): cell for cell in [*old_cells, *cells]}
    by_row = {row.condition: row for row in [*old_rows, *split_rows]}
    write(
        [by_cell[key] for one in CONDITIONS for kind in one.kinds if (key := (one.name, kind)) in by_cell],
        [by_row[name] for name, _words, _draw in splits.SPLITS if name in by_row],
        growthbook_package.compare(),
        PAGE,
        DATA,
    )
    missed = misses(cells, split_rows)
    for line in missed:
        print(f"missed: {line}")
    print(f"{len(cells)} conditions, {len(missed)} missed; {time.monotonic() - began:.0f} s")
    return 1 if missed or not chosen else 0


def _run(
    pool: ProcessPoolExecutor, condition: Condition, kind: str, effect: float, experiments: int
) -> dict[str, list[int | None]]:
    each = max(1, experiments // _PARTS)
    jobs = [_Job(condition.name, kind, effect, each, seed) for seed in range(_PARTS)]
    merged: dict[str, list[int | None]] = {}
    for part in pool.map(judge, jobs):
        for name, answers in part.items():
            merged.setdefault(name, []).extend(answers)
    return merged


def judge(job: _Job) -> dict[str, list[int | None]]:
    """Return when each test decided, for each experiment."""
    condition = next(one for one in CONDITIONS if one.name == job.condition)
    rng = np.random.default_rng([_SEED, job.seed, *job.condition.encode(), int(job.effect * 100)])
    answers: dict[str, list[int | None]] = {name: [] for name in ("ours", "named", *methods.RIVALS)}
    for number in range(job.experiments):
        observed = condition.draw(rng, job.kind, job.effect)
        answers["ours"].append(methods.ours(observed, job.kind, user=condition.user))
        if number < _NAMED:
            answers["named"].append(1 if methods.names_dispersion(observed, job.kind) else None)
        for name, rival in methods.RIVALS.items():
            answers[name].append(rival(observed, job.kind))
    return answers
