"""The command line: simulate all conditions or some, print what each test did, and write the page."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools.soundness.experiments import families, growthbook_package, methods, months, power, splits
from tools.soundness.experiments.further_worlds import FURTHER
from tools.soundness.experiments.gaps import GAPS
from tools.soundness.experiments.report import Cell, Measurements, misses, stored, write
from tools.soundness.experiments.worlds import CONDITIONS as FIRST
from tools.soundness.experiments.worlds import MEAN, PROPORTION, RATE, Condition, parts_of

PAGE = Path("docs/soundness-experiments.md")
DATA = Path("docs/soundness-experiments.json")
# Relative effects that are to be found, by kind of metric.
EFFECTS = {PROPORTION: 0.4, MEAN: 0.2, RATE: 0.3}
CONDITIONS = (*FIRST, *FURTHER, *GAPS)
# Nothing was chosen with these: another one for each set of figures that thresholds were looked at with.
_SEED = 20261208
# Of each part: those that are asked whether something varies too much.
_NAMED = 12


@dataclass(frozen=True, slots=True)
class Job:
    """Experiments that share a generator."""

    condition: str
    kind: str
    effect: float
    experiments: int
    seed: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each condition and kind of metric; return 1 when more is decided falsely than promised."""
    parser = argparse.ArgumentParser(prog="python -m tools.soundness.experiments", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="CONDITION",
        help="also `power`, `families`, `split: NAME`, `months: NAME`; default: all; the page keeps its other rows",
    )
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
                null = merged(pool.map(judge, jobs(condition, kind, 0.0, options.experiments)))
                found = merged(pool.map(judge, jobs(condition, kind, EFFECTS[kind], options.differences)))
                cells.append(Cell.of(condition, kind, EFFECTS[kind], null, found))
                print(cells[-1].line(), flush=True)
        asked = [name for name in ("power", "families") if not options.names or name in options.names]
        power_rows = power.run(pool, options.experiments) if "power" in asked else []
        family_rows = families.run(pool, options.experiments) if "families" in asked else []
        split_rows = splits.run(pool, options.experiments, options.names)
        month_rows = months.run(pool, options.experiments, options.differences, options.names)
    for line in (row.line() for rows in (power_rows, family_rows, split_rows, month_rows) for row in rows):
        print(line)
    old = stored(DATA)
    by_cell = {(cell.condition, cell.kind): cell for cell in [*old.lifts, *cells]}
    by_month = {(row.condition, row.level): row for row in [*old.months, *month_rows]}
    by_split = {row.condition: row for row in [*old.splits, *split_rows]}
    measured = Measurements(
        [by_cell[key] for one in CONDITIONS for kind in one.kinds if (key := (one.name, kind)) in by_cell],
        power_rows or old.power,
        family_rows or old.families,
        [by_split[name] for name, _words, _draw in splits.SPLITS if name in by_split],
        [by_month[key] for one in months.CONDITIONS for level in one.levels if (key := (one.name, level)) in by_month],
    )
    write(measured, growthbook_package.compare(), PAGE, DATA)
    missed = misses(Measurements(cells, power_rows, family_rows, split_rows, month_rows))
    for line in missed:
        print(f"missed: {line}")
    print(f"{len(cells)} conditions, {len(missed)} missed; {time.monotonic() - began:.0f} s")
    ran = cells or power_rows or family_rows or split_rows or month_rows
    return 1 if missed or not ran else 0


def jobs(condition: Condition, kind: str, effect: float, experiments: int) -> list[Job]:
    """Return the parts that so many experiments are made of."""
    return [Job(condition.name, kind, effect, size, seed) for seed, size in enumerate(parts_of(experiments))]


def merged(parts: Iterable[Mapping[str, list[int | None]]]) -> dict[str, list[int | None]]:
    """Return the answers of all parts."""
    whole: dict[str, list[int | None]] = {}
    for part in parts:
        for name, answers in part.items():
            whole.setdefault(name, []).extend(answers)
    return whole


def judge(job: Job) -> dict[str, list[int | None]]:
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
