"""An MLflow store in an SQLite file, and a writer that keeps it moving."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from demo.mlflow_content import EXPERIMENTS, ExperimentSpec, calm_experiments, past_runs
from tools.demo.parts.base import Contribution, Look, Place, PortUse
from tools.processes import Process

# `demo.mlflow` has the name too; importing it here would import the MLflow client, which takes seconds.
_STORE_FILE = "mlflow.db"
# Some hundred runs through the MLflow client, on a slow disk.
_WRITE_TIMEOUT = 300.0
_LIVE_STEP = "3s"
_HOUR = timedelta(hours=1)
# As long as alerts look back for how results usually spread.
_HISTORY = timedelta(days=8)


class MlflowStore:
    """The part; see `demo.mlflow` for the data."""

    name = "mlflow"
    doing = "writing an MLflow store by the real MLflow client (about ten seconds)"
    ports: Sequence[PortUse] = ()

    def prepare(self, place: Place) -> Contribution:
        """Write the store, and go on writing."""
        store = place.directory.resolve() / _STORE_FILE
        command: list[str | Path] = [
            sys.executable, "-m", "demo", "mlflow",
            "--output-dir", store.parent, "--live", "--every", _LIVE_STEP, *place.options,
        ]  # fmt: skip
        writer = Process(
            "the MLflow writer",
            command,
            log=place.logs / "mlflow-writer.log",
            # The file appears when it is complete.
            healthy=store.exists,
            start_timeout=_WRITE_TIMEOUT,
        )
        uri = f"sqlite:///{store}"
        place.run("MLflow writer", "", writer)
        worse = next(spec.name for spec in EXPERIMENTS if spec.drift < 1)
        failing = next(spec.name for spec in EXPERIMENTS if spec.failing_for is not None)
        return Contribution(
            settings={
                "sources": {
                    "mlflow": {"uri": uri, "interval": "5s", "count_tags": ["team"], "cost_tags": ["cost_dollars"]}
                }
            },
            history=list(results_of_the_past(datetime.now(UTC), calm_experiments() if place.calm else EXPERIMENTS)),
            looks=(
                Look(
                    f"Two experiments are in trouble: {worse} got much worse than its best, {failing} only fails:",
                    page="mlflow-experiments",
                ),
                Look(
                    "The same store in MLflow's own pages:",
                    command=f".venv/bin/mlflow ui --backend-store-uri {shlex.quote(uri)}",
                ),
            ),
        )


def results_of_the_past(now: datetime, experiments: Sequence[ExperimentSpec]) -> Iterator[str]:
    """Yield the latest results of the demo's experiments at each hour, as they would have been scraped.

    A result is worse than usual only where it is known what is usual.
    """
    for spec in experiments:
        runs = [run for run in past_runs(spec, seed=0, now=now) if run.status == "FINISHED" and not run.deleted]
        ended = [(run.start + timedelta(seconds=run.seconds), run.params["model_variant"], run) for run in runs]
        hour = (now - _HISTORY).replace(minute=0, second=0, microsecond=0)
        while hour <= now:
            latest = {variant: run for end, variant, run in ended if end <= hour}
            for variant, run in latest.items():
                for key, value in {sample.key: sample.value for sample in run.samples}.items():
                    labels = f'job="ml-monitoring",experiment="{spec.name}",model_variant="{variant}",metric="{key}"'
                    yield f"mlflow_metric_latest{{{labels}}} {value} {hour.timestamp():.0f}"
            hour += _HOUR
