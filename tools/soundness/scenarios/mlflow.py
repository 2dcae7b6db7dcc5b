"""MLflow: runs that fail, and results that spread until one is much worse."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tools.soundness.scenario import Scenario
from tools.soundness.world import BEGIN, DAY, Floats, Series, World

_EXPORTER = {"job": "ml-monitoring", "instance": "a:9847", "experiment": "churn"}
_RUNS = {"low": 2, "usual": 12, "high": 200}


def _ended(world: World, a_day: float) -> Floats:
    return world.events(a_day / DAY)


def _failing(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield runs of which 5 % fail."""
    ended = _ended(world, traffic)
    failed = world.share(ended, world.choose(0.05, size or 0.05))
    for status, counted in (("FINISHED", ended - failed), ("FAILED", failed)):
        yield world.gauge("mlflow_runs", {**_EXPORTER, "status": status}, np.cumsum(counted))


def _results(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield the latest and the best loss of runs that spread by a tenth; a fault multiplies it."""
    ended = _ended(world, traffic) > 0
    ended[0] = True
    loss = world.random.normal(1, 0.1, world.scrapes) * world.choose(1, size or 1)
    last = np.maximum.accumulate(np.where(ended, np.arange(world.scrapes), 0))
    yield world.gauge("mlflow_metric_latest", {**_EXPORTER, "model_variant": "b", "metric": "loss"}, loss[last])
    best = np.minimum.accumulate(np.where(ended, loss, np.inf))
    yield world.gauge("mlflow_metric_best", {**_EXPORTER, "metric": "loss"}, best)
    finished = {**_EXPORTER, "status": "FINISHED"}
    yield world.gauge("mlflow_last_run_timestamp_seconds", finished, BEGIN + world.moments[last])


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        alert="MlflowFailedRunRatioHigh",
        healthy="5 % of the runs fail",
        simulate=_failing,
        traffic=_RUNS,
        unit="runs a day",
        faults={"60 % fail": 0.6, "all fail": 1},
        horizon=2 * DAY,
        cannot={
            ("low", "60 % fail"): "less than one run within the window",
            ("low", "all fail"): "less than one run within the window; MlflowNoSuccessfulRun finds it",
            ("usual", "60 % fail"): "three runs within the window",
        },
        step=300,
    ),
    Scenario(
        alert="MlflowMetricWorseThanBest",
        healthy="a loss spreads by 10 % from run to run",
        simulate=_results,
        traffic=_RUNS,
        unit="runs a day",
        faults={"twice the loss": 2, "three times the loss": 3},
        warm_up=8 * DAY,
        horizon=3 * DAY,
        step=900,
    ),
)
