"""Fit the weights of `exporter.risk` on labelled simulations, and measure on others how good and calibrated they are.

    python -m tools.risk_fit              what the committed weights do on simulations that they were not fitted on
    python -m tools.risk_fit --seed 7     the same on others of them
    python -m tools.risk_fit --fit        weights fitted again, to be put into exporter/risk.py

What a server has learned depends on the weights, so that a fit after a change is repeated until they stay.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from scipy.optimize import minimize  # type: ignore[import-untyped]  # carries no types

from ml_monitoring.exporter import risk
from ml_monitoring.exporter.risk import BuiltinRisk, Sample
from tools.soundness.fleet_other_world import OtherWorld
from tools.soundness.fleet_world import CALM, FITTED_ON, HELD_OUT, INCIDENTS, FleetWorld, Floats, Ranges, episode

SIZES: Final = (6, 18, 60, 240)
# What is measured: the simulator that the weights were fitted on with other parameters, and one that nothing was.
TRIED_ON: Final[dict[str, Ranges | None]] = {"other parameters": HELD_OUT, "another simulator": None}
# Half of the episodes are calm; a calm kind is as frequent as the other calm ones, and so are incidents.
_KINDS: Final = tuple(kind for pair in zip(CALM * len(INCIDENTS), INCIDENTS * len(CALM), strict=True) for kind in pair)
_BINS: Final = 10
# One server in so many tells enough for a fit.
_EVERY: Final = 5
Probability = Callable[[Sequence[Sample]], float]


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of one episode.

    Attributes:
        what: What happened in it.
        servers: How many there were.
        incident: Whether there was an incident, at each moment.
        settled: Moments that are not within two minutes of a beginning or an end.
        probability: What was said at each moment.
        worst: What the probability depends on, at each moment.
        dangers: Of some servers; the last two columns are their weight, and whether they were sick.
    """

    what: str
    servers: int
    incident: Floats
    settled: Floats
    probability: Floats
    worst: Floats
    dangers: Floats


def fleet_samples(world: FleetWorld | OtherWorld, begin: float = 1.7e9) -> Iterator[list[tuple[int, Sample]]]:
    """Yield what the exporter knows at each moment: the newest rows, with the numbers of their servers."""
    newest: dict[int, Sample] = {}
    for moment, rows in enumerate(world.rows()):
        now = begin + moment * world.interval
        for number, server, profile, state, values in rows:
            newest[number] = Sample(now, server, profile, state, **values, phase=None, problem_child=None, oom=None)
        # As the exporter does with a server that is silent for its timeout.
        gone = [number for number, sample in newest.items() if sample.timestamp < now - max(60, 2 * world.interval)]
        for number in gone:
            del newest[number]
        yield sorted(newest.items())


def look(job: tuple[int, str, int], *, ranges: Ranges | None, fit: bool = False) -> Seen:
    """Let the exporter's model look at one episode, of the other simulator when there are no ranges."""
    number, what, servers = job
    world: FleetWorld | OtherWorld
    if ranges is None:
        world = OtherWorld((number, servers), what, servers=servers)
    else:
        world = episode((number, servers, int(ranges is HELD_OUT)), what, servers=servers, ranges=ranges)
    model = BuiltinRisk()
    probability, worst, dangers = [], [], []
    for moment, numbered in enumerate(fleet_samples(world)):
        samples = [sample for _number, sample in numbered]
        risks = model.score(samples)
        if fit:
            # A sick server among many weighs as much as many sick ones: it alone has to be seen.
            weight = (len(numbered) / max(1, world.sick[moment].sum())) ** 0.5
            dangers += [
                (
                    *model.dangers(sample.server).values(),
                    weight if world.sick[moment, place] else 1,
                    world.sick[moment, place],
                )
                for place, sample in numbered
                if (place + moment) % _EVERY == 0 and sample.state != "offline"
            ]
        probability.append(risk.incident_probability(risks))
        worst.append(risk.worst_log_odds(risks))
    incident = world.incident.astype(float)
    settled = np.ones(len(incident))
    near = round(120 / world.interval)
    for change in np.flatnonzero(np.diff(incident)):
        settled[change + 1 : change + 1 + near] = 0
    return Seen(what, servers, incident, settled, np.array(probability), np.array(worst), np.array(dangers))


def fit(features: Floats, labels: Floats, counts: Floats | None = None) -> tuple[list[float], float]:
    """Return the weights, none below 0, and the bias of a logistic model."""

    def loss(values: Floats) -> tuple[float, Floats]:
        score = features @ values[:-1] + values[-1]
        error = share * (1 / (1 + np.exp(-score)) - labels)
        value = np.mean(share * (np.logaddexp(0, score) - labels * score)) + 1e-4 * np.sum(values[:-1] ** 2)
        slope = np.append(features.T @ error / len(labels) + 2e-4 * values[:-1], error.mean())
        return float(value), slope

    count = features.shape[1]
    share = np.ones(len(labels)) if counts is None else counts / counts.mean()
    bounds = [(0, None)] * count + [(None, None)]
    found = minimize(loss, np.append(np.ones(count), -3.0), jac=True, bounds=bounds).x
    return [round(float(value), 2) for value in found[:-1]], round(float(found[-1]), 2)


