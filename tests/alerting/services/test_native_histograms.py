"""Native histograms: what real programs send and expose as such is in the buckets of the layer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.services.adapters import ADAPTERS
from ml_monitoring.exporter.catalog import METRICS
from tests.alerting.services.test_recorded_expositions import GEN_AI
from tests.support.model_servers import FOLDER, Layer, ask, environment, layer
from tests.support.rules import check_rules
from tools import newest
from tools.go_programs import available, build_prometheus
from tools.processes import Process, free_port, http_ok, running

EXPONENTIAL = {"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "base2_exponential_bucket_histogram"}
NATIVE = "--enable-feature=native-histograms"
RECEIVER = "--web.enable-otlp-receiver"
TIMES = "ml_http_request_duration_seconds"
QUICK, FAILED, SLOW = 20, 4, 3
# A busy machine may make quick requests slow, and never slow ones quick.
SLOW_SECONDS = 0.6


def _programs() -> Mapping[str, Path]:
    folder = newest.unpack()
    return {name: folder / name for name in ("prometheus", "promtool")}


@pytest.fixture
def receiving() -> Mapping[str, Path]:
    """Give a Prometheus with a receiver of OTLP, which Debian's has not."""
    if not available():
        pytest.skip("there is no Go to build a Prometheus with a receiver of OTLP")
    return {"prometheus": build_prometheus()}


def _bounds(name: str) -> tuple[float, ...]:
    return next(metric.buckets for metric in METRICS if metric.name == name)


def _cumulative(name: str, values: Mapping[float, int]) -> dict[tuple[str, ...], float]:
    """Return the buckets that observations are in."""
    bounds = {repr(bound): bound for bound in _bounds(name)} | {"+Inf": float("inf")}
    return {(le,): sum(number for value, number in values.items() if value <= bound) for le, bound in bounds.items()}


@pytest.mark.wide
def test_exponential_histograms_that_the_sdk_sends_by_otlp_are_in_the_layer(
    receiving: Mapping[str, Path], tmp_path: Path
) -> None:
    use = {"server": "opentelemetry-gen-ai", "job": "assistant", "native_histograms": True}
    with layer(receiving, tmp_path, [use], {}, flags=[NATIVE, RECEIVER]) as recorded:
        service = Process(
            "the service",
            [
                environment("opentelemetry") / "python",
                FOLDER / "with_gen_ai.py",
                str(port := free_port()),
                f"{recorded.url}/api/v1/otlp/v1/metrics",
            ],
            log=tmp_path / "service.log",
            env=EXPONENTIAL,
            healthy=partial(http_ok, f"http://127.0.0.1:{port}/metrics"),
            start_timeout=300,
        )
        with running([service]):
            recorded.wait("sum(ml_gen_ai_responses_total)", 23)
            assert recorded.query("gen_ai_server_request_duration_seconds_count") == []
            for series, expected in GEN_AI.items():
                name, _colon, labels = series.partition(": ")
                if not name.endswith("_bucket"):
                    found = recorded.values(f"sum by ({labels}) ({name})", *labels.split(", "))
                    assert found == pytest.approx(expected), series
            # What `with_gen_ai.py` observes.
            for name, model, values in (
                ("ml_gen_ai_request_duration_seconds", "gpt", {1.0: 12, 2.0: 3}),
                ("ml_gen_ai_request_duration_seconds", "llama", {2.0: 8}),
                ("ml_gen_ai_time_to_first_token_seconds", "gpt", {0.2: 12}),
                ("ml_gen_ai_time_to_first_token_seconds", "llama", {0.3: 8}),
                ("ml_gen_ai_usage_tokens", "gpt", {100.0: 12, 50.0: 12}),
            ):
                found = recorded.values(f'sum by (le) ({name}_bucket{{model="{model}"}})', "le")
                assert found == pytest.approx(_cumulative(name, values), abs=0.01), name


@pytest.mark.wide
def test_requests_by_otlp_are_counted_by_an_exponential_histogram(
    receiving: Mapping[str, Path], tmp_path: Path
) -> None:
    use = {"server": "opentelemetry", "job": "ranker", "native_histograms": True, "variant": "http_target"}
    port = free_port()
    url = f"http://127.0.0.1:{port}/models/churn/predict"
    with layer(receiving, tmp_path, [use], {}, flags=[NATIVE, RECEIVER]) as recorded:
        receiver = f"{recorded.url}/api/v1/otlp/v1/metrics"
        service = Process(
            "the service",
            [environment("opentelemetry") / "python", FOLDER / "with_opentelemetry_otlp.py", str(port), receiver],
            log=tmp_path / "service.log",
            env=EXPONENTIAL,
            healthy=partial(http_ok, f"http://127.0.0.1:{port}/docs"),
            start_timeout=300,
        )
        with running([service]):
            assert {ask(url) for _ in range(QUICK)} == {200}
            assert {ask(url, fail=True) for _ in range(FAILED)} == {500}
            assert {ask(url, seconds=SLOW_SECONDS) for _ in range(SLOW)} == {200}
            of = f'{{job="ranker",method="POST",route="{(route := "/models/{name}/predict")}"}}'
            recorded.wait(f"sum({TIMES}_count{of})", QUICK + FAILED + SLOW)
            counted = recorded.values(f"ml_http_requests_total{of}", "route", "status")
            assert counted == {(route, "200"): QUICK + SLOW, (route, "500"): FAILED}
            _has_slow_requests(recorded, of)
            # Two evaluations later nothing has fallen.
            assert recorded.values("ab_test_requests_total", "variant", "outcome")[route, "error"] == FAILED


