"""Runs that are running, and what their machines do, written by the real client."""

from __future__ import annotations

import contextlib
from math import inf, nan
from typing import Any

import pytest
from mlflow.entities import Metric

from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.mlflow import MlflowSettings, MlflowSource
from tests.support.mlflow_store import CHURN, EMPTY, EPOCH, reference_client

_NOW = EPOCH + 100_000


class _Trainer:
    """Trains in an experiment that has no runs."""

    def __init__(self, uri: str) -> None:
        self.client = reference_client(uri)
        found = self.client.get_experiment_by_name(EMPTY)
        assert found is not None
        self._experiment = found.experiment_id

    def start(self, **tags: str) -> str:
        named = {f"mlflow.{name.replace('__', '.')}": value for name, value in tags.items()}
        started = 1000 * (_NOW - 3600)
        run_id: str = self.client.create_run(self._experiment, start_time=started, tags=named).info.run_id
        return run_id

    def log(self, run: str, step: int, seconds_ago: float, **metrics: float) -> None:
        at = round(1000 * (_NOW - seconds_ago))
        names = {key: key.replace("__", "/") for key in metrics}
        self.client.log_batch(run, metrics=[Metric(names[key], value, at, step) for key, value in metrics.items()])


def _source(uri: str, **settings: object) -> Any:
    made = MlflowSource(MlflowSettings.model_validate({"uri": uri, **settings}), now=lambda: _NOW)
    return contextlib.closing(made)


def _of_empty(families: FamilySet, name: str) -> dict[str, Any]:
    return {
        "/".join(labels[1:]): value
        for labels, value in families[f"mlflow_training_{name}"].samples.items()
        if labels[0] == EMPTY
    }


def test_progress_of_runs_that_are_running_is_counted(store_uri: str) -> None:
    trainer = _Trainer(store_uri)
    first, second = trainer.start(), trainer.start()
    trainer.log(first, 10, 600, loss=0.5)
    trainer.log(second, 3, 60, loss=0.4)
    # The machine is well; that the training gets on shows in nothing of this.
    trainer.log(first, 99, 1, system__cpu_utilization_percentage=3)
    with _source(store_uri) as source:
        families = source.collect()
        assert _of_empty(families, "last_metric_timestamp_seconds") == {"": _NOW - 600}
        # What was made before the exporter began is not counted, but rate() needs the zero.
        assert _of_empty(families, "steps_total") == {"": 0}
        trainer.log(first, 14, 30, loss=0.4)
        third = trainer.start()
        trainer.log(third, 5, 20, loss=0.4)
        families = source.collect()
        assert _of_empty(families, "steps_total") == {"": 9}
        assert _of_empty(families, "last_metric_timestamp_seconds") == {"": _NOW - 60}
        for run in (first, second, third):
            trainer.client.set_terminated(run, end_time=1000 * _NOW)
        families = source.collect()
        # A counter stays.
        assert _of_empty(families, "steps_total") == {"": 9}
        assert _of_empty(families, "last_metric_timestamp_seconds") == {}


def test_losses_that_are_no_numbers_are_counted(store_uri: str) -> None:
    trainer = _Trainer(store_uri)
    runs = [trainer.start() for _run in range(4)]
    trainer.log(runs[0], 1, 60, val_loss=nan, accuracy=0.1)
    trainer.log(runs[1], 1, 60, val_loss=inf)
    trainer.log(runs[2], 1, 60, val_loss=0.3, accuracy=nan)
    trainer.log(runs[3], 1, 60, val_loss=nan)
    trainer.log(runs[3], 2, 30, val_loss=0.3)
    with _source(store_uri) as source:
        families = source.collect()
        assert _of_empty(families, "runs_not_finite") == {"": 2}
        assert families["mlflow_training_runs_not_finite"].samples[(CHURN,)] == 0


