import math
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from demo.cli import main
from demo.mlflow import STORE_FILE, Live, open_store, write_file, write_store
from demo.mlflow_content import EXPERIMENTS, STEPS, ExperimentSpec, RunSpec, calm_experiments, live_run, past_runs

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
SEED = 7
BY_NAME = {spec.name: spec for spec in EXPERIMENTS}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> MlflowClient:
    store = tmp_path_factory.mktemp("demo") / "store.db"
    client = open_store(f"sqlite:///{store}")
    write_store(client, seed=SEED, now=NOW)
    return client


def runs_of(client: MlflowClient, name: str, view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], run_view_type=view, order_by=["start_time ASC"]))


def statuses(client: MlflowClient, name: str) -> Counter[str]:
    return Counter(run.info.status for run in runs_of(client, name))


def shortfall(spec: ExperimentSpec, key: str, finals: Sequence[tuple[str, float]]) -> float:
    """Return how much worse than the best the newest run of the worst variant is, as a share of the best.

    Takes variant and final value of the finished runs, oldest first.
    """
    newest, values = dict(finals).values(), [value for _variant, value in finals]
    if spec.curves[key].end < spec.curves[key].start:
        return (max(newest) - min(values)) / min(values)
    return (max(values) - min(newest)) / max(values)


def test_the_store_has_runs_of_every_status(client: MlflowClient) -> None:
    assert {name: dict(statuses(client, name)) for name in BY_NAME if name != "legacy-propensity"} == {
        "churn-classifier": {"FINISHED": 22, "FAILED": 2, "KILLED": 1},
        "demand-forecast": {"FINISHED": 18, "FAILED": 1, "KILLED": 1, "RUNNING": 1, "SCHEDULED": 1},
        "fraud-detector": {"FINISHED": 18, "FAILED": 2, "KILLED": 1},
        "llm-reranker": {"FINISHED": 9, "FAILED": 6},
    }


def test_the_store_has_deleted_runs_and_a_deleted_experiment(client: MlflowClient) -> None:
    deleted = {name: len(runs_of(client, name, ViewType.DELETED_ONLY)) for name in BY_NAME}
    assert deleted == {
        "churn-classifier": 1,
        "demand-forecast": 1,
        "fraud-detector": 0,
        "llm-reranker": 0,
        "legacy-propensity": 6,
    }
    retired = client.get_experiment_by_name("legacy-propensity")
    assert retired is not None
    assert retired.lifecycle_stage == "deleted"


@pytest.mark.parametrize("spec", EXPERIMENTS, ids=lambda spec: spec.name)
def test_the_client_reads_back_what_was_planned(client: MlflowClient, spec: ExperimentSpec) -> None:
    written = runs_of(client, spec.name, ViewType.ALL)
    planned = list(past_runs(spec, seed=SEED, now=NOW))
    assert [run.info.run_name for run in written] == [run.name for run in planned]
    for run, plan in zip(written, planned, strict=True):
        assert run.info.status == plan.status
        assert run.data.params == plan.params
        assert plan.tags.items() <= run.data.tags.items()
        assert run.info.start_time == round(plan.start.timestamp() * 1000)
    newest = written[-1]
    for key in newest.data.metrics:
        history = sorted((point.step, point.value) for point in client.get_metric_history(newest.info.run_id, key))
        assert [step for step, _value in history] == list(range(len(history)))
        expected = [sample.value for sample in planned[-1].samples if sample.key == key]
        assert [value for _step, value in history] == pytest.approx(
            [math.copysign(sys.float_info.max, value) if math.isinf(value) else value for value in expected],
            nan_ok=True,
        )


def test_values_that_are_no_numbers_are_found_in_failed_runs_only(client: MlflowClient) -> None:
    odd: Counter[str] = Counter()
    for name in BY_NAME:
        for run in runs_of(client, name, ViewType.ALL):
            for key in run.data.metrics:
                for point in client.get_metric_history(run.info.run_id, key) if run.info.status != "FINISHED" else ():
                    # MLflow gives infinities back as the largest numbers.
                    kind = "nan" if math.isnan(point.value) else "inf" if abs(point.value) > 1e300 else "number"
                    odd[f"{run.info.status} {kind}"] += 1
            if run.info.status == "FINISHED":
                assert all(abs(value) < 1e6 for value in run.data.metrics.values())
    assert odd["FAILED nan"] > 0
    assert odd["FAILED inf"] > 0
    assert not [key for key in odd if not key.startswith("FAILED") and not key.endswith("number")]


