"""Batch jobs and notebooks: what their runs leave at a scrape, a Pushgateway and node exporter's textfile collector."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from time import time
from urllib.request import ProxyHandler, build_opener

import pytest
from prometheus_client import CollectorRegistry

from ml_monitoring.instrument import Pushgateway, Recorder, Textfile
from tests.support.wsgi_servers import parse
from tools.packages import ensure_programs
from tools.processes import Process, free_port, http_ok

START = "ml_job_last_start_timestamp_seconds"
SUCCESS = "ml_job_last_success_timestamp_seconds"
FAILURE = "ml_job_last_failure_timestamp_seconds"
DURATION = "ml_job_last_duration_seconds"
INTERVAL = "ml_job_interval_seconds"


class WentWrong(Exception):  # noqa: N818  # what a job raises may have any name
    """What a job raises."""


def of(job: str, text: str) -> dict[str, float]:
    return {name: value for (name, labels), value in parse(text).items() if dict(labels).get("job_name") == job}


def shown(recorder: Recorder, job: str) -> dict[str, float]:
    return of(job, recorder.exposition().body.decode())


def errors(recorder: Recorder) -> dict[str, float]:
    samples = parse(recorder.exposition().body.decode())
    return {
        dict(labels)["operation"]: value
        for (name, labels), value in samples.items()
        if name == "ml_instrument_errors_total" and value
    }


def fetch(url: str) -> str:
    with build_opener(ProxyHandler({})).open(url, timeout=60) as response:
        return str(response.read().decode())


def fail(recorder: Recorder, job: str, error: BaseException) -> None:
    with pytest.raises(type(error)), recorder.job(job, every="1d"):
        raise error


def test_a_run_that_ends_well_says_when_it_started_and_succeeded_and_how_long_it_took() -> None:
    recorder = Recorder(registry=CollectorRegistry())
    before = time()
    with recorder.job("train", every="1d"):
        assert shown(recorder, "train").keys() == {START, INTERVAL}
    samples = shown(recorder, "train")
    assert samples.keys() == {START, INTERVAL, SUCCESS, DURATION}
    assert before <= samples[START] <= samples[SUCCESS] <= time()
    assert 0 <= samples[DURATION] <= time() - before
    assert samples[INTERVAL] == 86_400


@pytest.mark.parametrize("error", [WentWrong(), KeyboardInterrupt(), SystemExit(1), SystemExit("no data")], ids=repr)
def test_a_run_that_raises_has_failed_and_the_success_before_it_stays(error: BaseException) -> None:
    recorder = Recorder(registry=CollectorRegistry())
    with recorder.job("train"):
        pass
    before = shown(recorder, "train")
    fail(recorder, "train", error)
    after = shown(recorder, "train")
    assert after.keys() == {*before, FAILURE}
    assert after[SUCCESS] == before[SUCCESS] <= after[FAILURE]


def test_a_run_that_exits_with_0_has_succeeded() -> None:
    recorder = Recorder(registry=CollectorRegistry())
    fail(recorder, "train", SystemExit(0))
    assert shown(recorder, "train").keys() == {START, INTERVAL, SUCCESS, DURATION}


def test_a_decorated_function_is_a_run_each_time() -> None:
    recorder = Recorder(registry=CollectorRegistry())

    @recorder.job("train")
    def train(rows: int) -> int:
        return rows

    assert [train(1), train(2)] == [1, 2]
    assert SUCCESS in shown(recorder, "train")


@pytest.mark.parametrize(
    ("every", "seconds"),
    [("30m", 1800), ("1d12h", 129_600), ("1w", 604_800), (90, 90), (0.5, 0.5), (timedelta(hours=2), 7200), (None, 0)],
)
def test_an_interval_is_given_as_text_as_seconds_or_as_timedelta(
    every: str | float | timedelta | None, seconds: float
) -> None:
    recorder = Recorder(registry=CollectorRegistry())
    with recorder.job("train", every=every):
        pass
    assert shown(recorder, "train")[INTERVAL] == seconds


@pytest.mark.parametrize("every", ["", "daily", "1 d", "1dd", "0s", 0, -1, float("nan"), float("inf"), timedelta(0)])
def test_an_interval_that_is_none_is_refused_before_the_job_begins(every: str | float | timedelta) -> None:
    recorder = Recorder(registry=CollectorRegistry())
    with pytest.raises(ValueError, match=r"^every: "), recorder.job("train", every=every):
        raise WentWrong


def test_a_recorder_that_is_switched_off_records_and_sends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ML_MONITORING_INSTRUMENT_DISABLED", "1")
    with Recorder(registry=CollectorRegistry(), exporter=Textfile(tmp_path)).job("train"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a real Pushgateway."""
    address = f"127.0.0.1:{free_port()}"
    program = ensure_programs(["pushgateway"])["pushgateway"]
    folder = tmp_path_factory.mktemp("gateway")
    # Debian's keeps what was pushed in a file of the machine, if nothing else is said.
    command: list[str | Path] = [program, f"--web.listen-address={address}", f"--persistence.file={folder / 'pushed'}"]
    url = f"http://{address}"
    with Process(
        "the Pushgateway", command, log=folder / "log", healthy=lambda: http_ok(f"{url}/-/ready"), start_timeout=60
    ):
        yield url


