"""Failures, of every adapter: a ratio of what failed, 0 where nothing did yet, and nothing where nobody knows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.services.adapter import Adapter
from ml_monitoring.alerting.services.adapters import ADAPTERS
from ml_monitoring.cli import main
from tests.support.rules import check_rules

# What may fail.
BUDGET = 1 - load_thresholds().slos.availability
_SELDON, _OTEL = "seldon_api_executor_%s_requests_seconds_count", "http_server_request_duration_seconds_count"
_GEN_AI = "gen_ai_server_request_duration_seconds_count"


@dataclass(frozen=True)
class Server:
    """What a server counts.

    Attributes:
        counted: Series of requests that succeed.
        failed: Those that fail; empty where it does not say so.
        begins_at_0: Whether it has the latter before the first failure.
        adapter: Its name in the settings; that of the case by default.
    """

    counted: tuple[str, ...]
    failed: tuple[str, ...] = ()
    begins_at_0: bool = False
    adapter: str = ""

    def series(self, job: str, *, failing: bool) -> dict[str, str]:
        """Return the series for promtool, all of one variant."""
        failures = "0+1x60" if failing else "0x60" if self.begins_at_0 else ""
        values = {**dict.fromkeys(self.counted, "0+9x60"), **(dict.fromkeys(self.failed, failures) if failures else {})}
        return {
            f'{name}{{job="{job}",instance="a",canary="B",{labels}}}': value
            for (name, _, labels), value in ((one.partition(" "), value) for one, value in values.items())
        }

    def expected(self, job: str, adapter: Adapter, *, failing: bool) -> dict[str, float | None]:
        """Return the values by expressions."""
        share = (0.1 if failing else 0.0) if self.failed else None
        there = None if share is None else 1
        requests: dict[str, float | None] = {
            "count(origin:ml_http_requests:rate{<job>} > 0)": 1,
            "origin:ml_http_errors:ratio{<job>}": share,
            'slo_origin:ml_http_burn_rate:page_fast_long{slo="availability",<job>}': share and share / BUDGET,
            'count(slo_origin:ml_http_burning:page{slo="availability",<job>})': there,
            # Nobody says that they succeeded either.
            'count(ml_http_requests_total{status=~"2.*",<job>})': there,
        }
        predictions: dict[str, float | None] = {
            "count(ml_predictions_total{<job>})": 1,
            # A minute.
            "rate(ml_prediction_errors_total{<job>}[5m]) * 60": share and 1,
        }
        variants: dict[str, float | None] = {
            'count(variant_origin:ab_test_requests:count{variant="B",<job>} > 0)': 1,
            'count(variant_metric_origin:ab_test_trials:count{variant="B",metric="errors",<job>})': there,
            'variant_origin:ab_test_errors:ratio{variant="B",<job>}': share,
            'variant_origin:business_errors:ratio{variant="B",<job>}': share,
        }
        of = (adapter.requests, requests), (adapter.predictions, predictions), (adapter.requests, variants)
        found = {expr: value for counted, values in of if counted for expr, value in values.items()}
        return {expr.replace("<job>", f'job="{job}"'): value for expr, value in found.items()}


SERVERS = {
    "bentoml": Server(
        ('bentoml_service_request_total service_name="r",endpoint="/rank",http_response_code="200"',),
        ('bentoml_service_request_total service_name="r",endpoint="/rank",http_response_code="500"',),
        begins_at_0=True,
    ),
    "fastapi-instrumentator": Server(
        ('http_requests_total handler="/rank",method="POST",status="2xx"',),
        ('http_requests_total handler="/rank",method="POST",status="5xx"',),
    ),
    "istio": Server(
        ('istio_requests_total reporter="destination",destination_canonical_service="r",response_code="200"',),
        ('istio_requests_total reporter="destination",destination_canonical_service="r",response_code="503"',),
    ),
    "kserve": Server(('request_predict_seconds_count model_name="m"',)),
    "mlserver": Server(
        (
            'rest_server_requests_total app_name="r",path="/infer",method="POST",status_code="200"',
            'model_infer_request_success_total model="m",version="1"',
        ),
        (
            'rest_server_requests_total app_name="r",path="/infer",method="POST",status_code="500"',
            'model_infer_request_failure_total model="m",version="1"',
        ),
    ),
    "opentelemetry": Server(
        (f'{_OTEL} http_route="/rank",http_request_method="POST",http_response_status_code="200"',),
        (f'{_OTEL} http_route="/rank",http_request_method="POST",http_response_status_code="500"',),
    ),
    "opentelemetry-gen-ai": Server(
        (f'{_GEN_AI} gen_ai_request_model="m",gen_ai_operation_name="chat",error_type=""',),
        (f'{_GEN_AI} gen_ai_request_model="m",gen_ai_operation_name="chat",error_type="timeout"',),
    ),
    "ray-serve": Server(
        ('ray_serve_num_http_requests_total application="r",route="/rank",method="POST",status_code="200"',),
        ('ray_serve_num_http_requests_total application="r",route="/rank",method="POST",status_code="500"',),
    ),
    # As REST it is in `expositions/`.
    "seldon-core-1": Server(
        (
            f'{_SELDON % "server"} deployment_name="r",service="/Seldon/Predict",method="unary",code="OK"',
            f'{_SELDON % "client"} deployment_name="r",model_name="m",service="/predict",method="unary",code="OK"',
        ),
        (
            f'{_SELDON % "server"} deployment_name="r",service="/Seldon/Predict",method="unary",code="Internal"',
            f'{_SELDON % "client"} deployment_name="r",model_name="m",service="/predict",method="unary",'
            'code="Unavailable"',
        ),
    ),
    "starlette-exporter": Server(
        ('starlette_requests_total app_name="r",path="/rank",method="POST",status_code="200"',),
        ('starlette_requests_total app_name="r",path="/rank",method="POST",status_code="500"',),
    ),
    "tensorflow-serving": Server(
        (':tensorflow:serving:request_count model_name="m",API="Predict",entrypoint="REST",status="OK"',),
        (':tensorflow:serving:request_count model_name="m",API="Predict",entrypoint="REST",status="INTERNAL"',),
    ),
    "tgi": Server(('tgi_request_success x=""',), ('tgi_request_failure err="generation"',)),
    "torchserve": Server(('ts_inference_requests_total model_name="m",model_version="1"',)),
    "triton": Server(
        ('nv_inference_request_success model="m",version="1"',),
        ('nv_inference_request_failure model="m",version="1",reason="OTHER"',),
        begins_at_0=True,
    ),
    "vllm": Server(
        ('vllm:request_success_total model_name="m",finished_reason="stop"',),
        ('vllm:request_success_total model_name="m",finished_reason="error"',),
        begins_at_0=True,
    ),
    "vllm before it counted errors": Server(
        (
            'vllm:request_success_total model_name="m",finished_reason="stop"',
            'vllm:request_success_total model_name="m",finished_reason="abort"',
        ),
        adapter="vllm",
    ),
}


def test_each_adapter_is_looked_at() -> None:
    assert {server.adapter or name for name, server in SERVERS.items()} == ADAPTERS.keys()


@pytest.mark.parametrize("failing", [True, False], ids=["some fail", "none failed yet"])
def test_what_fails_is_a_ratio_and_what_nobody_counts_is_absent(
    failing: bool, programs: dict[str, Path], tmp_path: Path
) -> None:
    used = {job: server.adapter or job for job, server in SERVERS.items()}
    adapters = [{"server": adapter, "job": job, "variant": "canary"} for job, adapter in used.items()]
    series: dict[str, str] = {}
    expected: dict[str, float | None] = {}
    for job, server in SERVERS.items():
        series |= server.series(job, failing=failing)
        expected |= server.expected(job, ADAPTERS[used[job]], failing=failing)
    check_rules(
        programs["promtool"], tmp_path, series, expected,
        at="12m", topics=("adapters", "traffic", "slo", "ab_test", "business"),
        thresholds=load_thresholds().changed({"services": {"adapters": adapters}}),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("limit", "noted"), [("100ms", []), ("60ms", ["job a"]), ("4ms", ["job a", "services with the library"])]
)
def test_a_limit_of_latency_below_the_lowest_bucket_is_noted(
    limit: str, noted: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.yml"
    adapters = [{"server": "fastapi-instrumentator", "job": "a"}, {"server": "bentoml", "job": "b"}]
    alerts = {"MlApiLatencyHigh": {"threshold": limit}}
    own.write_text(json.dumps({"services": {"adapters": adapters}, "alerts": alerts}))
    begins = f"the limit of latency, {limit}, is below the lowest bucket of "
    assert main(["alerts", "generate", "--settings", str(own), "--output-dir", str(tmp_path / "out")]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if begins in line]
    assert [line.partition(begins)[2].partition(" (")[0].partition(", 5ms")[0] for line in said] == noted
    assert main(["alerts", "explain", "MlApiLatencyHigh", "--settings", str(own)]) == 0
    explained = [line for line in capsys.readouterr().out.splitlines() if begins in line]
    assert [line.partition("Note         ")[2] for line in explained] == [line.removeprefix("note: ") for line in said]


def test_settings_with_a_server_that_counts_no_failures_are_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.yml"
    adapters = [{"server": name, "job": f"{name}-job"} for name in ADAPTERS]
    own.write_text(json.dumps({"services": {"adapters": adapters}}))
    assert main(["alerts", "generate", "--settings", str(own), "--output-dir", str(tmp_path / "out")]) == 0
    nothing = "error ratio, the objective slos.availability is not watched there, and experiments do not compare errors"
    assert capsys.readouterr().err.splitlines() == [
        f"note: services.adapters: {title} does not count failures, so job {name}-job has no {nothing}"
        for name, title in (("kserve", "KServe"), ("torchserve", "TorchServe"))
    ]
