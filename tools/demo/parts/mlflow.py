"""An MLflow store in an SQLite file, and a writer that keeps it moving."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from demo.mlflow_content import EXPERIMENTS
from tools.demo.parts.base import Contribution, Look, Place, PortUse
from tools.processes import Process

# `demo.mlflow` has the name too; importing it here would import the MLflow client, which takes seconds.
_STORE_FILE = "mlflow.db"
# Some hundred runs through the MLflow client, on a slow disk.
_WRITE_TIMEOUT = 300.0
_LIVE_STEP = "3s"


class MlflowStore:
    """The part; see `demo.mlflow` for the data."""

    name = "mlflow"
    ports: Sequence[PortUse] = ()

    def prepare(self, place: Place) -> Contribution:
        """Write the store, and go on writing."""
        place.say("writing an MLflow store by the real MLflow client (about ten seconds)")
        store = place.directory.resolve() / _STORE_FILE
        command: list[str | Path] = [
            sys.executable, "-m", "demo", "mlflow",
            "--output-dir", store.parent, "--live", "--every", _LIVE_STEP,
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
            settings={"sources": {"mlflow": {"uri": uri, "interval": "5s", "count_tags": ["team"]}}},
            looks=(
                Look(
                    f"Two experiments are in trouble: {worse} got much worse than its best, {failing} only fails:",
                    page="mlflow-experiments",
                ),
                Look("The same store in MLflow's own pages:", command=f".venv/bin/mlflow ui --backend-store-uri {uri}"),
            ),
        )
