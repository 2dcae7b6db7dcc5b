"""What the demo's MLflow store holds besides runs: a search with child runs, datasets, logged models, and traces.

The support assistant is an LLM application: `--live` lets it answer a few questions at each step. Most answers take
seconds, some fail, and long ones take more tokens. A judge says how good they are.
"""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta

from mlflow import MlflowClient
from mlflow.entities import AssessmentSource, Dataset, DatasetInput, Feedback, LoggedModelStatus
from mlflow.entities.trace_info import TraceInfo
from mlflow.entities.trace_location import TraceLocation
from mlflow.entities.trace_state import TraceState
from mlflow.tracing.client import TracingClient

ASSISTANT = "support-assistant"
SEARCH = "pricing-search"
_TRIALS = ("FINISHED", "FINISHED", "FAILED", "FINISHED", "KILLED", "FINISHED")
_DATASETS = (("prices", "2026-09"), ("prices", "2026-10"), ("competitors", "2026-10"))
_ARTIFACTS = "/nonexistent/demo-artifacts"
_BACKFILLED_TRACES = 40
_ANSWERS = 3
FAILING = 0.06
# While all is calm.
SELDOM_FAILING = 0.002
_PROMPT_VERSIONS = ("1", "2")


def write(client: MlflowClient, *, seed: int, now: datetime, calm: bool = False) -> bool:
    """Write all of it unless it is there; return whether it was written."""
    if client.get_experiment_by_name(SEARCH) is not None:
        return False
    _write_search(client, now)
    experiment = client.create_experiment(ASSISTANT, artifact_location=_ARTIFACTS)
    for number, status in enumerate((LoggedModelStatus.READY, LoggedModelStatus.READY, LoggedModelStatus.FAILED)):
        model = client.create_logged_model(experiment, name=f"assistant-{number + 1}", model_type="agent")
        client.finalize_logged_model(model.model_id, status)
    assistant = Assistant(client, seed=seed, failing=SELDOM_FAILING if calm else FAILING)
    for number in range(_BACKFILLED_TRACES):
        assistant.answer(now - timedelta(minutes=3 * (_BACKFILLED_TRACES - number)))
    return True


def _write_search(client: MlflowClient, now: datetime) -> None:
    experiment = client.create_experiment(SEARCH, artifact_location=_ARTIFACTS)
    begun = now - timedelta(hours=5)
    parent = client.create_run(experiment, start_time=_milliseconds(begun), run_name="search").info.run_id
    inputs = [DatasetInput(Dataset(name, digest, "local", "{}")) for name, digest in _DATASETS]
    client.log_inputs(parent, inputs)
    for number, status in enumerate(_TRIALS):
        start = begun + timedelta(minutes=20 * number)
        tags = {"mlflow.parentRunId": parent, "team": "pricing"}
        trial = client.create_run(
            experiment, start_time=_milliseconds(start), tags=tags, run_name=f"trial-{number}"
        ).info.run_id
        client.log_param(trial, "depth", number + 3)
        if status == "FINISHED":
            client.log_metric(trial, "rmse", 4.0 - number / 3, timestamp=_milliseconds(start))
        client.set_terminated(trial, status, _milliseconds(start + timedelta(minutes=15)))
    client.set_terminated(parent, "FINISHED", _milliseconds(begun + timedelta(minutes=20 * len(_TRIALS))))


class Assistant:
    """An LLM application that leaves a trace of each answer.

    Args:
        client: Client of a store that holds the demo.
        seed: Seed of durations, failures and tokens.
        failing: Share of answers that fail.
    """

    def __init__(self, client: MlflowClient, *, seed: int, failing: float = FAILING) -> None:
        experiment = client.get_experiment_by_name(ASSISTANT)
        self._location = None if experiment is None else TraceLocation.from_experiment_id(experiment.experiment_id)
        self._client = TracingClient(client.tracking_uri)
        self._failing = failing
        # What a question is like follows the seed; which trace it is does not matter.
        self._random = random.Random(f"{seed} answers")  # noqa: S311  # demo data, not a secret
        self._ids = random.SystemRandom()
        self._judge = random.Random(f"{seed} judge")  # noqa: S311  # demo data, not a secret

    def step(self, now: datetime) -> None:
        """Answer some questions."""
        for _answer in range(_ANSWERS):
            self.answer(now)

    def answer(self, ended: datetime) -> None:
        """Leave the trace of one answer that ended then; none where the store has no such experiment."""
        if self._location is None:
            return
        failed = self._random.random() < self._failing
        tokens_in = self._random.randrange(200, 3000)
        tokens_out = 0 if failed else self._random.randrange(20, 900)
        seconds = 0.2 if failed else 0.4 + tokens_out / 120 * self._random.uniform(0.7, 1.6)
        usage = {"input_tokens": tokens_in, "output_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}
        trace = f"tr-{self._ids.getrandbits(128):032x}"
        version = self._judge.choice(_PROMPT_VERSIONS)
        prompts = [{"name": "answer", "version": version}]
        self._client.start_trace(
            TraceInfo(
                trace_id=trace,
                trace_location=self._location,
                request_time=_milliseconds(ended - timedelta(seconds=seconds)),
                execution_duration=round(seconds * 1000),
                state=TraceState.ERROR if failed else TraceState.OK,
                trace_metadata={"mlflow.trace.tokenUsage": json.dumps(usage)},
                tags={"mlflow.traceName": "answer", "mlflow.linkedPrompts": json.dumps(prompts)},
            )
        )
        if not failed:
            self._assess(trace, version)

    def _assess(self, trace: str, version: str) -> None:
        """Let a judge say whether the answer is relevant, and how well it is written; the newer prompt is better."""
        judge = AssessmentSource("LLM_JUDGE", "demo")
        relevant = self._judge.random() < (0.95 if version == _PROMPT_VERSIONS[-1] else 0.8)
        for name, value in (("relevant", relevant), ("style", self._judge.randint(3, 5))):
            self._client.log_assessment(trace, Feedback(name=name, value=value, source=judge))


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
