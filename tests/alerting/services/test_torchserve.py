"""A real TorchServe, asked by a known traffic: the layer has it, and says of nothing that it went well."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.overview.signals import STATES
from ml_monitoring.alerting.services.signals import API_ERROR_RATIO, API_FAILURES_UNKNOWN, PAGE
from tests.support.model_servers import FOLDER, ask, environment, layer
from tools.processes import Process, free_port, http_ok, running

OK, FAILED, SLOW = 20, 6, 3
# A busy machine may make quick requests slow, and never slow ones quick.
SLOW_SECONDS = 0.6


@contextmanager
def _torchserve(http: int, metrics: int, log: Path) -> Iterator[None]:
    programs = environment("torchserve")
    (jar,) = programs.parent.glob("lib/python*/site-packages/ts/frontend/model-server.jar")
    # Names of sockets are short; those of pytest's folders are not.
    with tempfile.TemporaryDirectory(prefix="ts-") as name:
        folder = Path(name)
        archive = ["--model-name", "ranker", "--version", "1.0", "--handler", str(FOLDER / "torchserve_handler.py")]
        subprocess.run([programs / "torch-model-archiver", *archive, "--export-path", folder], check=True)
        addresses = {"inference": http, "management": free_port(), "metrics": metrics}
        ports = {"grpc_inference_port": free_port(), "grpc_management_port": free_port()}
        settings = [
            *(f"{kind}_address=http://127.0.0.1:{port}" for kind, port in addresses.items()),
            *(f"{kind}={port}" for kind, port in ports.items()),
            *(f"grpc_{kind}_address=127.0.0.1" for kind in ("inference", "management")),
            "metrics_mode=prometheus",
            "default_workers_per_model=1",
        ]
        (folder / "config.properties").write_text("\n".join(settings))
        # What its program `torchserve` starts, which leaves it running when it is ended itself.
        java: list[str | Path] = [
            *("java", f"-Dmodel_server_home={jar.parent.parent.parent}", f"-Djava.io.tmpdir={folder}"),
            *("-cp", jar, "org.pytorch.serve.ModelServer", "--python", programs / "python"),
            *("-f", folder / "config.properties", "-s", folder, "-m", "ranker=ranker.mar"),
            *("-ncs", "--disable-token-auth"),
        ]
        server = Process(
            "TorchServe",
            java,
            log=log,
            cwd=folder,
            env={"PYTHONDONTWRITEBYTECODE": "1"},
            healthy=partial(http_ok, f"http://127.0.0.1:{http}/ping"),
            start_timeout=300,
            stop_timeout=60,
        )
        with running([server]):
            yield


@pytest.mark.wide
@pytest.mark.skipif(shutil.which("java") is None, reason="TorchServe needs Java")
def test_torchserve(programs: dict[str, Path], tmp_path: Path) -> None:
    http, metrics = free_port(), free_port()
    url = f"http://127.0.0.1:{http}/predictions/ranker"
    adapters = [{"server": "torchserve", "job": "ranker", "variant": "model_version"}]
    with (
        _torchserve(http, metrics, tmp_path / "torchserve.log"),
        layer(programs, tmp_path, adapters, {"ranker": [f"127.0.0.1:{metrics}/metrics"]}) as recorded,
    ):
        assert ask(url, {}) == 200
        recorded.wait("sum(ml_http_requests_total)", 1)
        assert {ask(url, {}) for _ in range(OK - 1)} == {200}
        assert {ask(url, {"seconds": SLOW_SECONDS}) for _ in range(SLOW)} == {200}
        assert {ask(url, {"fail": True}) for _ in range(FAILED)} == {503}
        everything = OK + SLOW + FAILED
        recorded.wait("sum(ml_http_requests_total)", everything)
        assert recorded.values("ml_http_requests_total", "service", "method", "route", "status") == {
            ("ranker", "POST", "predictions", "unknown"): everything
        }
        # It counts them for the host, beside the answers to who asks whether it is there.
        assert recorded.value("Requests5XX") == FAILED
        assert (recorded.value("Requests2XX") or 0) > OK + SLOW
        assert recorded.values("ml_predictions_total", "model", "model_version") == {("ranker", "default"): everything}
        assert recorded.values("ab_test_requests_total", "variant", "outcome") == {("default", "unknown"): everything}
        assert SLOW * SLOW_SECONDS <= (recorded.value("ml_http_request_duration_seconds_sum") or 0) < 60
        # The page has its traffic, and neither a ratio of errors nor a state that is well.
        recorded.wait("count(origin:ml_http_requests:rate > 0)", 1)
        scope = load_thresholds().changed({"services": {"adapters": adapters}}).scope()
        recorded.wait(STATES[PAGE].promql(scope, matchers='job="ranker"'), -1)
        assert recorded.value(API_FAILURES_UNKNOWN.promql(scope)) == -1
        assert recorded.query(API_ERROR_RATIO.promql(scope)) == []
        for absent in ("ml_prediction_errors_total", "ab_test_errors_total", "slo_origin:ml_http_burning:page"):
            assert recorded.query(absent) == [], absent
