"""Real model servers with a small model, asked by a known traffic: the layer and the pages have its numbers."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from ml_monitoring.cli import main
from tests.support.model_servers import FOLDER, Layer, ask, environment, layer
from tools.processes import Process, free_port, http_ok, running, wait_until

OK, FAILED, SLOW = 20, 6, 3
# A busy machine may make quick requests slow, and never slow ones quick.
SLOW_SECONDS = 0.6
SCORES = [0.1, 0.9, 0.5]


def _input(columns: int) -> dict[str, object]:
    """Return a request of the open inference protocol, for a model that takes two columns."""
    return {"inputs": [{"name": "x", "shape": [1, columns], "datatype": "FP64", "data": [0.1] * columns}]}


def bentoml(folder: Path, port: int) -> Process:
    """Return a BentoML service."""
    program = environment("bentoml") / "bentoml"
    return Process(
        "BentoML",
        [program, "serve", "bentoml_service:Ranker", "--host", "127.0.0.1", "--port", str(port)],
        log=folder / "bentoml.log",
        cwd=FOLDER,
        env={"BENTOML_HOME": str(folder / "bentoml"), "BENTOML_DO_NOT_TRACK": "True", "PYTHONDONTWRITEBYTECODE": "1"},
        healthy=partial(http_ok, f"http://127.0.0.1:{port}/readyz"),
        start_timeout=300,
    )


def mlserver(folder: Path, port: int, metrics: int) -> Process:
    """Return an MLServer with a scikit-learn model."""
    programs = environment("mlserver")
    made = Process(
        "the model",
        [programs / "python", FOLDER / "mlserver_model.py", folder, str(port), str(free_port()), str(metrics)],
        log=folder / "model.log",
        healthy=(folder / "settings.json").exists,
        start_timeout=300,
    )
    with made:
        pass
    return Process(
        "MLServer",
        [programs / "mlserver", "start", folder],
        log=folder / "mlserver.log",
        healthy=partial(http_ok, f"http://127.0.0.1:{port}/v2/models/iris/ready"),
        start_timeout=300,
    )


@pytest.mark.wide
def test_bentoml(programs: dict[str, Path], tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    adapters = [{"server": "bentoml", "job": "ranker", "variant": "endpoint"}]
    with (
        running([bentoml(tmp_path, port)]),
        layer(programs, tmp_path, adapters, {"ranker": [f"127.0.0.1:{port}/metrics"]}) as recorded,
    ):
        # Both outcomes of each endpoint are there before the first request.
        recorded.wait('count(ml_http_requests_total{job="ranker"})', 4)
        assert {ask(f"{url}/rank", {"scores": SCORES}) for _ in range(OK)} == {200}
        assert {ask(f"{url}/rank", {"scores": SCORES, "fail": True}) for _ in range(FAILED)} == {500}
        assert {ask(f"{url}/rank", {"scores": SCORES, "seconds": SLOW_SECONDS}) for _ in range(SLOW)} == {200}
        assert ask(f"{url}/rank", {"scores": "none"}) == 400
        assert ask(f"{url}/best", {"scores": SCORES}) == 200
        recorded.wait('sum(ml_http_requests_total{job="ranker"})', OK + FAILED + SLOW + 2)
        assert recorded.values("ml_http_requests_total", "service", "method", "route", "status") == {
            ("Ranker", "POST", "/rank", "200"): OK + SLOW,
            ("Ranker", "POST", "/rank", "400"): 1,
            ("Ranker", "POST", "/rank", "500"): FAILED,
            ("Ranker", "POST", "/best", "200"): 1,
            ("Ranker", "POST", "/best", "500"): 0,
        }
        assert recorded.values("ml_predictions_total", "model", "model_version") == {("Ranker", ""): OK + SLOW + 1}
        assert recorded.values("ml_prediction_errors_total", "model") == {("Ranker",): FAILED}
        assert recorded.values("ab_test_requests_total", "variant", "outcome") == {
            ("/rank", "success"): OK + SLOW + 1,
            ("/rank", "error"): FAILED,
            ("/best", "success"): 1,
            ("/best", "error"): 0,
        }
        _has_slow_requests(recorded, 'ml_http_request_duration_seconds_%s{route="/rank"}', OK + FAILED + SLOW + 1)
        _page_has_the_share_of_failures(recorded, FAILED / (OK + FAILED + SLOW + 2))


@pytest.mark.wide
def test_mlserver(programs: dict[str, Path], tmp_path: Path) -> None:
    port, metrics = free_port(), free_port()
    model = f"http://127.0.0.1:{port}/v2/models/iris"
    server = mlserver(tmp_path, port, metrics)
    adapters = [{"server": "mlserver", "job": "iris", "variant": "version"}]
    targets = {"iris": [f"127.0.0.1:{metrics}/metrics"]}
    with running([server]), layer(programs, tmp_path, adapters, targets) as recorded:
        assert ask(f"{model}/infer", _input(2)) == 200
        recorded.wait("sum(ml_predictions_total)", 1)
        assert {ask(f"{model}/infer", _input(2)) for _ in range(OK)} == {200}
        assert {ask(f"{model}/versions/v1/infer", _input(2)) for _ in range(SLOW)} == {200}
        assert {ask(f"{model}/infer", _input(3)) for _ in range(FAILED)} == {500}
        # Beside them it was asked whether it is ready.
        recorded.wait('sum(ml_http_requests_total{route=~".*/infer"})', OK + SLOW + FAILED + 1)
        route = "/v2/models/{model_name}/infer"
        versioned = "/v2/models/{model_name}/versions/{model_version}/infer"
        values = recorded.values('ml_http_requests_total{route=~".*/infer"}', "service", "method", "route", "status")
        assert values == {
            ("mlserver", "POST", route, "200"): OK + 1,
            ("mlserver", "POST", route, "500"): FAILED,
            ("mlserver", "POST", versioned, "200"): SLOW,
            ("mlserver", "POST", versioned, "500"): 0,
        }
        predictions = recorded.values("ml_predictions_total", "model", "model_version")
        assert predictions == {("iris", ""): OK + 1, ("iris", "v1"): SLOW}
        assert recorded.values("ml_prediction_errors_total", "model_version") == {("",): FAILED, ("v1",): 0}
        assert recorded.values("ml_prediction_duration_seconds_count", "model_version") == {
            ("",): OK + FAILED + 1,
            ("v1",): SLOW,
        }
        # A summary gives the mean only.
        assert recorded.query("ml_prediction_duration_seconds_bucket") == []
        assert recorded.values("ab_test_requests_total", "variant", "outcome") == {
            ("None", "success"): OK + 1,
            ("None", "error"): FAILED,
            ("v1", "success"): SLOW,
            ("v1", "error"): 0,
        }
        _page_has_the_share_of_failures(recorded, FAILED / (OK + SLOW + FAILED))


@pytest.mark.wide
def test_discover_finds_four_servers_that_run(
    programs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ports = [free_port() for _ in range(5)]
    carried = {"instrumented": "with_instrumentator.py", "exporting": "with_starlette_exporter.py"}
    middlewares = [
        Process(
            job,
            [environment("middlewares") / "python", FOLDER / program, str(port)],
            log=tmp_path / f"{job}.log",
            healthy=partial(http_ok, f"http://127.0.0.1:{port}/metrics/"),
            start_timeout=300,
        )
        for (job, program), port in zip(carried.items(), ports, strict=False)
    ]
    bento, iris, iris_metrics = ports[2:]
    targets = {
        "instrumented": [f"127.0.0.1:{ports[0]}/metrics/"],
        "exporting": [f"127.0.0.1:{ports[1]}/metrics/"],
        "ranker": [f"127.0.0.1:{bento}/metrics"],
        "iris": [f"127.0.0.1:{iris_metrics}/metrics"],
    }
    servers = (bentoml(tmp_path, bento), mlserver(tmp_path, iris, iris_metrics), *middlewares)
    with running(servers), layer(programs, tmp_path, [], targets) as scraping:
        assert {ask(f"http://127.0.0.1:{port}/models/churn/predict") for port in ports[:2]} == {200}
        assert ask(f"http://127.0.0.1:{bento}/rank", {"scores": SCORES}) == 200
        assert ask(f"http://127.0.0.1:{iris}/v2/models/iris/infer", _input(2)) == 200
        counters = "bentoml_service_request_total", "model_infer_request_success_total", "starlette_requests_total"
        for counter in (*counters, "http_requests_total"):
            scraping.wait(f"count({counter} > 0) > bool 0", 1)
        assert main(["services", "discover", "--prometheus", scraping.url, "--settings", os.devnull]) == 0
    assert (
        capsys.readouterr().out
        == """\