def _has_slow_requests(recorded: Layer, of: str) -> None:
    number = QUICK + FAILED + SLOW
    buckets = [recorded.values(f"sum by (le) ({TIMES}_bucket{of})", "le")[repr(bound),] for bound in _bounds(TIMES)]
    assert buckets == sorted(buckets)
    quick = recorded.value(f'sum({TIMES}_bucket{{le="0.5",{of[1:]})') or 0
    assert quick <= QUICK + FAILED
    assert recorded.value(f'sum({TIMES}_bucket{{le="+Inf",{of[1:]})') == number
    assert SLOW * SLOW_SECONDS <= (recorded.value(f"sum({TIMES}_sum{of})") or 0) < 60


@pytest.mark.wide
def test_classic_histograms_that_a_scrape_converts_keep_their_buckets(tmp_path: Path) -> None:
    use = {"server": "starlette-exporter", "job": "ranker", "native_histograms": True}
    address = f"127.0.0.1:{free_port()}"
    service = Process(
        "the service",
        [environment("middlewares") / "python", FOLDER / "with_starlette_exporter.py", address.rpartition(":")[2]],
        log=tmp_path / "service.log",
        healthy=partial(http_ok, f"http://{address}/metrics/"),
        start_timeout=300,
    )
    converted = {"convert_classic_histograms_to_nhcb": True}
    targets = {"ranker": [f"{address}/metrics/"]}
    with (
        running([service]),
        layer(_programs(), tmp_path, [use], targets, scrape=converted, flags=[NATIVE]) as recorded,
    ):
        url = f"http://{address}/models/churn/predict"
        assert {ask(url) for _ in range(QUICK)} == {200}
        assert {ask(url, seconds=seconds) for seconds in (0.02, 0.06, 0.3, 0.8)} == {200}
        recorded.wait(f"sum({TIMES}_count)", QUICK + 4)
        assert recorded.query("starlette_request_duration_seconds_bucket") == []
        exposed = _exposed(f"http://{address}/metrics/", "starlette_request_duration_seconds")
        found = recorded.values(f"sum by (le) ({TIMES}_bucket)", "le")
        both = exposed.keys() & found.keys()
        assert len(both) > 5
        assert {le: found[le] for le in both} == {le: exposed[le] for le in both}


def _exposed(url: str, name: str) -> dict[tuple[str, ...], float]:
    """Return the buckets of what was predicted, as the program exposes them."""
    with build_opener(ProxyHandler({})).open(url, timeout=10) as response:
        text = response.read().decode()
    found: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == f"{name}_bucket" and sample.labels["path"].startswith("/models"):
                le = (sample.labels["le"],)
                found[le] = found.get(le, 0) + sample.value
    return found


# Ten observations of up to 0.324, below the bound 0.35, then in a bucket from 0.25 to 0.354.
_FINE = "{{schema:3 count:10 sum:2.9 offset:-13 buckets:[10]}}"
_COARSE = "{{schema:1 count:%d sum:2.9 offset:-3 buckets:[%d]}}"


@pytest.mark.wide
@pytest.mark.parametrize(
    ("at", "below"),
    [
        ("2m", 10),
        # What is estimated is 9.708, but nothing was taken back.
        ("5m", 10),
        ("9m", 29.125),
        # It began again.
        ("11m", 1.942),
    ],
)
def test_a_histogram_that_is_made_coarser_takes_nothing_back(at: str, below: float, tmp_path: Path) -> None:
    values = [*[_FINE] * 4, *[_COARSE % (10, 10)] * 3, *[_COARSE % (30, 30)] * 3, *[_COARSE % (2, 2)] * 3]
    name = 'http_server_request_duration_seconds{job="ranker",instance="a",http_route="/"}'
    use = {"server": "opentelemetry", "job": "ranker", "native_histograms": True}
    check_rules(
        _programs()["promtool"], tmp_path, {name: " ".join(values)}, {f'{TIMES}_bucket{{le="0.35"}}': below},
        at=at, topics=("adapters",), thresholds=load_thresholds().changed({"services": {"adapters": [use]}}),
        tolerance=1e-3,
    )  # fmt: skip


def test_the_oldest_prometheus_reads_the_rules_and_finds_nothing(programs: dict[str, Path], tmp_path: Path) -> None:
    uses = [{"server": name, "job": name, "native_histograms": True, "variant": "canary"} for name in ADAPTERS]
    check_rules(
        programs["promtool"], tmp_path, {'up{job="istio",instance="a"}': "1x5"}, {f"{TIMES}_bucket": None},
        at="2m", topics=("adapters",), thresholds=load_thresholds().changed({"services": {"adapters": uses}}),
    )  # fmt: skip
