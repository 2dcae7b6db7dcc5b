"""Several worker processes behind one address: every scrape sees the sum of all of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from ml_monitoring.instrument.cells import cell_of
from tests.support.wsgi_servers import FRESH, Samples, parse, scrape, wait_for
from tools.processes import free_port, wait_until

FLASK = """
import os
from flask import Flask
from ml_monitoring.instrument import instrument

app = Flask(__name__)
recorder = instrument(app)
model = recorder.model("m", "1", variant="A")

@app.get("/pid")
def pid():
    with model.track_prediction() as prediction:
        prediction.score = 0.5
    recorder.set_variant("A", unit="anna")
    model.record_outcome(True)
    return str(os.getpid())
"""
FASTAPI = FLASK.replace("from flask import Flask", "from fastapi import FastAPI").replace(
    "Flask(__name__)", "FastAPI()"
)
START_UVICORN = """
import sys
import uvicorn
from ml_monitoring.instrument import multiprocess

if __name__ == "__main__":
    multiprocess.clear()
    uvicorn.run("service:app", host="127.0.0.1", port=int(sys.argv[1]), workers=2, log_level="critical")
"""
ROUTE = (("method", "GET"), ("route", "/pid"))
MODEL = (("model", "m"), ("model_version", "1"), ("variant", "A"))


@contextmanager
def workers(tmp_path: Path, *arguments: str, app: str, left_over: bool = True) -> Iterator[tuple[httpx.Client, int]]:
    (tmp_path / "service.py").write_text(app)
    if left_over:
        (tmp_path / "shared").mkdir()
        (tmp_path / "shared" / "counter_1.db").write_bytes(b"left over from an earlier start")
    port = free_port()
    environment = {
        **os.environ,
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "shared"),
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])]),
    }
    command = [sys.executable, *(part.format(port=port) for part in arguments)]
    with subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, limits=FRESH) as client:

                def answers() -> bool:
                    assert process.poll() is None, process.stderr and process.stderr.read().decode()
                    with suppress(httpx.TransportError):
                        client.get("/nowhere")
                        return True
                    return False

                assert wait_until(answers, timeout=30), "the service did not start"
                yield client, process.pid
        finally:
            process.send_signal(signal.SIGTERM)


def ask_until_two_workers_answered(client: httpx.Client) -> tuple[set[int], int]:
    """Return the workers' process ids and how many requests it took."""
    seen: set[int] = set()
    for count in range(1, 400):
        seen.add(int(client.get("/pid").text.strip('"')))
        if len(seen) == 2 and count >= 20:
            return seen, count
    raise AssertionError(f"only these workers answered: {seen}")


def check_sums(client: httpx.Client, count: int) -> None:
    # The last request is booked after its client has the last byte, maybe after the scrape.
    wait_for(lambda: scrape(client)["ml_http_requests_total", (*ROUTE, ("status", "200"))] == count)
    wait_for(lambda: scrape(client)["ml_http_requests_in_progress", ()] == 0)
    samples: Samples = scrape(client)
    assert samples["ml_http_request_duration_seconds_count", ROUTE] == count
    assert samples["ml_predictions_total", MODEL] == count
    assert samples["ml_prediction_scores_total", (("bin", "0.5"), *MODEL)] == count
    assert samples["ab_test_requests_total", (("outcome", "success"), ("variant", "A"))] == count
    cell = (("cell", cell_of("anna")), ("experiment", ""), ("metric", "request"), ("variant", "A"))
    assert samples["ab_test_cell_trials_total", cell] == count
    assert samples["ab_test_model_accuracy", (("variant", "A"),)] == 1
    assert samples["ml_process_memory_bytes", ()] > 20e6


def test_gunicorn_workers_add_up_and_a_dead_one_loses_nothing(tmp_path: Path) -> None:
    arguments = (
        *("-m", "gunicorn", "--workers", "2", "--bind", "127.0.0.1:{port}", "--no-control-socket"),
        *("--config", "python:ml_monitoring.instrument.multiprocess", "service:app"),
    )
    with workers(tmp_path, *arguments, app=FLASK) as (client, _pid):
        pids, count = ask_until_two_workers_answered(client)
        check_sums(client, count)
        memory = scrape(client)["ml_process_memory_bytes", ()]
        os.kill(pids.pop(), signal.SIGKILL)
        wait_for(lambda: not (pids - {int(f.stem.rpartition("_")[2]) for f in tmp_path.glob("shared/gauge_live*")}))
        client.get("/nowhere")
        samples = scrape(client)
        assert samples["ml_http_requests_total", (*ROUTE, ("status", "200"))] == count
        assert samples["ml_process_memory_bytes", ()] < 1.5 * memory


