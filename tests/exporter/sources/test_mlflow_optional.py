"""What MLflow keeps besides runs and metrics, written by the real client."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mlflow.entities import AssessmentError, AssessmentSource, Dataset, DatasetInput, Expectation, Feedback
from mlflow.entities.trace_info import TraceInfo
from mlflow.entities.trace_location import TraceLocation
from mlflow.entities.trace_state import TraceState
from mlflow.tracing.client import TracingClient

from ml_monitoring.exporter.errors import Reason
from ml_monitoring.exporter.families import Distribution, FamilySet
from ml_monitoring.exporter.sources.mlflow import MlflowSettings, MlflowSource
from ml_monitoring.exporter.sources.mlflow.registry import lead_error
from tests.support.mlflow_store import CHURN, EMPTY, reference_client
from tools.postgres import PostgresServer


class _Llm:
    """An application that leaves traces in an experiment."""

    def __init__(self, uri: str, experiment: str) -> None:
        client = reference_client(uri)
        found = client.get_experiment_by_name(experiment)
        assert found is not None
        self._experiment = found.experiment_id
        if uri.startswith("postgresql://"):
            uri = uri.replace("postgresql://", "postgresql+psycopg2://", 1)
        self._client = TracingClient(uri)

    def trace(
        self,
        number: int,
        state: TraceState,
        milliseconds: int | None,
        tokens: tuple[int, int] = (100, 20),
        dollars: tuple[float, float] = (0.25, 0.5),
        ago: float = 0,
        model: str = "",
    ) -> None:
        """Write a trace; the same number again writes over it."""
        cost = {"input_cost": dollars[0], "output_cost": dollars[1], "total_cost": sum(dollars)}
        usage = {"input_tokens": tokens[0], "output_tokens": tokens[1], "total_tokens": sum(tokens)}
        self._client.start_trace(
            TraceInfo(
                trace_id=f"tr-{number}",
                trace_location=TraceLocation.from_experiment_id(self._experiment),
                request_time=round((time.time() - ago) * 1000),
                execution_duration=milliseconds,
                state=state,
                trace_metadata={
                    "mlflow.trace.tokenUsage": json.dumps(usage),
                    "mlflow.trace.cost": json.dumps(cost),
                    **({"mlflow.modelId": model} if model else {}),
                },
            )
        )

    def judge(self, number: int, name: str, value: Any = None, *, source: str = "LLM_JUDGE", error: str = "") -> None:
        """Give feedback on a trace."""
        self._client.log_assessment(
            f"tr-{number}",
            Feedback(
                name=name,
                value=value,
                source=AssessmentSource(source_type=source, source_id="x"),
                error=AssessmentError(error_code=error) if error else None,
            ),
        )

    def expect(self, number: int, name: str, value: Any) -> None:
        """Say what a trace should have answered."""
        self._client.log_assessment(f"tr-{number}", Expectation(name=name, value=value))

    def delete(self, number: int) -> None:
        self._client.delete_traces(self._experiment, trace_ids=[f"tr-{number}"])


# For so long a counter that is new is at 0, seconds.
_AT_ZERO = 60.0


class _Clock:
    """A clock that can be put forward."""

    def __init__(self) -> None:
        self.later = 0.0

    def __call__(self) -> float:
        return time.time() + self.later


@contextlib.contextmanager
def _source(uri: str, now: Callable[[], float] = time.time, **settings: object) -> Iterator[MlflowSource]:
    source = MlflowSource(MlflowSettings.model_validate({"uri": uri, **settings}), now=now)
    try:
        yield source
    finally:
        source.close()


def _collect(uri: str, **settings: object) -> FamilySet:
    with _source(uri, time.time, **settings) as source:
        return source.collect()


def _samples(families: FamilySet, name: str) -> dict[tuple[str, ...], Any]:
    return dict(families[name].samples)


def test_traces_are_counted_as_they_end(store_uri: str) -> None:
    llm = _Llm(store_uri, EMPTY)
    llm.trace(1, TraceState.OK, 70)
    llm.trace(2, TraceState.IN_PROGRESS, None)
    with _source(store_uri) as source:
        first = source.collect()
        # What had ended before the exporter began is not its to count, but rate() needs the zero.
        assert _samples(first, "mlflow_traces_total") == {(EMPTY, "ERROR"): 0, (EMPTY, "OK"): 0}
        assert _samples(first, "mlflow_traces_in_progress") == {(EMPTY,): 1}
        llm.trace(2, TraceState.OK, 700, tokens=(5, 6), dollars=(0.125, 2))
        llm.trace(3, TraceState.ERROR, 20_000, tokens=(1, 2))
        llm.trace(4, TraceState.OK, 3)
        second = source.collect()
        assert _samples(second, "mlflow_traces_total") == {(EMPTY, "ERROR"): 1, (EMPTY, "OK"): 2}
        assert _samples(second, "mlflow_traces_in_progress") == {(EMPTY,): 0}
        assert _samples(second, "mlflow_trace_tokens_total") == {(EMPTY, "input"): 106, (EMPTY, "output"): 28}
        assert _samples(second, "mlflow_trace_cost_dollars_total") == {(EMPTY, "input"): 0.625, (EMPTY, "output"): 3.0}
        counts = (1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0)
        assert _samples(second, "mlflow_trace_duration_seconds") == {(EMPTY,): Distribution(counts, 20.703)}
        # What is deleted was counted all the same, and what is new is counted once.
        llm.delete(4)
        llm.trace(5, TraceState.OK, 3)
        llm.trace(6, TraceState.OK, 3)
        third = source.collect()
        assert _samples(third, "mlflow_traces_total")[(EMPTY, "OK")] >= 3
        llm.trace(7, TraceState.OK, 3)
        fourth = source.collect()
        grown = _samples(fourth, "mlflow_traces_total")[(EMPTY, "OK")]
        assert grown == _samples(third, "mlflow_traces_total")[(EMPTY, "OK")] + 1


def test_traces_that_leave_the_window_stay_counted(store_uri: str) -> None:
    llm = _Llm(store_uri, EMPTY)
    llm.trace(1, TraceState.OK, 70, ago=3600)
    settings = MlflowSettings.model_validate({"uri": store_uri, "trace_window": "30s"})
    clock = _Clock()
    with contextlib.closing(MlflowSource(settings, now=clock)) as source:
        assert _samples(source.collect(), "mlflow_traces_total") == {}
        llm.trace(2, TraceState.OK, 70)
        # What a series begins with is not seen by increase().
        assert _samples(source.collect(), "mlflow_traces_total") == {(EMPTY, "ERROR"): 0, (EMPTY, "OK"): 0}
        clock.later = _AT_ZERO
        assert _samples(source.collect(), "mlflow_traces_total")[(EMPTY, "OK")] == 1
        llm.trace(3, TraceState.OK, 70, ago=-clock.later)
        assert _samples(source.collect(), "mlflow_traces_total")[(EMPTY, "OK")] == 2


def test_feedback_is_counted_as_it_is_given(store_uri: str) -> None:
    llm = _Llm(store_uri, EMPTY)
    llm.trace(1, TraceState.OK, 70)
    llm.trace(2, TraceState.OK, 70, ago=3600)
    llm.judge(1, "correct", True)
    llm.judge(1, "Correct", "yes")
    clock = _Clock()
    with _source(store_uri, clock) as source:
        first = source.collect()
        assert _samples(first, "mlflow_trace_feedback_total") == {
            (EMPTY, "Correct", "LLM_JUDGE", "pass"): 0,
            (EMPTY, "correct", "LLM_JUDGE", "pass"): 0,
        }
        assert not _samples(first, "mlflow_trace_feedback_score")
        llm.judge(2, "correct", False)
        llm.judge(1, "correct", "yes")
        llm.judge(1, "correct", "no", source="HUMAN")
        for score in (1, 4.5, -1):
            llm.judge(2, "relevance", score)
        llm.judge(2, "relevance", error="TIMEOUT")
        llm.judge(2, "tone", "friendly, but " + "much too long " * 10)
        llm.judge(2, "tone", "NaN")
        llm.expect(2, "correct", True)
        second = source.collect()
        given = {
            (EMPTY, "Correct", "LLM_JUDGE", "pass"): 0,
            (EMPTY, "correct", "HUMAN", "fail"): 1,
            (EMPTY, "correct", "LLM_JUDGE", "fail"): 1,
            (EMPTY, "correct", "LLM_JUDGE", "pass"): 1,
            (EMPTY, "relevance", "LLM_JUDGE", "error"): 1,
            (EMPTY, "relevance", "LLM_JUDGE", "score"): 3,
            (EMPTY, "tone", "LLM_JUDGE", "other"): 2,
        }
        known = (EMPTY, "correct", "LLM_JUDGE", "pass")
        assert _samples(second, "mlflow_trace_feedback_total") == {**dict.fromkeys(given, 0), known: 1}
        assert _samples(second, "mlflow_trace_feedback_score") == {(EMPTY, "relevance", "LLM_JUDGE"): 1.5}
        clock.later = _AT_ZERO
        assert _samples(source.collect(), "mlflow_trace_feedback_total") == given
        llm.trace(3, TraceState.OK, 70)
        assert _samples(source.collect(), "mlflow_trace_feedback_total") == given
    with _source(store_uri, max_series=6) as source:
        llm.judge(1, "correct", True)
        family = source.collect()["mlflow_trace_feedback_total"]
        assert (len(family.samples), family.dropped) == (6, 1)


def test_traces_are_counted_by_model_and_by_the_prompt_versions_that_they_use(
    store_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = _Llm(store_uri, EMPTY)
    client = reference_client(store_uri)
    # MLflow links prompts in the store that this names, whatever the client's is.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", client.tracking_uri)
    experiment = client.get_experiment_by_name(EMPTY)
    assert experiment is not None
    model = client.create_logged_model(experiment.experiment_id, name="agent").model_id
    first, second = (client.register_prompt("answer", f"Answer {number}: {{{{question}}}}") for number in (1, 2))
    other = client.register_prompt("search", "Search {{words}}")
    llm.trace(1, TraceState.OK, 70, model=model)
    clock = _Clock()
    with _source(store_uri, clock) as source:
        assert _samples(source.collect(), "mlflow_model_traces_total") == {(EMPTY, "agent", "OK"): 0}
        llm.trace(2, TraceState.OK, 500, model=model)
        llm.trace(3, TraceState.ERROR, 2000, model=model)
        llm.trace(4, TraceState.IN_PROGRESS, None, model=model)
        # Of a model that is gone.
        llm.trace(5, TraceState.OK, 10, model="m-0")
        for trace, prompts in ((2, [first, other]), (3, [second]), (4, [second]), (5, [second])):
            client.link_prompt_versions_to_trace(prompts, f"tr-{trace}")
        assert set(_samples(source.collect(), "mlflow_prompt_traces_total").values()) == {0}
        clock.later = _AT_ZERO
        families = source.collect()
        assert _samples(families, "mlflow_model_traces_total") == {
            (EMPTY, "agent", "OK"): 1,
            (EMPTY, "agent", "ERROR"): 1,
        }
        assert _samples(families, "mlflow_model_trace_seconds_total")[(EMPTY, "agent", "OK")] == 0.5
        assert _samples(families, "mlflow_prompt_traces_total") == {
            (EMPTY, "answer", "1", "OK"): 1,
            (EMPTY, "answer", "2", "ERROR"): 1,
            (EMPTY, "answer", "2", "OK"): 1,
            (EMPTY, "search", "1", "OK"): 1,
        }
        assert _samples(families, "mlflow_prompt_trace_seconds_total")[(EMPTY, "answer", "2", "ERROR")] == 2
        llm.trace(4, TraceState.OK, 1000, model=model)
        families = source.collect()
        assert _samples(families, "mlflow_model_traces_total")[(EMPTY, "agent", "OK")] == 2
        assert _samples(families, "mlflow_prompt_traces_total")[(EMPTY, "answer", "2", "OK")] == 2


def test_child_runs_are_counted_by_status(store_uri: str) -> None:
    client = reference_client(store_uri)
    experiment = client.get_experiment_by_name(CHURN)
    assert experiment is not None
    with _source(store_uri) as source:
        assert _samples(source.collect(), "mlflow_child_runs") == {}
        parent = client.create_run(experiment.experiment_id).info.run_id
        children = [
            client.create_run(experiment.experiment_id, tags={"mlflow.parentRunId": parent}).info.run_id
            for _run in "ab"
        ]
        client.set_terminated(children[0], "FAILED")
        counts = _samples(source.collect(), "mlflow_child_runs")
        assert {key: count for key, count in counts.items() if count} == {(CHURN, "FAILED"): 1, (CHURN, "RUNNING"): 1}
        client.delete_run(children[1])
        assert _samples(source.collect(), "mlflow_child_runs")[(CHURN, "RUNNING")] == 0


def test_datasets_tags_and_logged_models_are_counted(store_uri: str) -> None:
    client = reference_client(store_uri)
    experiment = client.get_experiment_by_name(EMPTY)
    assert experiment is not None
    run = client.create_run(experiment.experiment_id, tags={"team": "search"}).info.run_id
    client.log_inputs(run, [DatasetInput(Dataset(name, "abc", "local", "{}")) for name in ("train", "test")])
    ready, _pending = (client.create_logged_model(experiment.experiment_id, name=name) for name in ("a", "b"))
    client.finalize_logged_model(ready.model_id, "READY")
    families = _collect(store_uri, count_tags="team,nothing")
    assert _samples(families, "mlflow_datasets") == {(EMPTY,): 2}
    assert _samples(families, "mlflow_tagged_runs") == {("team", "mlops"): 15, ("team", "search"): 1}
    assert _samples(families, "mlflow_tag_values") == {("team",): 2, ("nothing",): 0}
    cut = _collect(store_uri, count_tags="team", top=1)
    assert _samples(cut, "mlflow_tagged_runs") == {("team", "mlops"): 15, ("team", "(other)"): 1}
    assert _samples(families, "mlflow_logged_models") == {(EMPTY, "PENDING"): 1, (EMPTY, "READY"): 1}
    (last,) = _samples(families, "mlflow_last_logged_model_timestamp_seconds").values()
    assert abs(last - time.time()) < 600


def test_what_runs_cost_is_added_up_and_what_is_no_number_is_named(store_uri: str) -> None:
    client = reference_client(store_uri)
    experiment = client.get_experiment_by_name(EMPTY)
    assert experiment is not None

    def run(**tags: str) -> str:
        return str(client.create_run(experiment.experiment_id, tags=tags).info.run_id)

    for cost in ("0.1", "0.2", " 1e2 ", "-5."):
        run(cost_dollars=cost, gpu_hours="2")
    deleted = run(cost_dollars="1000")
    client.delete_run(deleted)
    run(Cost_Dollars="7", cost="8")
    bad = [run(cost_dollars=text) for text in ("12,50", "$3", "nan", "1e999", "1_000", "", "٣")]
    families = _collect(store_uri, cost_tags="cost_dollars,gpu_hours,nothing")
    assert _samples(families, "mlflow_tagged_cost") == {(EMPTY, "cost_dollars"): 95.3, (EMPTY, "gpu_hours"): 8}
    named = [f"tags.value is no number: run {name}, tag cost_dollars" for name in sorted(bad)[:5]]
    assert [problem.message for problem in families.problems] == [*named, "and 2 more such tags"]
    assert {problem.reason for problem in families.problems} == {Reason.INVALID_VALUE}
    elsewhere = _collect(store_uri, cost_tags="cost_dollars", experiments={"include": [CHURN]})
    assert not _samples(elsewhere, "mlflow_tagged_cost")
    assert not elsewhere.problems


def test_versions_are_compared_with_the_champion(store_uri: str) -> None:
    families = _collect(store_uri)
    leads = _samples(families, "mlflow_model_metric_lead_ratio")
    # 0.7 against 0.95, and a loss twice the champion's.
    assert leads[("churn-model", "candidate", "accuracy")] == pytest.approx(-0.25 / 0.95)
    assert leads[("churn-model", "candidate", "val_loss")] == -1
    assert not [labels for labels in leads if labels[1] == "champion"]
    leads = _samples(_collect(store_uri, champion="candidate"), "mlflow_model_metric_lead_ratio")
    assert leads[("churn-model", "champion", "val_loss")] == 0.5
    # 1,000 rows each are assumed.
    errors = _samples(families, "mlflow_model_metric_lead_error_ratio")
    assert errors[("churn-model", "candidate", "accuracy")] == pytest.approx(
        math.sqrt(0.7 * 0.3 / 1000 + 0.95 * 0.05 / 1000) / 0.95, rel=0.01
    )
    assert _samples(families, "mlflow_model_versions")[("churn-model", "None")] == 5
    registered = _samples(families, "mlflow_model_aliased_version_timestamp_seconds")
    assert all(abs(when - time.time()) < 3600 for when in registered.values())


def test_how_sure_a_lead_is_follows_from_what_runs_say_of_their_test_sets(store_uri: str) -> None:
    client = reference_client(store_uri)
    champion, candidate = (
        client.get_model_version_by_alias("churn-model", alias).run_id for alias in ("champion", "candidate")
    )

    def error() -> float:
        errors = _samples(_collect(store_uri), "mlflow_model_metric_lead_error_ratio")
        return float(errors[("churn-model", "candidate", "accuracy")])

    assert candidate
    assert champion
    assumed = error()
    # The share of all rows that is held out is not how many they are.
    client.log_param(candidate, "test_size", "0.2")
    assert error() == assumed
    client.set_tag(candidate, "test_rows", "4000")
    smaller = error()
    assert smaller < assumed
    client.log_param(champion, "n_test", "4000")
    assert error() == pytest.approx(assumed / 2, rel=0.01)
    client.log_metric(candidate, "test_size", 100)
    assert error() > assumed
    candidates = _samples(_collect(store_uri), "mlflow_model_candidates")
    finished = _samples(_collect(store_uri), "mlflow_runs")[(CHURN, "FINISHED")]
    assert candidates[("churn-model", "candidate")] == finished


@pytest.mark.parametrize(
    ("values", "sizes", "error"),
    [
        ((0.8, 0.8), (1000, 1000), math.sqrt(2 * 0.16 / 1000) / 0.8),
        # All right of ten is not sure.
        ((1.0, 0.5), (10, 10**9), math.sqrt(11 / 12 / 12 / 10) / 0.5),
        ((12.0, 10.0), (400, 400), math.sqrt(2 / 400)),
        ((-0.2, 0.4), (400, 400), math.sqrt(2 / 400)),
    ],
)
def test_a_lead_has_the_error_of_two_test_sets(
    values: tuple[float, float], sizes: tuple[float, float], error: float
) -> None:
    assert lead_error(values, sizes) == pytest.approx(error, rel=0.01)


@pytest.mark.parametrize(
    ("setting", "prefixes"),
    [
        (
            "registry",
            ("mlflow_model_versions", "mlflow_model_aliased", "mlflow_model_metric_lead", "mlflow_model_candidates"),
        ),
        ("datasets", ("mlflow_datasets",)),
        ("logged_models", ("mlflow_logged_models", "mlflow_last_logged_model")),
        ("traces", ("mlflow_trace", "mlflow_prompt_trace", "mlflow_model_trace")),
    ],
)
def test_each_part_can_be_switched_off(store_uri: str, setting: str, prefixes: tuple[str, ...]) -> None:
    def shown(**settings: object) -> set[str]:
        return {family.metric.name for family in _collect(store_uri, **settings)}

    gone = shown() - shown(**{setting: False})
    assert gone == {name for name in shown() if name.startswith(prefixes)}
    assert len(gone) >= len(prefixes)


def test_tables_that_may_not_be_read_are_done_without(postgres_server: PostgresServer, postgres_store: str) -> None:
    role = f"old_{postgres_store}"
    postgres_server.execute(
        f"""CREATE ROLE {role} LOGIN PASSWORD 'x'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};
            REVOKE SELECT ON datasets, logged_models, trace_info, assessments FROM {role}""",
        postgres_store,
    )
    with _source(postgres_server.uri(role, "x", postgres_store)) as source:
        assert "mlflow_datasets" not in {family.metric.name for family in source.collect()}
        postgres_server.execute(f"GRANT SELECT ON datasets TO {role}", postgres_store)
        assert "mlflow_datasets" in {family.metric.name for family in source.collect()}
