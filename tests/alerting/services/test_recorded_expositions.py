"""What servers expose that do not install here: a real Prometheus scrapes it, and the layer holds its numbers.

Sources are in the first line of each file in `expositions/`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_monitoring.cli import main
from tests.support.model_servers import Layer, expositions, layer
from tools import newest

FOLDER = Path(__file__).parent / "expositions"
REQUESTS = "ml_http_requests_total"
PREDICTIONS = "ml_predictions_total"
FAILURES = "ml_prediction_errors_total"
SUM, COUNT = "ml_http_request_duration_seconds_sum", "ml_http_request_duration_seconds_count"
MODEL_SUM, MODEL_COUNT = "ml_prediction_duration_seconds_sum", "ml_prediction_duration_seconds_count"
ANSWERS, TOKENS = "ml_gen_ai_responses_total", "ml_gen_ai_usage_tokens"
FIRST_TOKEN, PER_TOKEN = "ml_gen_ai_time_to_first_token_seconds", "ml_gen_ai_time_per_output_token_seconds"
DURATION = "ml_gen_ai_request_duration_seconds"
WAITING, CACHE = "ml_gen_ai_requests_waiting", "ml_gen_ai_kv_cache_utilization_ratio"
# What `with_gen_ai.py` records: no embeddings, and of `llama` what serves it says, not what asks it.
GEN_AI: dict[str, dict[tuple[str, ...], float]] = {
    f"{ANSWERS}: model, finish_reason": {("gpt", "finished"): 12, ("gpt", "error"): 3, ("llama", "finished"): 8},
    f"{PREDICTIONS}: model": {("gpt",): 12, ("llama",): 8},
    f"{FAILURES}: model": {("gpt",): 3, ("llama",): 0},
    f"{DURATION}_count: model": {("gpt",): 15, ("llama",): 8},
    f"{DURATION}_sum: model": {("gpt",): 18, ("llama",): 16},
    f"{DURATION}_bucket: model, le": {
        ("gpt", "0.64"): 0,
        ("gpt", "1.28"): 12,
        ("gpt", "2.56"): 15,
        ("gpt", "+Inf"): 15,
        ("llama", "0.5"): 0,
        ("llama", "1.0"): 0,
        ("llama", "2.5"): 8,
        ("llama", "+Inf"): 8,
    },
    f"{FIRST_TOKEN}_bucket: model, le": {
        ("gpt", "0.1"): 0,
        ("gpt", "0.25"): 12,
        ("gpt", "0.5"): 12,
        ("gpt", "+Inf"): 12,
        ("llama", "0.1"): 0,
        ("llama", "0.25"): 0,
        ("llama", "0.5"): 8,
        ("llama", "+Inf"): 8,
    },
    f"{PER_TOKEN}_sum: model": {("llama",): 0.24},
    f"{TOKENS}_sum: model, token_type": {
        ("gpt", "input"): 1200,
        ("gpt", "output"): 600,
        ("llama", "input"): 2400,
        ("llama", "output"): 1600,
    },
    f"{TOKENS}_count: token_type": {("input",): 20, ("output",): 20},
    f"{WAITING}: model": {},
    f"{CACHE}: model": {},
}
# By server: series, and values by the labels that the first of them names.
EXPECTED: dict[str, dict[str, dict[tuple[str, ...], float]]] = {
    "vllm": {
        f"{REQUESTS}: service, status": {("llama", "200"): 13, ("llama", "499"): 1, ("llama", "500"): 1},
        f"{PREDICTIONS}: model": {("llama",): 13},
        f"{FAILURES}: model": {("llama",): 1},
        "ml_http_requests_in_progress: service": {("llama",): 3},
        "ml_http_request_duration_seconds_bucket: le": {
            ("0.3",): 3,
            ("0.5",): 5,
            ("1.0",): 9,
            ("+Inf",): 10,
        },
        f"{ANSWERS}: model, finish_reason": {
            ("llama", "stop"): 11,
            ("llama", "length"): 2,
            ("llama", "abort"): 1,
            ("llama", "error"): 1,
        },
        f"{FIRST_TOKEN}_bucket: le": {("0.25",): 10, ("1.0",): 14, ("2.5",): 15, ("+Inf",): 15},
        f"{PER_TOKEN}_sum: model": {("llama",): 0.25},
        f"{TOKENS}_sum: model, token_type": {("llama", "input"): 3200, ("llama", "output"): 900},
        f"{TOKENS}_bucket: token_type, le": {
            ("input", "100.0"): 9,
            ("input", "1000.0"): 15,
            ("input", "+Inf"): 15,
            ("output", "100.0"): 15,
            ("output", "1000.0"): 15,
            ("output", "+Inf"): 15,
        },
        f"{WAITING}: model": {("llama",): 7},
        # The fuller one of two engines, not both together.
        f"{CACHE}: model": {("llama",): 0.75},
    },
    "tgi": {
        f"{REQUESTS}: status": {("200",): 8, ("422",): 2, ("429",): 1, ("499",): 1, ("500",): 1},
        "ml_http_request_duration_seconds_bucket: le": {("0.5",): 5, ("1.0",): 7, ("+Inf",): 8},
        f"{FAILURES}: model": {("",): 1},
        f"{ANSWERS}: model, finish_reason": {("tgi", "finished"): 8, ("tgi", "abort"): 1, ("tgi", "error"): 1},
        f"{FIRST_TOKEN}_bucket: le": {},
        f"{PER_TOKEN}_bucket: model, le": {("tgi", "0.025"): 2, ("tgi", "0.05"): 6, ("tgi", "+Inf"): 8},
        f"{TOKENS}_sum: token_type": {("input",): 1200, ("output",): 160},
        f"{WAITING}: model": {("tgi",): 4},
        f"{CACHE}: model": {},
    },
    "triton": {
        f"{REQUESTS}: service, status": {
            ("resnet50", "200"): 100,
            ("resnet50", "429"): 1,
            ("resnet50", "499"): 2,
            ("resnet50", "500"): 4,
        },
        f"{PREDICTIONS}: model, model_version": {("resnet50", "1"): 90, ("resnet50", "2"): 10},
        f"{MODEL_SUM}: model_version": {("1",): 4.5, ("2",): 1.5},
        f"{MODEL_COUNT}: model_version": {("1",): 90, ("2",): 10},
        "ml_prediction_duration_seconds_bucket: le": {},
        "ab_test_requests_total: variant, outcome": {
            ("1", "success"): 90,
            ("1", "error"): 4,
            ("2", "success"): 10,
            ("2", "error"): 0,
        },
        "ab_test_response_time_seconds_sum: variant": {("1",): 4.5, ("2",): 1.5},
        "ml_http_requests_in_progress: service": {("resnet50",): 2},
    },
    "torchserve": {
        f"{REQUESTS}: service, status": {("mnist", "unknown"): 5},
        f"{FAILURES}: model": {},
        f"{PREDICTIONS}: model, model_version": {("mnist", "default"): 4, ("mnist", "2.0"): 1},
        f"{SUM}: service": {("mnist",): 0.07},
        f"{COUNT}: service": {("mnist",): 5},
    },
    "kserve": {
        f"{REQUESTS}: service, route, status": {("iris", "predict", "unknown"): 3},
        f"{SUM}: service": {("iris",): 6},
    },
    "ray-serve": {
        f"{REQUESTS}: service, route, status": {
            ("ranking", "/ranking/rank/{name}", "200"): 42,
            ("ranking", "/ranking/rank/{name}", "500"): 4,
        },
        "ml_http_request_duration_seconds_bucket: le": {("0.005",): 20, ("0.5",): 40, ("2.0",): 45, ("+Inf",): 46},
        f"{SUM}: service": {("ranking",): 11.5},
        f"{COUNT}: service": {("ranking",): 46},
    },
    "seldon-core-1": {
        f"{REQUESTS}: service, route, method, status": {
            ("iris", "predictions", "POST", "200"): 8,
            ("iris", "predictions", "POST", "500"): 2,
        },
        f"{PREDICTIONS}: model, model_version": {("classifier", "1.3"): 8},
        "ml_http_request_duration_seconds_bucket: le": {("0.5",): 9, ("1.0",): 10, ("+Inf",): 10},
        "ab_test_requests_total: variant, outcome": {
            ("a", "success"): 8,
            ("a", "error"): 0,
            ("b", "success"): 0,
            ("b", "error"): 2,
        },
        "ab_test_errors_total: variant": {("a",): 0, ("b",): 2},
        "ab_test_response_time_seconds_count: variant": {("a",): 8, ("b",): 2},
    },
    "istio": {
        # What the source's proxy reports is the same requests once more.
        f"{REQUESTS}: service, status": {("ranker", "200"): 95, ("ranker", "500"): 0, ("ranker", "503"): 5},
        "ml_http_request_duration_seconds_bucket: le": {
            ("0.0005",): 4,
            ("0.025",): 40,
            ("0.5",): 70,
            ("2.5",): 79,
            ("3600.0",): 80,
            ("+Inf",): 80,
        },
        f"{SUM}: service": {("ranker",): 9},
        "ab_test_requests_total: variant, outcome": {
            ("v1", "success"): 80,
            ("v1", "error"): 0,
            ("v2", "success"): 15,
            ("v2", "error"): 5,
        },
    },
    "tensorflow-serving": {
        f"{REQUESTS}: service, status": {
            ("iris", "200"): 40,
            ("iris", "400"): 3,
            ("iris", "499"): 1,
            ("iris", "500"): 6,
        },
        f"{SUM}: route, method": {("Predict", "REST"): 2.5},
    },
}
EXPECTED["opentelemetry-gen-ai"] = GEN_AI
VARIANTS = {"seldon-core-1": "predictor_name", "istio": "destination_version", "triton": "version"}


@pytest.fixture(scope="module")
def recorded(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Layer]:
    """Give a Prometheus that scrapes all of them."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.prom")}
    adapters = [
        {"server": server, "job": server, **({"variant": VARIANTS[server]} if server in VARIANTS else {})}
        for server in texts
    ]
    with expositions(texts) as address:
        targets = {server: [f"{address}/{server}"] for server in texts}
        with layer(programs, tmp_path_factory.mktemp("recorded"), adapters, targets) as found:
            found.wait(f"count(count by (job) ({COUNT} or {DURATION}_count))", len(texts))
            yield found


