"""Write the demo's MLflow store by the real MLflow client, and keep it moving with `--live`.

The same seed gives the same experiments, runs, params, tags and metric values. Different each time are the ids that
MLflow draws, and all times: they are counted back from the moment of writing, so that "the last 24 hours" are never
empty. What `--live` adds follows the seed run by run, while its times are those of the clock.

The content is declared in `demo.mlflow_content`; what is no run is written by `demo.mlflow_optional`,
and runs that are under way by `demo.mlflow_training`.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

# The client reports usage to its makers unless switched off before its import.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from demo import mlflow_optional, mlflow_training
from demo.mlflow_content import (
    EXPERIMENTS,
    STEPS,
    ExperimentSpec,
    RunSpec,
    Sample,
    calm_experiments,
    live_run,
    past_runs,
)
from ml_monitoring.exporter.command_line import duration
from ml_monitoring.exporter.errors import ConfigError

STORE_FILE = "mlflow.db"
# What the client raises when the store is away, refuses, or cannot be written; it wraps only some of it.
_STORE_ERRORS = (MlflowException, SQLAlchemyError, OSError)
_ENDED = frozenset({"FINISHED", "FAILED", "KILLED"})
# Versions of a model are made of this many of its newest finished runs.
_VERSIONS = 5
# Nothing here writes artifacts; without a location of its own, MLflow would take a folder below the working directory.
_ARTIFACTS = "mlflow-artifacts:/demo"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `python -m demo mlflow`."""
    parser.add_argument("--output-dir", type=Path, metavar="DIR", help=f"write an SQLite store as DIR/{STORE_FILE}")
    parser.add_argument("--store-uri", metavar="URI", help="write to this store instead, such as postgresql://...")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same content (default: 0)")
    parser.add_argument("--live", action="store_true", help="then go on starting, logging and ending runs")
    parser.add_argument(
        "--every", type=duration, default="10s", metavar="DURATION", help="one step of live runs (default: 10s)"
    )
    parser.add_argument("--calm", action="store_true", help="without what gets worse, only fails, or hangs")


def run(options: argparse.Namespace) -> int:
    """Write the store unless it holds the demo already, then keep it moving if asked to.

    Raises:
        ConfigError: Neither `--output-dir` nor `--store-uri` was given, or the store cannot be written.
    """
    if options.store_uri is None and options.output_dir is None:
        raise ConfigError(["demo mlflow: give --output-dir or --store-uri"])
    experiments = calm_experiments() if options.calm else EXPERIMENTS
    try:
        if options.store_uri is None:
            client = write_file(options.output_dir, seed=options.seed, experiments=experiments, say=_say)
        else:
            client = open_store(options.store_uri)
            write_store(client, seed=options.seed, experiments=experiments, say=_say)
        if mlflow_optional.write(client, seed=options.seed, now=datetime.now(UTC), calm=options.calm):
            _say("a search, datasets, logged models and traces")
        if mlflow_training.write(client, seed=options.seed, now=datetime.now(UTC), calm=options.calm):
            _say("trainings under way, with what their machines do")
        live = (
            Live(client, seed=options.seed, every=options.every, experiments=experiments, calm=options.calm)
            if options.live
            else None
        )
    except _STORE_ERRORS as error:
        raise ConfigError([f"demo mlflow: the store cannot be written: {_first_line(error)}"]) from error
    if live is not None:
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda _number, _frame: stop.set())
        _say(f"live: one step every {options.every:g} s; stop with Ctrl-C")
        live.run(stop, say=_say)
    return 0


