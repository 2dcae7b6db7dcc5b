"""One history of a store in two parts, before and while an exporter reads it, written by the real MLflow client.

All times are given or taken from a clock that stands still, so that each store that it is written to is the same but
for the ids that MLflow draws at random. It exercises every family of the source `mlflow`.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Mapping
from math import nan
from types import MappingProxyType
from unittest import mock

from mlflow.entities import AssessmentError, AssessmentSource, Dataset, DatasetInput, Expectation, Feedback
from mlflow.entities.trace_info import TraceInfo
from mlflow.entities.trace_location import TraceLocation
from mlflow.entities.trace_state import TraceState
from mlflow.tracing.client import TracingClient

from tests.support.mlflow_store import CHURN, EMPTY, EPOCH, reference_client, write_reference_store

TRAINING = "under way"
_GPU = "system/gpu-node-1/gpu_0_utilization_percentage"
_CPU = "system/cpu_utilization_percentage"


class History:
    """Writes the history to one empty store.

    Args:
        uri: The store.
        began: Seconds since the epoch; runs under way and traces are of about this time.
    """

    def __init__(self, uri: str, began: int) -> None:
        self._client = reference_client(uri)
        self._traces = TracingClient(uri.replace("postgresql://", "postgresql+psycopg2://", 1))
        self._uri = uri
        self._began = began
        self._runs: dict[str, str] = {}
        self._models: dict[str, str] = {}

    def write_before(self) -> None:
        """Write what is there before an exporter begins."""
        client = self._client
        with mock.patch.object(time, "time", return_value=float(self._began)):
            write_reference_store(self._uri)
            client.create_experiment(TRAINING)
            self._start("parent", user="ana", values={"loss": 0.5, "accuracy": 0.5, _GPU: 80.0, _CPU: 60.0})
            self._start("child", user="bo", parent="parent", values={"loss": 0.75})
            self._start("ends later", user="bo", values={"loss": 0.25})
            # Of other case than another run's.
            client.log_metric(self._runs["child"], "Accuracy", 0.25, self._ms(), 1)
            client.log_inputs(self._runs["parent"], [DatasetInput(Dataset("train", "abc", "local", "{}"))])
            self._log_model("pending")
            self._log_model("deleted")
            self._trace(1, TraceState.OK, 70)
            self._trace(2, TraceState.IN_PROGRESS, None)
            client.create_registered_model("late-model")
            self._register("late-model", "parent", "champion")
            # A prompt is a model with a tag in the registry, and none to an operator.
            prompt = client.register_prompt("greeting", "Hello {{name}}")
            client.set_prompt_alias("greeting", "production", prompt.version)

    def write_while(self) -> None:
        """Write what changes while exporters run.

        Nothing in it may be counted in other ways by readers that look at other moments: a run that begins here does
        not end here, and what is counted is not deleted.
        """
        client = self._client
        with mock.patch.object(time, "time", return_value=self._began + 60.0):
            client.log_metric(self._runs["parent"], "loss", nan, self._ms(30), 12)
            client.log_metric(self._runs["child"], "loss", 0.5, self._ms(40), 30)
            client.log_metric(self._runs["child"], _GPU, 20.0, self._ms(40), 30)
            self._start("new", user="cleo", values={"loss": 1.0})
            client.set_terminated(self._runs["ends later"], end_time=self._ms(50))
            self._change_ended_runs()
            client.log_inputs(self._runs["new"], [DatasetInput(Dataset("test", "abc", "local", "{}"))])
            client.finalize_logged_model(self._models["pending"], "READY")
            client.delete_logged_model(self._models["deleted"])
            self._log_model("new")
            self._trace(2, TraceState.OK, 700)
            self._trace(3, TraceState.ERROR, 20_000)
            self._trace(4, TraceState.IN_PROGRESS, None)
            self._trace(
                5, TraceState.OK, 3, usage="[1]", cost='{"input_cost": "x", "output_cost": 2.5, "total_cost": null}'
            )
            prompts = [{"name": "greeting", "version": "1"}]
            self._trace(
                6,
                TraceState.OK,
                30,
                tags={"mlflow.linkedPrompts": json.dumps(prompts)},
                more={"mlflow.modelId": self._models["new"]},
            )
            judge, person = AssessmentSource("LLM_JUDGE", "judge"), AssessmentSource("HUMAN", "ana")
            for name, value, source in (
                *(("helpful", True, judge), ("relevance", 0.5, judge), ("relevance", 4, judge)),
                *(("helpful", "no", person), ("tone", "friendly, but " + "much too long " * 10, person)),
            ):
                self._traces.log_assessment("tr-6", Feedback(name=name, value=value, source=source))
            failed = AssessmentError(error_code="TIMEOUT")
            self._traces.log_assessment("tr-6", Feedback(name="relevance", error=failed, source=judge))
            self._traces.log_assessment("tr-6", Expectation(name="tone", value="friendly", source=person))
            self._register("late-model", "ends later", "candidate")
            client.set_tag(self._runs["ends later"], "test_rows", "4000")
            for run, cost in (("parent", "2.5"), ("new", "1e1"), ("child", "much")):
                client.set_tag(self._runs[run], "cost", cost)
            with warnings.catch_warnings():
                # Stages are deprecated, and in the registries of many.
                warnings.simplefilter("ignore", FutureWarning)
                client.transition_model_version_stage("late-model", "1", "Archived")
            client.delete_registered_model_alias("churn-model", "shadow-1")
            client.delete_model_version("churn-model", "3")
            client.register_prompt("farewell", "Bye {{name}}")

    def _change_ended_runs(self) -> None:
        """Change what does not show in the times of runs, and experiments."""
        client = self._client
        churn, retired = (client.get_experiment_by_name(name) for name in (CHURN, "retired"))
        assert churn is not None
        assert retired is not None
        named = {run.info.run_name: run.info.run_id for run in client.search_runs([churn.experiment_id])}
        client.log_metric(named["plain"], "accuracy", 0.97, self._ms(), 7)
        client.log_metric(named["a-old"], "accuracy", 0.9, self._ms(), 7)
        client.set_tag(named["b-tie-2"], "model_variant", "only the param counts")
        client.delete_tag(named["tagged"], "model_variant")
        client.delete_run(named["both"])
        client.set_tag(named["killed"], "team", "search")
        client.restore_experiment(retired.experiment_id)
        empty = client.get_experiment_by_name(EMPTY)
        assert empty is not None
        client.rename_experiment(empty.experiment_id, "empty no more")
        client.create_run(empty.experiment_id, start_time=EPOCH * 1000)

    def _start(self, name: str, *, user: str, values: Mapping[str, float], parent: str | None = None) -> None:
        tags = {"mlflow.user": user, "mlflow.source.name": "train.py", "mlflow.source.type": "LOCAL"}
        if parent:
            tags["mlflow.parentRunId"] = self._runs[parent]
        run = self._client.create_run(self._experiment, start_time=self._ms(), run_name=name, tags=tags).info.run_id
        for key, value in values.items():
            self._client.log_metric(run, key, value, self._ms(10), 5)
        self._runs[name] = run

    def _log_model(self, name: str) -> None:
        self._models[name] = self._client.create_logged_model(self._experiment, name=name).model_id

    def _register(self, model: str, run: str, alias: str) -> None:
        version = self._client.create_model_version(model, "/nonexistent/artifacts/model", self._runs[run])
        self._client.set_registered_model_alias(model, alias, version.version)

    def _trace(
        self,
        number: int,
        state: TraceState,
        milliseconds: int | None,
        *,
        usage: str = "",
        cost: str = "",
        tags: Mapping[str, str] = MappingProxyType({}),
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        tokens = {"input_tokens": 100 * number, "output_tokens": number, "total_tokens": 101 * number}
        dollars = {"input_cost": 0.25 * number, "output_cost": 0.5, "total_cost": 0.25 * number + 0.5}
        metadata = {
            "mlflow.trace.tokenUsage": usage or json.dumps(tokens),
            "mlflow.trace.cost": cost or json.dumps(dollars),
            **more,
        }
        self._traces.start_trace(
            TraceInfo(
                trace_id=f"tr-{number}",
                trace_location=TraceLocation.from_experiment_id(self._experiment),
                request_time=self._ms(),
                execution_duration=milliseconds,
                state=state,
                trace_metadata=metadata,
                tags=dict(tags),
            )
        )

    @property
    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(TRAINING)
        assert found is not None
        return found.experiment_id

    def _ms(self, later: int = 0) -> int:
        return (self._began + later) * 1000