def test_each_recorded_exposition_is_looked_at() -> None:
    assert {path.stem for path in FOLDER.glob("*.prom")} == EXPECTED.keys()


@pytest.mark.parametrize(("server", "series"), [(server, each) for server, all_ in EXPECTED.items() for each in all_])
def test_the_layer_has_the_numbers_of_a_recorded_exposition(server: str, series: str, recorded: Layer) -> None:
    name, _colon, labels = series.partition(": ")
    by = labels.split(", ")
    values = recorded.values(f'sum by ({labels}) ({name}{{job="{server}"}})', *by)
    assert values == pytest.approx(EXPECTED[server][series])


def test_each_process_behind_an_address_keeps_its_own_counter(recorded: Layer) -> None:
    counted = recorded.values(f'{REQUESTS}{{job="ray-serve",status="200"}}', "instance")
    assert sorted((name.rpartition(" ")[2], value) for (name,), value in counted.items()) == [("w1", 30), ("w2", 12)]
    # They are no instances of a page, which adds their rates up.
    recorded.wait('count(origin:ml_http_requests:rate{job="ray-serve"})', 1)


def test_bounds_in_microseconds_keep_all_their_digits(recorded: Layer) -> None:
    buckets = recorded.values('ml_http_request_duration_seconds_bucket{job="tensorflow-serving"}', "le")
    bounds = [f"{10 * 1.8**step:.6g}" for step in range(32)]
    assert {float(bound[0]) for bound in buckets} == {*(float(f"{bound}e-6") for bound in _plain(bounds)), float("inf")}
    assert sorted(buckets.values()) == [*range(32), 40]