def reliability(seen: Sequence[Seen], *, settled: bool = False) -> list[tuple[float, float, int]]:
    """Return what was said on average, how often there was an incident, and the moments, for each tenth."""
    said, was = _flat(seen, settled=settled)
    place = np.minimum((said * _BINS).astype(int), _BINS - 1)
    return [
        (float(said[chosen].mean()), float(was[chosen].mean()), int(chosen.sum()))
        for number in range(_BINS)
        if (chosen := place == number).any()
    ]


def brier(seen: Sequence[Seen]) -> float:
    """Return the mean square of what was said less what was."""
    said, was = _flat(seen)
    return float(np.mean((said - was) ** 2))


def recall_and_precision(seen: Sequence[Seen], threshold: float, *, settled: bool = True) -> tuple[float, float]:
    """Return which share of an incident's moments is above the threshold, and which share of those above it are one."""
    said, was = _flat(seen, settled=settled)
    above = said > threshold
    hits = float(np.sum(above * was))
    return hits / float(was.sum()), hits / max(1.0, float(above.sum()))


def _flat(seen: Sequence[Seen], *, settled: bool = False) -> tuple[Floats, Floats]:
    # A fine interval gives an episode more moments, not more weight: episodes have about as many.
    said = np.concatenate([one.probability[one.settled > 0] if settled else one.probability for one in seen])
    was = np.concatenate([one.incident[one.settled > 0] if settled else one.incident for one in seen])
    return said, was


def simulate(
    episodes: int, sizes: Sequence[int], ranges: Ranges | None, *, workers: int, fit: bool = False, seed: int = 0
) -> list[Seen]:
    """Look at so many episodes of each size, of all kinds in turn."""
    first = seed * 100_000
    jobs = [(first + number, _KINDS[number % len(_KINDS)], size) for size in sizes for number in range(episodes)]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(partial(look, ranges=ranges, fit=fit), jobs, chunksize=4))


def main() -> int:
    """Print weights, or tables of how good they are."""
    parser = argparse.ArgumentParser(prog="python -m tools.risk_fit", description=__doc__)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--episodes", type=int, default=96, help="for each size of the fleet (default: 96)")
    parser.add_argument("--seed", type=int, default=0, help="of the simulations (default: 0)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    run = partial(simulate, options.episodes, workers=options.workers, seed=options.seed)
    if options.fit:
        seen = run(SIZES[:3], FITTED_ON, fit=True)
        rows = np.concatenate([one.dangers for one in seen if len(one.dangers)])
        weights, bias = fit(rows[:, :-2], rows[:, -1], rows[:, -2])
        print(f"WEIGHTS: Final = {tuple(weights)}\nBIAS: Final = {bias}")
        worst = np.concatenate([one.worst for one in seen])
        (weight,), bias = fit(worst[:, None], np.concatenate([one.incident for one in seen]))
        print(f"FLEET_WEIGHT: Final = {weight}\nFLEET_BIAS: Final = {bias}")
        return 0
    for name, ranges in TRIED_ON.items():
        _report(name, run(SIZES, ranges))
    return 0


def _report(name: str, seen: Sequence[Seen]) -> None:
    print(f"## {name}\n\n| servers | recall | precision | with two minutes after a change | | Brier |\n|{'---|' * 6}")
    for size in SIZES:
        of_size = [one for one in seen if one.servers == size]
        figures = [
            f"{figure:.3f}"
            for settled in (True, False)
            for figure in recall_and_precision(of_size, 0.5, settled=settled)
        ]
        print(f"| {size} | {' | '.join(figures)} | {brier(of_size):.4f} |")
    print("\n| what happens | recall | false | \n|---|---|---|")
    for what in (*CALM, *INCIDENTS):
        of_kind = [one for one in seen if one.what == what]
        recall = f"{recall_and_precision(of_kind, 0.5)[0]:.3f}" if what in INCIDENTS else ""
        said, was = _flat(of_kind, settled=True)
        print(f"| {what} | {recall} | {np.sum((said > 0.5) * (1 - was)) / np.sum(1 - was):.4f} |")
    print("\n| said | was | moments | \n|---|---|---|")
    for mean, was_incident, moments in reliability(seen):
        print(f"| {mean:.3f} | {was_incident:.3f} | {moments} |")
    print()


if __name__ == "__main__":
    raise SystemExit(main())