job exporting: starlette-exporter; 1 service, 1 endpoint
job instrumented: prometheus-fastapi-instrumentator; 1 endpoint
job iris: MLServer; 1 service, 2 endpoints, 1 model
job ranker: BentoML; 1 service, 2 endpoints, 1 model

Add to your settings (see docs/model-servers.md):

services:
  adapters:
    - {server: starlette-exporter, job: exporting}
    - {server: fastapi-instrumentator, job: instrumented}
    - {server: mlserver, job: iris}
    - {server: bentoml, job: ranker}
"""
    )


def _has_slow_requests(recorded: Layer, times: str, number: int) -> None:
    """Look whether the histogram has the requests, and the slow ones above half a second."""
    recorded.wait(f"sum({times % 'count'})", number)
    buckets = recorded.values(f"sum by (le) ({times % 'bucket'})", "le")
    assert buckets["0.5",] <= number - SLOW
    assert buckets["+Inf",] == number
    assert SLOW * SLOW_SECONDS <= (recorded.value(f"sum({times % 'sum'})") or 0) < 60


def _page_has_the_share_of_failures(recorded: Layer, share: float) -> None:
    # Rates of a series that is seconds old are extrapolated by up to half a scrape, which matters less with each one.
    def ratio() -> float | None:
        return recorded.value("sum(origin:ml_http_errors:ratio)")

    assert wait_until(lambda: ratio() == pytest.approx(share, rel=0.25), timeout=60), ratio()