def test_only_the_drifted_experiment_is_far_from_its_best(client: MlflowClient) -> None:
    far = {}
    for spec in EXPERIMENTS[:4]:
        finished = [run for run in runs_of(client, spec.name) if run.info.status == "FINISHED"]
        for key in spec.curves:
            finals = [(run.data.params["model_variant"], run.data.metrics[key]) for run in finished]
            far[spec.name, key] = shortfall(spec, key, finals) > 0.2
    assert far == {(spec.name, key): spec.name == "fraud-detector" for spec in EXPERIMENTS[:4] for key in spec.curves}


@pytest.mark.parametrize("spec", EXPERIMENTS[:4], ids=lambda spec: spec.name)
def test_the_story_does_not_depend_on_the_seed(spec: ExperimentSpec) -> None:
    for seed in range(50):
        finished = [run for run in past_runs(spec, seed=seed, now=NOW) if run.status == "FINISHED" and not run.deleted]
        for key in spec.curves:
            finals = [
                (run.params["model_variant"], sample.value)
                for run in finished
                for sample in run.samples
                if (sample.key, sample.step) == (key, STEPS - 1)
            ]
            assert [variant for variant, _value in finals[-len(spec.variants) :]] == [*reversed(spec.variants)]
            # The alert's threshold is 0.2; nothing may come near it by chance.
            share = shortfall(spec, key, finals)
            assert share > 0.3 if spec.drift < 1 else share < 0.17, (seed, key, share)


def test_the_outage_has_lasted_for_two_days(client: MlflowClient) -> None:
    runs = runs_of(client, "llm-reranker")
    last_success = max(run.info.end_time for run in runs if run.info.status == "FINISHED")
    age = NOW - datetime.fromtimestamp(last_success / 1000, UTC)
    assert timedelta(days=2) < age < timedelta(days=3)
    since = [run.info.status for run in runs if run.info.start_time > last_success]
    assert since == ["FAILED"] * 5


def test_while_it_is_calm_results_stay_near_the_best_and_the_last_run_did_not_fail() -> None:
    for spec in calm_experiments():
        runs = list(past_runs(spec, seed=SEED, now=NOW))
        assert runs[-1].status != "FAILED", spec.name
        assert set(spec.live_runs) <= {"F"}
        key, curve = next(iter(spec.curves.items()))
        ended = [run for run in runs if run.status == "FINISHED" and not run.deleted]
        last = [[sample.value for sample in run.samples if sample.key == key][-1] for run in ended]
        best = max(last) if curve.end > curve.start else min(last)
        assert all(abs(value / best - 1) < 0.15 for value in last), spec.name


def test_nothing_lies_in_the_future_and_ends_before_it_began(client: MlflowClient) -> None:
    for name in BY_NAME:
        for run in runs_of(client, name, ViewType.ALL):
            ended = run.info.status in {"FINISHED", "FAILED", "KILLED"}
            assert (run.info.end_time is not None) == ended
            assert run.info.start_time <= (run.info.end_time or run.info.start_time) < NOW.timestamp() * 1000


def test_models_have_versions_of_finished_runs_and_aliases(client: MlflowClient) -> None:
    models = {model.name: model for model in client.search_registered_models()}
    assert {name: model.aliases for name, model in models.items()} == {
        "churn-model": {"champion": 4, "challenger": 5},
        "demand-model": {"champion": 2, "challenger": 3},
        "fraud-model": {"champion": 2, "challenger": 4},
        "reranker-model": {},
    }
    for name in models:
        versions = client.search_model_versions(f"name = '{name}'")
        assert sorted(int(version.version) for version in versions) == [1, 2, 3, 4, 5]
        assert {client.get_run(version.run_id or "").info.status for version in versions} == {"FINISHED"}


def without_times(runs: Iterator[RunSpec]) -> list[RunSpec]:
    return [replace(run, start=NOW) for run in runs]


@pytest.mark.parametrize("spec", EXPERIMENTS, ids=lambda spec: spec.name)
def test_the_seed_alone_decides_the_content(spec: ExperimentSpec) -> None:
    # As text, because NaN equals nothing, itself included.
    first = repr(without_times(past_runs(spec, seed=SEED, now=NOW)))
    assert repr(without_times(past_runs(spec, seed=SEED, now=NOW + timedelta(days=100)))) == first
    assert repr(without_times(past_runs(spec, seed=SEED + 1, now=NOW))) != first
    if spec.live_runs:
        live = repr(live_run(spec, 3, seed=SEED, start=NOW, seconds=10))
        assert repr(live_run(spec, 3, seed=SEED, start=NOW, seconds=10)) == live
        assert repr(live_run(spec, 4, seed=SEED, start=NOW, seconds=10)) != live