def test_a_loss_that_rises_and_does_not_come_back_is_counted(store_uri: str) -> None:
    trainer = _Trainer(store_uri)
    diverging, healthy = trainer.start(), trainer.start()
    with _source(store_uri, metrics={"losses": "val_loss"}) as source:
        counts = []
        for step in range(80):
            risen = 3.0 if step >= 50 else 0.0
            trainer.log(diverging, step, 2000 - step, val_loss=2 / (step + 1) + risen, accuracy=0.1 + step)
            trainer.log(healthy, step, 2000 - step, val_loss=2 / (step + 1), train_loss=0.1 + step)
            counts.append(_of_empty(source.collect(), "runs_rising")[""])
        # Twenty values, and each of them is higher than before.
        assert counts == [0] * 69 + [1] * 11
        trainer.client.set_terminated(diverging, end_time=1000 * _NOW)
        assert _of_empty(source.collect(), "runs_rising") == {"": 0}


def test_utilization_is_of_what_was_logged_of_late(store_uri: str) -> None:
    trainer = _Trainer(store_uri)
    busy, idle, dead = (trainer.start() for _run in range(3))
    for run, gpu, ago in ((busy, 90.0, 30), (idle, 2.0, 30), (dead, 0.0, 3600)):
        trainer.log(
            run,
            1,
            ago,
            system__gpu_0_utilization_percentage=gpu,
            system__gpu_1_utilization_percentage=gpu + 4,
            system__gpu_0_memory_usage_percentage=50,
            system__gpu_0_power_usage_watts=300,
            system__cpu_utilization_percentage=25,
            system__system_memory_usage_percentage=75,
            system__disk_usage_percentage=10,
        )
    with _source(store_uri) as source:
        families = source.collect()
        used = {"cpu": 0.25, "disk": 0.1, "gpu": 0.48, "gpu_memory": 0.5, "memory": 0.75}
        assert _of_empty(families, "utilization_ratio") == pytest.approx(used)
        assert _of_empty(families, "gpu_lowest_utilization_ratio") == {"": 0.04}
    with _source(store_uri, training=False) as source:
        assert not source.collect()["mlflow_training_utilization_ratio"].samples


def test_machines_that_name_themselves_are_told_apart(store_uri: str) -> None:
    trainer = _Trainer(store_uri)
    first, second = trainer.start(), trainer.start()
    for run, node, gpu in ((first, "a", 80.0), (first, "rack 1/b", 20.0), (second, "a", 40.0)):
        at = round(1000 * (_NOW - 30))
        key = f"system/{node}/gpu_0_utilization_percentage"
        trainer.client.log_batch(run, metrics=[Metric(key, gpu, at, 1)])
    with _source(store_uri) as source:
        families = source.collect()
    nodes = families["mlflow_training_node_utilization_ratio"].samples
    assert nodes == pytest.approx({("a", "gpu"): 0.6, ("rack 1/b", "gpu"): 0.2})
    # Those of a run that several machines train are one run's.
    assert _of_empty(families, "utilization_ratio") == pytest.approx({"gpu": 0.45})
    assert _of_empty(families, "gpu_lowest_utilization_ratio") == pytest.approx({"": 0.4})


def test_users_and_sources_of_running_runs_are_counted_and_those_that_are_cut_too(store_uri: str) -> None:
    trainer = _Trainer(store_uri)
    for user, source in (("ana", "a.py"), ("ana", "b.py"), ("bo", "a.py"), ("cy", "a.py"), ("(other)", "a.py")):
        trainer.start(user=user, source__name=source)
    ended = trainer.start(user="dora", source__name="a.py")
    trainer.client.set_terminated(ended, end_time=1000 * _NOW)
    with _source(store_uri, top=2) as source:
        families = source.collect()
    # Two runs of the reference store say nothing of theirs.
    assert families["mlflow_training_user_runs"].samples == {("ana",): 2, ("unknown",): 2, ("(other)",): 3}
    assert families["mlflow_training_source_runs"].samples == {("a.py",): 4, ("unknown",): 2, ("(other)",): 1}
    assert families["mlflow_training_labels"].samples == {("user",): 5, ("source",): 3}
