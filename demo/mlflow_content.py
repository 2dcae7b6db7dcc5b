"""What the demo's MLflow store holds, as plain data: the same seed gives the same content.

Four teams' experiments and a retired one. Two are healthy. `fraud-detector` has newest runs that are visibly worse than
its best (its data has drifted), and `llm-reranker` has only failed for two days. To add an experiment, add an
`ExperimentSpec` to `EXPERIMENTS`; writing it is the work of `demo.mlflow`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import inf, nan

STEPS = 10
_PERIOD = timedelta(days=14)
_USERS = ("ana", "bo", "chidi")
_DOLLARS_PER_HOUR = 3.06
_STATUSES = {"F": "FINISHED", "X": "FAILED", "K": "KILLED", "R": "RUNNING", "S": "SCHEDULED", "D": "FINISHED"}
_DELETED = "D"


@dataclass(frozen=True, slots=True)
class Curve:
    """How a metric moves over the steps of a run.

    Attributes:
        start: Typical value at the first step.
        end: Typical value at the last step; smaller than `start` where lower is better.
        spread: Standard deviation of the last value between runs.
    """

    start: float
    end: float
    spread: float


@dataclass(frozen=True, slots=True)
class ExperimentSpec:
    """One experiment of the demo.

    Attributes:
        name: Name in MLflow.
        team: Value of the tag `team`.
        framework: Value of the tag `framework`.
        variants: Values of the param `model_variant`; later ones are slightly better.
        curves: Metrics by key.
        minutes: Typical duration of a run.
        runs: One letter a run, oldest first: (F)inished, failed (X), (K)illed, (R)unning, (S)cheduled, (D)eleted.
        live_runs: The same for the runs that `--live` starts, over and over; empty for none.
        newest_age: How long ago the newest run was started.
        failing_for: How long ago the failures at the end of `runs` began; None when there is no such outage.
        drift: Factor on the quality of the newest finished run of each variant and of live runs; 1.0 is healthy.
        model: Registered model, versions of which come from finished runs; empty for none.
        aliases: Alias to version number.
        deleted: Whether the experiment is deleted after its runs were written.
    """

    name: str
    team: str
    framework: str
    variants: tuple[str, ...]
    curves: Mapping[str, Curve]
    minutes: float
    runs: str
    live_runs: str = ""
    newest_age: timedelta = timedelta(minutes=4)
    failing_for: timedelta | None = None
    drift: float = 1.0
    model: str = ""
    aliases: Mapping[str, int] = field(default_factory=dict)
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric."""

    key: str
    step: int
    value: float


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One run of the demo; `seconds` is how long it takes, also where its status says that it has not ended."""

    name: str
    status: str
    deleted: bool
    start: datetime
    seconds: float
    params: Mapping[str, str]
    tags: Mapping[str, str]
    samples: tuple[Sample, ...]


EXPERIMENTS: tuple[ExperimentSpec, ...] = (
    ExperimentSpec(
        "churn-classifier",
        team="growth",
        framework="xgboost",
        variants=("model_a", "model_b"),
        curves={
            "accuracy": Curve(0.68, 0.905, 0.008),
            "precision": Curve(0.60, 0.86, 0.010),
            "recall": Curve(0.55, 0.83, 0.010),
            "f1": Curve(0.57, 0.845, 0.010),
            "val_loss": Curve(0.69, 0.26, 0.006),
        },
        minutes=7,
        runs="FFFXFFFDFFKFFFFFFXFFFFFFFF",
        live_runs="FFFFKFFF",
        model="churn-model",
        aliases={"champion": 4, "challenger": 5},
    ),
    ExperimentSpec(
        "demand-forecast",
        team="supply",
        framework="lightgbm",
        variants=("model_a", "model_b", "model_c"),
        curves={
            "rmse": Curve(61.0, 23.5, 0.6),
            "mape": Curve(0.34, 0.112, 0.003),
            "val_loss": Curve(0.88, 0.215, 0.005),
            "r2": Curve(0.31, 0.88, 0.006),
        },
        minutes=150,
        runs="FFFFFXFFDFFFFKFFFFFFFRS",
        live_runs="FFFFFX",
        model="demand-model",
        aliases={"champion": 2, "challenger": 3},
    ),
    ExperimentSpec(
        "fraud-detector",
        team="risk",
        framework="pytorch",
        variants=("model_a", "model_b"),
        curves={
            "accuracy": Curve(0.90, 0.975, 0.003),
            "precision": Curve(0.41, 0.79, 0.010),
            "recall": Curve(0.35, 0.86, 0.010),
            "f1": Curve(0.38, 0.82, 0.010),
            "val_loss": Curve(0.55, 0.115, 0.003),
        },
        minutes=38,
        runs="FFXFFFFFKFFFFFFFXFFFF",
        live_runs="F",
        newest_age=timedelta(minutes=55),
        drift=0.62,
        model="fraud-model",
        aliases={"champion": 2, "challenger": 4},
    ),
    ExperimentSpec(
        "llm-reranker",
        team="search",
        framework="transformers",
        variants=("model_a", "model_b"),
        curves={
            "ndcg_at_10": Curve(0.36, 0.61, 0.008),
            "mrr": Curve(0.30, 0.54, 0.008),
            "val_loss": Curve(2.30, 0.92, 0.020),
        },
        minutes=95,
        runs="FFFFXFFFFFXXXXX",
        live_runs="X",
        newest_age=timedelta(hours=2),
        failing_for=timedelta(days=2),
        model="reranker-model",
    ),
    ExperimentSpec(
        "legacy-propensity",
        team="growth",
        framework="sklearn",
        variants=("model_a",),
        curves={"accuracy": Curve(0.60, 0.74, 0.01), "auc": Curve(0.58, 0.77, 0.01)},
        minutes=3,
        runs="FFFFXF",
        newest_age=timedelta(days=9),
        deleted=True,
    ),
)


def calm_experiments() -> tuple[ExperimentSpec, ...]:
    """Return the experiments with results as good as ever, nothing that failed of late, and nothing left running."""
    return tuple(
        replace(
            spec,
            runs=spec.runs.rstrip("RSX"),
            live_runs="F" if spec.live_runs else "",
            failing_for=None,
            drift=1.0,
        )
        for spec in EXPERIMENTS
    )


def past_runs(spec: ExperimentSpec, *, seed: int, now: datetime) -> Iterator[RunSpec]:
    """Yield the runs of an experiment from the oldest to the newest.

    Everything depends on the experiment and the seed alone, except that times are counted back from `now`.
    """
    rng = _random(seed, spec.name)
    finished = [number for number, letter in enumerate(spec.runs) if letter == "F"]
    # The newest finished run of each variant is what "latest" means on the dashboard.
    newest = set(finished[-len(spec.variants) :])
    for number, (letter, age) in enumerate(zip(spec.runs, _ages(spec, rng), strict=True)):
        usual = spec.minutes * 60 * rng.uniform(0.8, 1.25) * (1.0 if letter in "FD" else rng.uniform(0.1, 0.7))
        yield _make_run(
            spec,
            rng,
            name=f"{spec.name}-{number + 1:03d}",
            letter=letter,
            # Counting from the newest finished run gives each variant exactly one of the newest.
            variant=spec.variants[(finished[-1] - number) % len(spec.variants)],
            quality=spec.drift if number in newest else 1.0,
            start=now - age,
            seconds=min(usual, age.total_seconds() - 60),  # what has ended has ended before now
        )


def live_run(spec: ExperimentSpec, number: int, *, seed: int, start: datetime, seconds: float) -> RunSpec:
    """Make up the run number `number` that `--live` starts; its status is the one that it will end with."""
    letter = spec.live_runs[number % len(spec.live_runs)]
    return _make_run(
        spec,
        _random(seed, f"{spec.name}/live/{number}"),
        name=f"{spec.name}-{start:%m%d-%H%M%S}",
        letter=letter,
        variant=spec.variants[number % len(spec.variants)],
        quality=spec.drift,
        start=start,
        seconds=seconds,
    )


def _random(seed: int, what: str) -> random.Random:
    return random.Random(f"{seed}/{what}")  # noqa: S311  # demo values, not secrets


def _make_run(
    spec: ExperimentSpec,
    rng: random.Random,
    *,
    name: str,
    letter: str,
    variant: str,
    quality: float,
    start: datetime,
    seconds: float,
) -> RunSpec:
    status = _STATUSES[letter]
    steps = STEPS if status == "FINISHED" else 0 if status == "SCHEDULED" else rng.randrange(2, STEPS - 1)
    # Half of the failed runs diverge: their values overflow and then are no numbers at all.
    diverges = status == "FAILED" and rng.random() < 0.5
    quality *= 1 + 0.012 * spec.variants.index(variant)
    return RunSpec(
        name=name,
        status=status,
        deleted=letter == _DELETED,
        start=start,
        seconds=seconds,
        params={
            "model_variant": variant,
            "test_size": rng.choice(("0.2", "0.25", "0.3")),
            "learning_rate": f"{10 ** rng.uniform(-3.5, -1.5):.5f}",
            "random_state": str(rng.randrange(1000)),
        },
        tags={
            "team": spec.team,
            "framework": spec.framework,
            "mlflow.user": rng.choice(_USERS),
            "cost_dollars": f"{_DOLLARS_PER_HOUR * seconds / 3600:.2f}",
            "demo": "true",
        },
        samples=tuple(
            Sample(key, step, value)
            for key, curve in spec.curves.items()
            for step, value in enumerate(_values(curve, rng, quality=quality, steps=steps, diverges=diverges))
        ),
    )


def _values(curve: Curve, rng: random.Random, *, quality: float, steps: int, diverges: bool) -> list[float]:
    """Return the value of a metric at each step: a decaying curve to its goal, with noise on the way."""
    lower_is_better = curve.end < curve.start
    goal = rng.gauss(curve.end / quality if lower_is_better else min(curve.end * quality, 0.99), curve.spread)
    values = []
    for step in range(steps):
        rest = (1 - step / (STEPS - 1)) ** 2.2
        noise = rng.gauss(0, curve.spread) if step < STEPS - 1 else 0.0
        values.append(round(goal + (curve.start - goal) * rest + noise, 6))
    if diverges:
        values[-2:] = [inf if lower_is_better else -inf, nan]
    return values


def _ages(spec: ExperimentSpec, rng: random.Random) -> list[timedelta]:
    """Return how long ago each run was started, oldest first."""
    if spec.failing_for is None:
        return _spread(len(spec.runs), _PERIOD, spec.newest_age, rng)
    failing = len(spec.runs) - len(spec.runs.rstrip("X"))
    before = _spread(len(spec.runs) - failing, _PERIOD, spec.failing_for + timedelta(hours=4), rng)
    return [*before, *_spread(failing, spec.failing_for, spec.newest_age, rng)]


def _spread(count: int, oldest: timedelta, newest: timedelta, rng: random.Random) -> list[timedelta]:
    """Spread ages over a time, denser towards now; jitter stays below one place, so the order stays."""
    places = [max(0.0, place - rng.uniform(0.0, 0.7)) for place in range(count - 1, -1, -1)]
    return [newest + (oldest - newest) * float((place / count) ** 1.5) for place in places]