def test_uvicorn_workers_add_up(tmp_path: Path) -> None:
    (tmp_path / "start.py").write_text(START_UVICORN)
    with workers(tmp_path, str(tmp_path / "start.py"), "{port}", app=FASTAPI) as (client, _pid):
        _pids, count = ask_until_two_workers_answered(client)
        for _ in range(5):  # whichever worker answers
            check_sums(client, count)


@pytest.mark.parametrize("left_over", [False, True], ids=["no folder", "old folder"])
def test_gunicorn_with_the_application_loaded_before_its_hooks_keeps_few_files(tmp_path: Path, left_over: bool) -> None:
    arguments = (
        *("-m", "gunicorn", "--preload", "--workers", "2", "--max-requests", "5", "--bind", "127.0.0.1:{port}"),
        *("--no-control-socket", "--config", "python:ml_monitoring.instrument.multiprocess", "service:app"),
    )
    # Counted before the workers are forked, in a file of the process that forks them.
    app = f"{FLASK}\nmodel.record_outcome(False)\n"
    with workers(tmp_path, *arguments, app=app, left_over=left_over) as (client, _pid):
        pids = set()
        counted = 0.0
        for number in range(1, 61):
            pids.add(client.get("/pid").text)
            if number % 10 == 0:
                now = scrape(client)["ml_http_requests_total", (*ROUTE, ("status", "200"))]
                assert counted <= now <= number
                counted = now
        assert len(pids) > 10
        wait_for(lambda: scrape(client)["ml_http_requests_total", (*ROUTE, ("status", "200"))] == 60)
        samples = scrape(client)
        assert samples["ml_prediction_truths_total", (*MODEL[:2], ("outcome", "incorrect"), MODEL[2])] == 1
        assert samples["ml_prediction_truths_total", (*MODEL[:2], ("outcome", "correct"), MODEL[2])] == 60
        # Of the one that forks, of two that live, of the dead not merged yet, and of those just being replaced.
        assert len(list(tmp_path.glob("shared/counter_*"))) <= 1 + 1 + 2 + 8 + 2


SERVERS = {
    "gunicorn without hooks": ("-m", "gunicorn", "--workers", "2", "--bind", "127.0.0.1:{port}", "service:app"),
    "flask with its reloader": ("-m", "flask", "--app", "service", "run", "--reload", "--port", "{port}"),
    "granian": (
        *("-m", "granian", "--interface", "wsgi", "--workers", "2", "--host", "127.0.0.1", "--port", "{port}"),
        "service:app",
    ),
    "uvicorn": ("-m", "uvicorn", "--workers", "2", "--host", "127.0.0.1", "--port", "{port}", "service:app"),
}


@pytest.mark.parametrize("server", [pytest.param(name, marks=pytest.mark.wide) for name in SERVERS])
def test_the_folder_is_there_in_time_whatever_starts_the_workers(tmp_path: Path, server: str) -> None:
    app = FASTAPI if server == "uvicorn" else FLASK
    # A metric of the service's own opens its file as soon as it is made.
    app = app.replace(
        "\napp =", "\nfrom prometheus_client import Counter\nown = Counter('own', 'Own.')\nown.inc()\napp ="
    )
    with workers(tmp_path, *SERVERS[server], app=app, left_over=False) as (client, _pid):
        for _ in range(20):
            client.get("/pid")
        wait_for(lambda: scrape(client)["ml_http_requests_total", (*ROUTE, ("status", "200"))] == 20)
        assert scrape(client)["own_total", ()] >= 1


POOL = """
import multiprocessing, os
from ml_monitoring.instrument import Recorder

recorder = Recorder(labels={"region": "eu"}, max_label_sets=7, response_buckets=(0.5, 1), sizes=True)
again = Recorder(labels={"region": "eu"}, max_label_sets=7, response_buckets=(0.5, 1), sizes=True)
model = recorder.model("m", "1")

def task(number):
    model.record_prediction(0.1, score=0.5)
    again.model("m", "1").record_prediction(0.1)
    recorder.cache(f"cache {number}").record_hit()

if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(3, maxtasksperchild=1) as pool:
        pool.map(task, range(60), chunksize=1)
        pool.close()
        pool.join()
    print(recorder.exposition().body.decode())
"""


def test_forked_tasks_add_up_with_the_options_of_the_recorder(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", POOL],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "made" / "for it")},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    samples = parse(done.stdout)
    model = (("model", "m"), ("model_version", "1"), ("variant", ""))
    assert samples["ml_predictions_total", model] == 120
    assert samples["ml_prediction_scores_total", (("bin", "0.5"), *model)] == 60
    hits = {
        dict(labels)["cache"]: value
        for (name, labels), value in samples.items()
        if name == "ml_cache_requests_total" and dict(labels)["outcome"] == "hit"
    }
    assert sum(hits.values()) == 60
    assert len(list(tmp_path.glob("made/for it/counter_*.db"))) <= 1 + 1 + 8
