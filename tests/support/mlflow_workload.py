"""A random workload of an MLflow store, for tests that compare what was tracked with what is there."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import inf, nan
from typing import TypeVar

from mlflow import MlflowClient
from mlflow.entities import ViewType

from tests.support.mlflow_store import EPOCH, reference_client

_Item = TypeVar("_Item")
_STATUSES = ("FINISHED", "FAILED", "KILLED")
_KEYS = ("accuracy", "val_loss", "rmse", "f1")
_VARIANTS = ("model_a", "model_b", "modèle 検")


class RandomWorkload:
    """Operates on a store at random, as users and their programs do."""

    def __init__(self, uri: str, seed: int) -> None:
        self._client = reference_client(uri)
        self._random = random.Random(seed)
        self._clock = EPOCH * 1000
        self._names = 0
        self.actions: tuple[Callable[[], None], ...] = (
            *(self.start, self.start, self.log, self.log, self.end, self.end, self.end, self.delete, self.restore),
            *(self.late_metric, self.late_label, self.remove_label, self.rename_run, self.delete_experiment),
            *(self.restore_experiment, self.rename_experiment, self.register, self.alias, self.delete_alias),
        )

    def step(self) -> str:
        action = self._random.choice(self.actions)
        action()
        return action.__name__

    def start(self) -> None:
        experiment = self._pick(self._experiments(ViewType.ACTIVE_ONLY))
        if experiment is None or self._random.random() < 0.1:
            self._names += 1
            experiment = self._client.create_experiment(f"new-{self._names}")
        # Now and then with a time of long ago.
        back = self._random.choice((0, 0, 0, 10_000_000))
        tags = {"model_variant": self._variant()} if self._random.random() < 0.3 else None
        if (parent := self._pick(self._runs("RUNNING"))) and self._random.random() < 0.3:
            tags = {**(tags or {}), "mlflow.parentRunId": parent}
        run = self._client.create_run(experiment, start_time=self._now() - back, tags=tags).info.run_id
        if self._random.random() < 0.5:
            self._client.log_param(run, "model_variant", self._variant())

    def log(self) -> None:
        if run := self._pick(self._runs("RUNNING")):
            self._log(run)

    def late_metric(self) -> None:
        if run := self._pick(self._runs(*_STATUSES)):
            self._log(run)

    def late_label(self) -> None:
        if run := self._pick(self._runs("FINISHED")):
            self._client.set_tag(run, "model_variant", self._variant())

    def remove_label(self) -> None:
        for run in self._runs("FINISHED"):
            if "model_variant" in self._client.get_run(run).data.tags:
                self._client.delete_tag(run, "model_variant")
                return

    def end(self) -> None:
        if run := self._pick(self._runs("RUNNING", "SCHEDULED")):
            status = self._random.choice(("FINISHED", "FINISHED", *_STATUSES))
            self._client.set_terminated(run, status=status, end_time=self._now())

    def delete(self) -> None:
        if run := self._pick(self._runs("RUNNING", *_STATUSES)):
            self._client.delete_run(run)

    def restore(self) -> None:
        if run := self._pick(self._runs("RUNNING", *_STATUSES, view=ViewType.DELETED_ONLY)):
            self._client.restore_run(run)

    def rename_run(self) -> None:
        if run := self._pick(self._runs("RUNNING", *_STATUSES)):
            self._client.update_run(run, name=f"renamed-{self._random.random()}")

    def delete_experiment(self) -> None:
        if self._random.random() < 0.3 and (experiment := self._pick(self._experiments(ViewType.ACTIVE_ONLY))):
            self._client.delete_experiment(experiment)

    def restore_experiment(self) -> None:
        if experiment := self._pick(self._experiments(ViewType.DELETED_ONLY)):
            self._client.restore_experiment(experiment)

    def rename_experiment(self) -> None:
        if experiment := self._pick(self._experiments(ViewType.ACTIVE_ONLY)):
            self._names += 1
            self._client.rename_experiment(experiment, f"renamed-{self._names}")

    def register(self) -> None:
        model = self._pick([model.name for model in self._client.search_registered_models()])
        if model is None or self._random.random() < 0.1:
            self._names += 1
            model = self._client.create_registered_model(f"model-{self._names}").name
        self._client.create_model_version(model, "/nonexistent/artifacts/model", self._pick(self._runs("FINISHED")))

    def alias(self) -> None:
        if version := self._pick([(v.name, v.version) for v in self._client.search_model_versions()]):
            name = self._random.choice(("champion", "candidate"))
            self._client.set_registered_model_alias(version[0], name, version[1])

    def delete_alias(self) -> None:
        models = [model for model in self._client.search_registered_models() if model.aliases]
        if models:
            model = self._random.choice(models)
            self._client.delete_registered_model_alias(model.name, self._random.choice(sorted(model.aliases)))

    def _log(self, run: str) -> None:
        value = self._random.choice((round(self._random.random(), 3), 2.0, -1.0, nan, inf, -inf))
        self._client.log_metric(run, self._random.choice(_KEYS), value, timestamp=self._now(), step=self._clock)

    def _variant(self) -> str:
        return self._random.choice(_VARIANTS)

    def _now(self) -> int:
        self._clock += self._random.randrange(1, 5000)
        return self._clock

    def _experiments(self, view: int) -> list[str]:
        return [found.experiment_id for found in self._client.search_experiments(view_type=view)]

    def _runs(self, *statuses: str, view: int = ViewType.ACTIVE_ONLY) -> list[str]:
        found = self._client.search_runs(self._experiments(ViewType.ALL), run_view_type=view)
        return sorted(run.info.run_id for run in found if run.info.status in statuses)

    def _pick(self, items: list[_Item]) -> _Item | None:
        return self._random.choice(items) if items else None


def _finish_again(client: MlflowClient, run: str) -> None:
    _resume(client, run)
    client.set_terminated(run)


def _resume(client: MlflowClient, run: str) -> None:
    client.update_run(run, status="RUNNING")
    client.log_metric(run, "accuracy", 0.1, step=9)


def _correct_and_delete(client: MlflowClient, run: str) -> None:
    client.log_metric(run, "accuracy", 0.1, step=9)
    client.delete_run(run)


# How a finished run can overwrite its accuracy and change its row between two refreshes.
OVERWRITES = (_finish_again, _resume, _correct_and_delete)
