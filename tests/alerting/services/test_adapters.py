"""What servers expose by themselves: real ones are asked by a known traffic, and the layer holds its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.overview.signals import STATES
from ml_monitoring.alerting.services.signals import API_UP, PAGE
from tests.support.model_servers import FOLDER, Layer, ask, environment, layer
from tools.processes import Process, free_port, http_ok, running, wait_until

QUICK, FAILED, SLOW = 40, 10, 5
# A busy machine may make quick requests slow, and never slow ones quick.
SLOW_SECONDS = 0.6


@dataclass(frozen=True)
class Middleware:
    """A FastAPI application behind a middleware.

    Attributes:
        adapter: Its name in the settings.
        environment: Where it is installed.
        failure: What its failures have as status.
        program: What runs it.
        service: What the layer calls the service.
        variables: Of its process.
    """

    adapter: str
    environment: str
    failure: str
    program: str
    service: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


_OPENTELEMETRY = Middleware("opentelemetry", "opentelemetry", "500", "with_opentelemetry.py")
MIDDLEWARES = {
    "prometheus-fastapi-instrumentator": Middleware(
        "fastapi-instrumentator", "middlewares", "5xx", "with_instrumentator.py"
    ),
    "starlette-exporter": Middleware(
        "starlette-exporter", "middlewares", "500", "with_starlette_exporter.py", "ranker"
    ),
    "OpenTelemetry": _OPENTELEMETRY,
    "OpenTelemetry, stable names": replace(_OPENTELEMETRY, variables={"OTEL_SEMCONV_STABILITY_OPT_IN": "http"}),
}
USE = {"job": "ranker"}
ROUTE = "/models/{name}/predict"


@pytest.fixture(
    params=[
        # Fewer packages, and quick to start: the others are for `make test-wide`.
        pytest.param(each, marks=[] if each.environment == "middlewares" else [pytest.mark.wide])
        for each in MIDDLEWARES.values()
    ],
    ids=list(MIDDLEWARES),
)
def carried(
    request: pytest.FixtureRequest, programs: dict[str, Path], tmp_path: Path
) -> Iterator[tuple[Middleware, list[str], Layer]]:
    """Give a middleware in two processes, their addresses, and the layer."""
    middleware: Middleware = request.param
    python = environment(middleware.environment) / "python"
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    processes = [
        Process(
            f"server at {address}",
            [python, FOLDER / middleware.program, address.rpartition(":")[2]],
            log=tmp_path / f"{address}.log",
            env=middleware.variables,
            healthy=partial(http_ok, f"http://{address}/metrics/"),
            start_timeout=180,
        )
        for address in addresses
    ]
    adapters = [USE | {"server": middleware.adapter}]
    targets = {"ranker": [f"{address}/metrics/" for address in addresses]}
    with running(processes), layer(programs, tmp_path, adapters, targets) as recorded:
        yield middleware, addresses, recorded


def test_the_layer_has_the_requests_that_a_middleware_saw(carried: tuple[Middleware, list[str], Layer]) -> None:
    middleware, addresses, recorded = carried
    urls = [f"http://{address}/models/churn/predict" for address in addresses]
    # What comes before the first scrape of a route no rate sees.
    assert [ask(url) for url in urls] == [200, 200]
    requests = f'ml_http_requests_total{{job="ranker",route="{ROUTE}",status="%s"}}'
    ok, failed = requests % middleware.failure.replace("5", "2"), requests % middleware.failure
    # The failures are at 0 before the first of them.
    recorded.wait(f"sum({ok})", 2)
    assert recorded.value(f"sum({failed})") == 0
    assert {ask(urls[number % 2]) for number in range(QUICK - 2)} == {200}
    assert [ask(urls[0], fail=True) for _ in range(FAILED)] == [500] * FAILED
    assert [ask(urls[1], seconds=SLOW_SECONDS) for _ in range(SLOW)] == [200] * SLOW
    recorded.wait(f"sum({ok})", QUICK + SLOW)
    recorded.wait(f"sum({failed})", FAILED)
    # Nothing of the scrapes, and one series a process.
    counted = recorded.values('ml_http_requests_total{job="ranker"}', "method", "route", "service", "instance")
    assert counted.keys() == {("POST", ROUTE, middleware.service, address) for address in addresses}
    times = 'ml_http_request_duration_seconds_%s{job="ranker"}'
    recorded.wait(f"sum({times % 'count'})", QUICK + SLOW + FAILED)
    buckets = recorded.values(f"sum by (le) ({times % 'bucket'})", "le")
    assert buckets["0.5",] <= QUICK + FAILED
    assert buckets["+Inf",] == QUICK + SLOW + FAILED
    assert SLOW * SLOW_SECONDS <= (recorded.value(f"sum({times % 'sum'})") or 0) < 60

    # Rates of a series that is seconds old are extrapolated by up to half a scrape, which matters less with each one.
    def ratio() -> float | None:
        return recorded.value('origin:ml_http_errors:ratio{job="ranker"}')

    share = FAILED / (QUICK + SLOW + FAILED - 2)
    assert wait_until(lambda: ratio() == pytest.approx(share, rel=0.2), timeout=60), ratio()
    # The page says that all is well, and that the service answers.
    scope = load_thresholds().changed({"services": {"adapters": [USE | {"server": middleware.adapter}]}}).scope()
    recorded.wait(STATES[PAGE].promql(scope, matchers='job="ranker"'), 0)
    recorded.wait(API_UP.promql(scope, matchers='job="ranker"'), 1)