def _plain(bounds: list[str]) -> list[str]:
    return [f"{float(bound):.12g}" for bound in bounds]


def test_a_service_with_the_library_is_not_counted_twice(
    programs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = 'ml_process_start_timestamp_seconds 1\nml_http_requests_total{method="POST",route="/a",status="200"} 7\n'
    texts = {"with": (FOLDER / "vllm.prom").read_text() + library, "without": (FOLDER / "vllm.prom").read_text()}
    texts["simulated"] = texts["without"].replace("{", '{origin="simulated",')
    # What it carries counts the same requests.
    texts["carrying"] = texts["without"] + "http_request_duration_highr_seconds_count 15\n"
    with expositions(texts) as address:
        # Two paths of one address are two targets of one instance: each has its own job.
        targets = {name: [f"{address}/{name}"] for name in texts}
        adapters = [{"server": "vllm", "job": name} for name in texts]
        with layer(programs, tmp_path, adapters, targets) as found:
            found.wait(f'sum({REQUESTS}{{job="without"}})', 15)
            found.wait(f'sum({REQUESTS}{{job="with"}})', 7)
            assert found.query('ml_predictions_total{job="with"}') == []
            # What is simulated is never added to what is real.
            found.wait(f'sum({REQUESTS}{{job="simulated",origin="simulated"}})', 15)
            found.wait('http_request_duration_highr_seconds_count{job="carrying"}', 15)
            assert main(["services", "discover", "--prometheus", found.url, "--settings", os.devnull]) == 0
    assert [
        line for line in capsys.readouterr().out.splitlines() if "job carrying" in line or "instrumentator" in line
    ] == ["job carrying: vLLM; 1 service, 1 endpoint, 1 model"]


def test_discover_finds_each_server_of_a_prometheus_that_scrapes_many(
    recorded: Layer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.yml"
    own.write_text("services: {adapters: [{server: triton, job: triton}]}\n")
    assert main(["services", "discover", "--prometheus", recorded.url, "--settings", str(own)]) == 0
    assert (
        capsys.readouterr().out
        == """\
job istio: Istio; 1 service, 1 endpoint
job kserve: KServe; 1 service, 1 endpoint, 1 model; does not count failures
job opentelemetry-gen-ai: OpenTelemetry GenAI; 2 models
job ray-serve: Ray Serve; 1 service, 1 endpoint
job seldon-core-1: Seldon Core 1; 1 service, 1 endpoint, 1 model
job tensorflow-serving: TensorFlow Serving; 1 service, 1 model
job tgi: TGI; 1 endpoint
job torchserve: TorchServe; 1 service, 1 endpoint, 1 model; does not count failures
job triton: Triton; 1 service, 1 endpoint, 1 model; read already
job vllm: vLLM; 1 service, 1 endpoint, 1 model

Add to your settings (see docs/model-servers.md):

services:
  adapters:
    - {server: istio, job: istio}
    - {server: kserve, job: kserve}
    - {server: opentelemetry-gen-ai, job: opentelemetry-gen-ai}
    - {server: ray-serve, job: ray-serve}
    - {server: seldon-core-1, job: seldon-core-1}
    - {server: tensorflow-serving, job: tensorflow-serving}
    - {server: tgi, job: tgi}
    - {server: torchserve, job: torchserve}
    - {server: vllm, job: vllm}
"""
    )


@pytest.mark.wide
def test_discover_names_histograms_that_a_newer_prometheus_keeps_as_native_ones_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {name: (FOLDER / f"{name}.prom").read_text() for name in ("istio", "ray-serve", "vllm")}
    programs = {"prometheus": newest.unpack() / "prometheus"}
    with expositions(texts) as address:
        targets = {name: [f"{address}/{name}"] for name in texts}
        native = {"convert_classic_histograms_to_nhcb": True}
        with layer(
            programs, tmp_path, [], targets, scrape=native, flags=["--enable-feature=native-histograms"]
        ) as found:
            found.wait("count(up == 1)", 3)
            assert main(["services", "discover", "--prometheus", found.url, "--settings", os.devnull]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:3] == [
        f"job {job}; native histograms ({name})"
        for job, name in (
            ("istio: Istio; 1 service, 1 endpoint", "istio_request_duration_milliseconds"),
            ("ray-serve: Ray Serve; 1 service, 1 endpoint", "ray_serve_http_request_latency_ms"),
            ("vllm: vLLM; 1 service, 1 endpoint, 1 model", "vllm:e2e_request_latency_seconds"),
        )
    ]
    assert said[-3:] == [
        f"    - {{server: {name}, job: {name}, native_histograms: true}}" for name in ("istio", "ray-serve", "vllm")
    ]