def test_a_pushgateway_keeps_the_last_success_when_a_later_process_fails(
    gateway: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    name = "nachts/täglich train"
    recorder = Recorder(registry=CollectorRegistry(), exporter=Pushgateway(gateway), origin="simulated")
    with recorder.job(name, every="1d"):
        # It is seen while it runs, so that one that is killed is missed.
        assert of(name, fetch(f"{gateway}/metrics")).keys() == {START, INTERVAL}
    first = of(name, fetch(f"{gateway}/metrics"))
    assert first == shown(recorder, name)
    fail(Recorder(registry=CollectorRegistry(), exporter=Pushgateway(gateway), origin="simulated"), name, WentWrong())
    second = of(name, fetch(f"{gateway}/metrics"))
    assert second.keys() == {*first, FAILURE}
    assert second[SUCCESS] == first[SUCCESS]
    assert second[START] > first[START]
    labels = {labels for (_, labels) in parse(fetch(f"{gateway}/metrics")) if dict(labels).get("job_name") == name}
    assert labels == {
        (("instance", ""), ("job", name), ("job_name", name), ("origin", "simulated")),
    }


def test_a_gateway_that_does_not_answer_is_counted_and_the_job_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()

    def refuse(**_: object) -> Callable[[], None]:
        return lambda: socket.create_connection(("127.0.0.1", port)).close()

    gateway = Pushgateway(f"http://user:p@ss@127.0.0.1:{port}", handler=refuse)
    recorder = Recorder(registry=CollectorRegistry(), exporter=gateway)
    done = False
    with recorder.job("train"):
        done = True
    assert done
    assert caplog.messages == [
        f"push_job could not be recorded; the program goes on: job 'train' to http://127.0.0.1:{port}: "
        "[Errno 111] Connection refused"
    ]
    assert errors(recorder) == {"push_job": 2}
    assert SUCCESS in shown(recorder, "train")


def test_node_exporter_reads_what_jobs_wrote_and_a_failure_leaves_the_last_success(tmp_path: Path) -> None:
    folder = tmp_path / "jobs"
    folder.mkdir()
    recorder = Recorder(registry=CollectorRegistry(), exporter=Textfile(folder))
    for name in ("train", "../score"):
        with recorder.job(name, every="12h"):
            pass
    fail(Recorder(registry=CollectorRegistry(), exporter=Textfile(str(folder))), "train", WentWrong())
    program = ensure_programs(["node-exporter"])["node-exporter"]
    address = f"127.0.0.1:{free_port()}"
    command: list[str | Path] = [
        program,
        f"--web.listen-address={address}",
        "--collector.disable-defaults",
        "--collector.textfile",
        f"--collector.textfile.directory={folder}",
    ]
    url = f"http://{address}/metrics"
    with Process("node exporter", command, log=tmp_path / "log", healthy=lambda: http_ok(url), start_timeout=60):
        text = fetch(url)
    assert "node_textfile_scrape_error 0" in text
    assert of("../score", text) == shown(recorder, "../score")
    train, before = of("train", text), shown(recorder, "train")
    assert train.keys() == {*before, FAILURE}
    assert train[SUCCESS] == before[SUCCESS]
    assert train[INTERVAL] == 86_400
    assert len(list(folder.iterdir())) == 2


def test_names_of_jobs_are_bounded_as_all_labels_are(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder(registry=CollectorRegistry(), max_label_sets=3, exporter=Textfile(tmp_path))
    for number in range(10):
        with recorder.job(f"train-{number}"):
            pass
    samples = parse(recorder.exposition().body.decode())
    names = {dict(labels)["job_name"] for (name, labels) in samples if name == SUCCESS}
    assert names == {"train-0", "train-1", "train-2", "other"}
    assert {file.name for file in tmp_path.iterdir()} == {f"ml_job_{name}.prom" for name in names}
    assert samples["ml_instrument_overflow_total", (("family", SUCCESS),)] == 7
    assert caplog.messages == [
        f"{START}: there are too many values of job_name: further ones are recorded under 'other' (max_label_sets is 3)"
    ]