def open_store(uri: str) -> MlflowClient:
    """Return a quiet client of a store and its model registry; an empty database gets MLflow's tables."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # SQLAlchemy 2.1 takes the bare scheme for psycopg 3, which this project does not use.
    if uri.startswith(("postgresql://", "postgres://")):
        uri = "postgresql+psycopg2://" + uri.split("://", 1)[1]
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def write_file(
    directory: Path,
    *,
    seed: int,
    experiments: Sequence[ExperimentSpec] = EXPERIMENTS,
    say: Callable[[str], None] = lambda _line: None,
) -> MlflowClient:
    """Write an SQLite store below a folder and return a client of it; the file appears when it is complete."""
    path = directory.resolve() / STORE_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        say(f"kept {path}: delete it to get new data")
    else:
        say(f"writing {path}")
        part = path.with_name(f"{STORE_FILE}.{os.getpid()}.part")
        try:
            write_store(open_store(f"sqlite:///{part}"), seed=seed, experiments=experiments, say=say)
            part.rename(path)
        finally:
            part.unlink(missing_ok=True)
    return open_store(f"sqlite:///{path}")


def write_store(
    client: MlflowClient,
    *,
    seed: int,
    now: datetime | None = None,
    experiments: Sequence[ExperimentSpec] = EXPERIMENTS,
    say: Callable[[str], None] = lambda _line: None,
) -> None:
    """Write the experiments that the store does not have yet; one that is there is left as it is."""
    now = now or datetime.now(UTC)
    for number, spec in enumerate(experiments, start=1):
        started = time.monotonic()
        if client.get_experiment_by_name(spec.name) is not None:
            say(f"{number}/{len(experiments)} {spec.name}: is there, left as it is")
            continue
        runs = _write_experiment(client, spec, seed=seed, now=now)
        say(f"{number}/{len(experiments)} {spec.name}: {runs} runs in {time.monotonic() - started:.1f} s")


class Live:
    """Runs that start, log one step at a time, and end; one at a time in each experiment.

    Args:
        client: Client of a store that holds the demo.
        seed: Seed of the runs' content.
        every: Seconds between two steps.
        experiments: Which experiments have live runs; those without `live_runs` are left out.
        calm: Let nothing of the rest go wrong.
    """

    def __init__(
        self,
        client: MlflowClient,
        *,
        seed: int,
        every: float,
        experiments: Sequence[ExperimentSpec] = EXPERIMENTS,
        calm: bool = False,
    ) -> None:
        self._every = every
        self._trainers = [_Trainer(client, spec, seed=seed, every=every) for spec in experiments if spec.live_runs]
        failing = mlflow_optional.SELDOM_FAILING if calm else mlflow_optional.FAILING
        self._assistant = mlflow_optional.Assistant(client, seed=seed, failing=failing)
        self._trainings = mlflow_training.Trainings(client, seed=seed, calm=calm)

    def step(self, now: datetime) -> None:
        """Move every experiment on by one step."""
        for trainer in self._trainers:
            trainer.step(now)
        self._assistant.step(now)
        self._trainings.step(now)

    def stop(self, now: datetime) -> None:
        """Kill the runs under way, as an interrupted training does."""
        for trainer in self._trainers:
            trainer.kill(now)

    def run(self, stop: threading.Event, *, say: Callable[[str], None] = lambda _line: None) -> None:
        """Step until stopped; a store that is away for a while is tried again at the next step."""
        while not stop.is_set():
            try:
                self.step(datetime.now(UTC))
            except _STORE_ERRORS as error:
                say(f"live: {_first_line(error)}; trying again in {self._every:g} s")
            stop.wait(self._every)
        try:
            self.stop(datetime.now(UTC))
        except _STORE_ERRORS as error:
            say(f"live: runs are left running: {_first_line(error)}")


class _Trainer:
    """The live runs of one experiment, one after the other."""

    def __init__(self, client: MlflowClient, spec: ExperimentSpec, *, seed: int, every: float) -> None:
        experiment = client.get_experiment_by_name(spec.name)
        if experiment is None:
            raise ConfigError([f"demo mlflow: the store has no experiment {spec.name}"])
        self._client = client
        self._experiment = experiment.experiment_id
        self._spec = spec
        self._seed = seed
        self._every = every
        self._number = 0
        self._step = 0
        self._run: RunSpec | None = None
        self._run_id = ""

    def step(self, now: datetime) -> None:
        if self._run is None:
            seconds = STEPS * self._every
            run = live_run(self._spec, self._number, seed=self._seed, start=now, seconds=seconds)
            self._run_id = _start(self._client, self._experiment, run)
            # Only now: where the store refuses, the same run is tried again.
            self._run, self._number, self._step = run, self._number + 1, 0
        samples = [sample for sample in self._run.samples if sample.step == self._step]
        if samples:
            _log(self._client, self._run_id, samples, lambda _sample: now)
            self._step += 1
        else:
            self._client.set_terminated(self._run_id, status=self._run.status, end_time=_milliseconds(now))
            self._run = None

    def kill(self, now: datetime) -> None:
        if self._run is not None:
            self._client.set_terminated(self._run_id, status="KILLED", end_time=_milliseconds(now))
            self._run = None


def _write_experiment(client: MlflowClient, spec: ExperimentSpec, *, seed: int, now: datetime) -> int:
    experiment = client.create_experiment(spec.name, artifact_location=_ARTIFACTS)
    written = [(run, _write_run(client, experiment, run)) for run in past_runs(spec, seed=seed, now=now)]
    if spec.model:
        client.create_registered_model(spec.model, description=f"Demo model of the team {spec.team}")
        finished = [run_id for run, run_id in written if run.status == "FINISHED" and not run.deleted]
        for run_id in finished[-_VERSIONS:]:
            # A server takes a version's source only from what belongs to the run.
            client.create_model_version(spec.model, f"{client.get_run(run_id).info.artifact_uri}/model", run_id)
        for alias, version in spec.aliases.items():
            client.set_registered_model_alias(spec.model, alias, str(version))
    if spec.deleted:
        client.delete_experiment(experiment)
    return len(written)


def _write_run(client: MlflowClient, experiment: str, run: RunSpec) -> str:
    run_id = _start(client, experiment, run)
    pace = timedelta(seconds=run.seconds / STEPS)
    _log(client, run_id, run.samples, lambda sample: run.start + pace * sample.step)
    if run.status in _ENDED:
        client.set_terminated(run_id, run.status, _milliseconds(run.start + timedelta(seconds=run.seconds)))
    elif run.status != "RUNNING":
        client.update_run(run_id, status=run.status)
    if run.deleted:
        client.delete_run(run_id)
    return run_id


def _start(client: MlflowClient, experiment: str, run: RunSpec) -> str:
    run_id: str = client.create_run(
        experiment, start_time=_milliseconds(run.start), tags=dict(run.tags), run_name=run.name
    ).info.run_id
    client.log_batch(run_id, params=[Param(key, value) for key, value in run.params.items()])
    return run_id


def _log(client: MlflowClient, run_id: str, samples: Sequence[Sample], when: Callable[[Sample], datetime]) -> None:
    client.log_batch(
        run_id,
        metrics=[Metric(sample.key, sample.value, _milliseconds(when(sample)), sample.step) for sample in samples],
    )


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _say(line: str) -> None:
    # Flushed, so that progress is seen where the output goes through a pipe.
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
