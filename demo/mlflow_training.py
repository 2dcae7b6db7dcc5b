"""Runs of the demo that are under way, with MLflow's system metrics: one gets on, one hangs, one has lost its loss.

`--live` lets them go on: machines are measured at each step, also that of the run that hangs, as MLflow does it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import exp, nan
from types import MappingProxyType

from mlflow import MlflowClient
from mlflow.entities import Metric

TRAINING = "vision-pretraining"
_ARTIFACTS = "mlflow-artifacts:/demo"
_BEGUN_AGO = timedelta(hours=5)
_BACKFILLED = 20


@dataclass(frozen=True, slots=True)
class _Spec:
    """A run that is under way.

    Attributes:
        user: Who started it.
        source: What did.
        gpu: How much of each GPU it uses, in percent.
        ends: How long after its start it logged its last loss; never where it gets on.
        lost: How long after its start its loss was no number any more.
    """

    user: str
    source: str
    gpu: float
    ends: timedelta = timedelta.max
    lost: timedelta = timedelta.max


_RUNS: Mapping[str, _Spec] = MappingProxyType(
    {
        "vit-large": _Spec("ana", "pretrain.py", 88),
        "vit-base": _Spec("bo", "pretrain.py", 2, ends=timedelta(hours=2)),
        "convnext": _Spec("chidi", "notebooks/convnext.ipynb", 76, lost=timedelta(hours=4)),
    }
)


def write(client: MlflowClient, *, seed: int, now: datetime, calm: bool = False) -> bool:
    """Write them unless they are there; return whether they were written."""
    if client.get_experiment_by_name(TRAINING) is not None:
        return False
    experiment = client.create_experiment(TRAINING, artifact_location=_ARTIFACTS)
    begun = now - _BEGUN_AGO
    for name, spec in _RUNS.items():
        tags = {"mlflow.user": spec.user, "mlflow.source.name": spec.source, "team": "vision", "demo": "true"}
        client.create_run(experiment, start_time=_milliseconds(begun), tags=tags, run_name=name)
    trainings = Trainings(client, seed=seed, calm=calm)
    for number in range(1, _BACKFILLED + 1):
        trainings.step(begun + _BEGUN_AGO / _BACKFILLED * number)
    return True


class Trainings:
    """The runs, as far as the store has them.

    Args:
        client: Client of a store that holds the demo.
        seed: Seed of losses and of what machines do.
        calm: Let all of them get on.
    """

    def __init__(self, client: MlflowClient, *, seed: int, calm: bool = False) -> None:
        self._client = client
        self._random = random.Random(f"{seed} trainings")  # noqa: S311  # demo data, not a secret
        runs = {name: _Spec(spec.user, spec.source, 88) if calm else spec for name, spec in _RUNS.items()}
        experiment = client.get_experiment_by_name(TRAINING)
        found = [] if experiment is None else client.search_runs([experiment.experiment_id])
        self._runs = [
            (run.info.run_id, run.info.start_time, number, runs[run.info.run_name])
            for number, run in enumerate(sorted(found, key=lambda run: str(run.info.run_name)), start=1)
            if run.info.run_name in runs and run.info.status == "RUNNING"
        ]

    def step(self, now: datetime) -> None:
        """Log what there is to log of each run."""
        at = _milliseconds(now)
        for run, started, number, spec in self._runs:
            passed = timedelta(milliseconds=at - started)
            step = int(passed.total_seconds() / 2)
            logged = [*self._machine(number, spec), *self._progress(spec, passed)]
            self._client.log_batch(run, metrics=[Metric(key, value, at, step) for key, value in logged])

    def _progress(self, spec: _Spec, passed: timedelta) -> Iterator[tuple[str, float]]:
        if passed > spec.ends:
            return
        loss = 0.8 + 5 * exp(-passed.total_seconds() / 6000) + self._random.gauss(0, 0.02)
        yield "train_loss", nan if passed > spec.lost else loss
        yield "learning_rate", 3e-4

    def _machine(self, number: int, spec: _Spec) -> Iterator[tuple[str, float]]:
        node = f"system/gpu-node-{number}/"
        for gpu in range(2):
            used = spec.gpu + self._random.gauss(0, spec.gpu / 40)
            yield f"{node}gpu_{gpu}_utilization_percentage", min(100.0, max(0.0, used))
            yield f"{node}gpu_{gpu}_memory_usage_percentage", 80.0 - number
        yield f"{node}cpu_utilization_percentage", spec.gpu / 3 + self._random.uniform(0, 5)
        yield f"{node}system_memory_usage_percentage", 40.0 + 5 * number
        yield f"{node}disk_usage_percentage", 55.0 + number


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