def test_writing_again_leaves_the_store_as_it_is(client: MlflowClient) -> None:
    before = {name: [run.info.run_id for run in runs_of(client, name, ViewType.ALL)] for name in BY_NAME}
    write_store(client, seed=SEED + 1, now=NOW)
    assert {name: [run.info.run_id for run in runs_of(client, name, ViewType.ALL)] for name in BY_NAME} == before


def test_an_interrupted_writing_leaves_no_file(tmp_path: Path) -> None:
    def interrupt(line: str) -> None:
        if line.startswith("1/5 "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path, seed=SEED, say=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_live_runs_start_log_end_and_are_killed_at_the_stop(tmp_path: Path) -> None:
    specs = [BY_NAME["churn-classifier"], BY_NAME["llm-reranker"], BY_NAME["legacy-propensity"]]
    client = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    write_store(client, seed=SEED, now=NOW, experiments=specs)
    before = statuses(client, "churn-classifier"), statuses(client, "llm-reranker")
    live = Live(client, seed=SEED, every=10, experiments=specs)

    live.step(NOW)
    run = runs_of(client, "churn-classifier")[-1]
    assert run.info.status == "RUNNING"
    assert run.info.start_time == NOW.timestamp() * 1000
    assert [point.step for point in client.get_metric_history(run.info.run_id, "accuracy")] == [0]

    for step in range(1, STEPS + 1):
        live.step(NOW + timedelta(seconds=10 * step))
    run = client.get_run(run.info.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.end_time == (NOW.timestamp() + 10 * STEPS) * 1000
    history = client.get_metric_history(run.info.run_id, "accuracy")
    assert sorted(point.step for point in history) == list(range(STEPS))
    assert history[-1].timestamp - history[0].timestamp == 10_000 * (STEPS - 1)

    live.step(NOW + timedelta(seconds=10 * (STEPS + 1)))
    assert statuses(client, "churn-classifier")["RUNNING"] == 1
    live.stop(NOW + timedelta(seconds=10 * (STEPS + 2)))
    churn, reranker = statuses(client, "churn-classifier"), statuses(client, "llm-reranker")
    assert churn - before[0] == {"FINISHED": 1, "KILLED": 1}
    assert reranker["FAILED"] > before[1]["FAILED"]
    assert reranker["FINISHED"] == before[1]["FINISHED"]
    assert len(runs_of(client, "legacy-propensity", ViewType.ALL)) == 6


def demo(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "demo", "mlflow", *arguments]


def test_the_command_writes_goes_live_and_stops_cleanly_on_sigterm(tmp_path: Path) -> None:
    command = demo("--output-dir", str(tmp_path), "--seed", "7", "--live", "--every", "100ms")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(line)
                if line.startswith("live: "):
                    break
            else:
                pytest.fail("".join(lines))
            client = open_store(f"sqlite:///{tmp_path / STORE_FILE}")
            before = statuses(client, "churn-classifier")
            while statuses(client, "churn-classifier")["FINISHED"] == before["FINISHED"]:
                assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            rest, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0, rest
    assert rest == ""
    assert lines[0] == f"writing {tmp_path / STORE_FILE}\n"
    assert lines[1].startswith("1/5 churn-classifier: 26 runs in ")
    assert lines[-1] == "live: one step every 0.1 s; stop with Ctrl-C\n"
    assert statuses(client, "churn-classifier")["RUNNING"] == 0
    assert [path.name for path in tmp_path.iterdir()] == [STORE_FILE]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 1, "error: demo mlflow: give --output-dir or --store-uri\n"),
        (["--output-dir", "/dev/null/x"], 1, "error: demo mlflow: the store cannot be written: [Errno 20] Not a dir"),
        (["--store-uri", "nothing://x"], 1, "error: demo mlflow: the store cannot be written: "),
        (["--output-dir", "x", "--live", "--every", "0s"], 2, "argument --every: must be longer than 0\n"),
        (
            ["--output-dir", "x", "--live", "--every", "soon"],
            2,
            "argument --every: 'soon': not a duration: write it as 30s",
        ),
    ],
)
def test_what_cannot_work_is_said_in_one_line(
    arguments: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # As the interpreter ends with what `main` returns; argparse ends by itself.
    with pytest.raises(SystemExit) as stopped:
        sys.exit(main(["mlflow", *arguments]))
    assert stopped.value.code == status
    assert message in capsys.readouterr().err
