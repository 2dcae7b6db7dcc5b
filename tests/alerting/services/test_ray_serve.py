"""A real Ray Serve with two deployments, asked by a known traffic: the layer has it, and nothing of Ray stays."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.model_servers import FOLDER, ask, environment, layer
from tools.processes import Process, free_port, running

OK, FAILED, SLOW = 20, 6, 3
# A busy machine may make quick requests slow, and never slow ones quick.
SLOW_SECONDS = 0.6
_RAY = {
    # A cluster of one machine: on 127.0.0.1 only.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Otherwise a token is written into the home directory.
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Instead of every ten seconds.
    "RAY_metrics_report_interval_ms": "1000",
    # Instead of five seconds, after which it is replaced: a busy machine takes longer.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "300",
    "PYTHONDONTWRITEBYTECODE": "1",
}


@contextmanager
def _ray_serve(http: int, metrics: int, log: Path) -> Iterator[None]:
    # Names of sockets are short; those of pytest's folders are not.
    with tempfile.TemporaryDirectory(prefix="ray-") as name:
        folder = Path(name)
        server = Process(
            "Ray Serve",
            [environment("ray") / "python", FOLDER / "ray_application.py", folder, str(http), str(metrics)],
            log=log,
            env=_RAY,
            healthy=(folder / "ready").exists,
            start_timeout=900,
            stop_timeout=180,
        )
        with running([server]):
            yield
        assert list(_with_files_in(folder)) == []


def _with_files_in(folder: Path) -> Iterator[str]:
    """Yield the processes that have files of a folder open: each that Ray starts has its log there."""
    for opened in Path("/proc").glob("[0-9]*/fd/*"):
        # Any may end meanwhile.
        with suppress(OSError):
            if opened.readlink().is_relative_to(folder):
                yield opened.parts[2]


@pytest.mark.wide
def test_ray_serve(programs: dict[str, Path], tmp_path: Path) -> None:
    http, metrics = free_port(), free_port()
    url = f"http://127.0.0.1:{http}/ranking/rank"
    adapters = [{"server": "ray-serve", "job": "ranker", "variant": "application"}]
    with (
        _ray_serve(http, metrics, tmp_path / "ray.log"),
        layer(programs, tmp_path, adapters, {"ranker": [f"127.0.0.1:{metrics}/metrics"]}) as recorded,
    ):
        assert ask(f"{url}/first") == 200
        recorded.wait('sum(ml_http_requests_total{job="ranker"})', 1)
        assert {ask(f"{url}/{number}") for number in range(OK - 1)} == {200}
        assert {ask(f"{url}/{number}", fail=True) for number in range(FAILED)} == {500}
        assert {ask(f"{url}/{number}", seconds=SLOW_SECONDS) for number in range(SLOW)} == {200}
        assert ask(f"{url}/one", seconds="none") == 422
        recorded.wait('sum(ml_http_requests_total{job="ranker"})', OK + FAILED + SLOW + 1)
        labels = "service", "method", "route", "status"
        summed = f"sum by ({', '.join(labels)}) (ml_http_requests_total)"
        asked = ("ranking", "POST", "/ranking/rank/{name}")
        assert recorded.values(summed, *labels) == {
            (*asked, "200"): OK + SLOW,
            (*asked, "422"): 1,
            (*asked, "500"): FAILED,
        }
        times = "ml_http_request_duration_seconds_%s"
        recorded.wait(f"sum({times % 'count'})", OK + FAILED + SLOW + 1)
        buckets = recorded.values(f"sum by (le) ({times % 'bucket'})", "le")
        assert buckets["0.5",] <= OK + FAILED + 1
        assert buckets["+Inf",] == OK + FAILED + SLOW + 1
        assert SLOW * SLOW_SECONDS <= (recorded.value(f"sum({times % 'sum'})") or 0) < 120
        assert recorded.values("sum by (variant, outcome) (ab_test_requests_total)", "variant", "outcome") == {
            ("ranking", "success"): OK + SLOW + 1,
            ("ranking", "error"): FAILED,
        }
        # Of both processes that count, a service on the page.
        recorded.wait('count(origin:ml_http_requests:rate{job="ranker",service="ranking"})', 1)
