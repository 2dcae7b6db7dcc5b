"""By OTLP the same calls give the same series as by a scrape: in a real Prometheus 3 that takes both."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    Sum,
)
from prometheus_client import CollectorRegistry, Counter, Summary, values

from ml_monitoring.exporter.http_client import fetch_json
from ml_monitoring.instrument import Recorder
from ml_monitoring.instrument.otlp import Otlp
from tests.support.files import ROOT
from tests.support.model_servers import environment
from tools.backfilled_prometheus import prometheus_on
from tools.go_programs import available, build_prometheus
from tools.processes import free_port, wait_until


class Kept(MetricExporter):
    """Keeps what it is to send."""

    def __init__(self, result: MetricExportResult = MetricExportResult.SUCCESS) -> None:
        super().__init__()
        self.sent: list[MetricsData] = []
        self._result = result

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_given: object) -> MetricExportResult:
        self.sent.append(metrics_data)
        return self._result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_given: object) -> None:
        """Nothing to close."""


def recorder(kept: Kept, registry: CollectorRegistry | None = None) -> Recorder:
    # It sends when the test says so.
    return Recorder(registry=registry or CollectorRegistry(), exporter=Otlp(kept, interval=10_000))


def sent(data: MetricsData) -> dict[str, Any]:
    return {metric.name: metric.data for metric in data.resource_metrics[0].scope_metrics[0].metrics}


def test_counters_gauges_and_histograms_are_sent_under_their_names_with_all_that_a_scrape_has() -> None:
    kept = Kept()
    made = recorder(kept)
    with made.track_request("B"):
        pass
    made._send_metrics()
    metrics = sent(kept.sent[0])
    requests = metrics["ab_test_requests_total"]
    assert isinstance(requests, Sum)
    assert (requests.is_monotonic, requests.aggregation_temporality) == (True, AggregationTemporality.CUMULATIVE)
    assert {(point.attributes["outcome"], point.value) for point in requests.data_points if point.attributes} == {
        ("success", 1),
        ("error", 0),
        ("abandoned", 0),
    }
    assert isinstance(metrics["ml_process_memory_bytes"], Gauge)
    times = metrics["ab_test_response_time_seconds"]
    assert isinstance(times, Histogram)
    (point,) = times.data_points
    assert point.explicit_bounds == [
        *(0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25),
        *(0.35, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0),
    ]
    assert (point.count, len(point.bucket_counts), sum(point.bucket_counts)) == (1, 17, 1)
    assert not [name for name in metrics if name.endswith("_created")]


def test_metrics_of_others_in_the_registry_are_sent_along_and_a_summary_has_its_sum_and_count() -> None:
    registry = CollectorRegistry()
    Counter("rows", "Rows.", registry=registry).inc(3)
    times = Summary("step_seconds", "Time of a step.", ["step"], registry=registry)
    times.labels("load").observe(2)
    times.labels("load").observe(4)
    kept = Kept()
    recorder(kept, registry)._send_metrics()
    metrics = sent(kept.sent[0])
    assert metrics["rows_total"].data_points[0].value == 3
    (point,) = metrics["step_seconds"].data_points
    assert (point.attributes, point.count, point.sum, point.bucket_counts, point.explicit_bounds) == (
        {"step": "load"},
        2,
        6,
        [2],
        [],
    )


def test_a_job_is_sent_as_it_starts_and_ends_without_the_process_that_it_ran_in() -> None:
    kept = Kept()
    made = recorder(kept)
    with made.job("train", every="1d"):
        pass
    begin, end = kept.sent
    assert sent(begin).keys() == {"ml_job_last_start_timestamp_seconds", "ml_job_interval_seconds"}
    assert sent(end).keys() == {"ml_job_last_success_timestamp_seconds", "ml_job_last_duration_seconds"}
    (point,) = sent(begin)["ml_job_interval_seconds"].data_points
    assert (point.attributes, point.value) == ({"job_name": "train", "exporter": "otlp"}, 86_400)
    made._send_metrics()
    assert not [name for name in sent(kept.sent[2]) if name.startswith("ml_job_")]
    instances = [data.resource_metrics[0].resource.attributes.get("service.instance.id") for data in kept.sent]
    assert instances[:2] == [None, None]
    assert instances[2]


def test_what_does_not_arrive_is_counted() -> None:
    kept = Kept(MetricExportResult.FAILURE)
    made = recorder(kept)
    with made.job("train"):
        pass
    made._send_metrics()
    text = made.exposition().body.decode()
    assert 'ml_instrument_errors_total{operation="push_job"} 2.0' in text
    assert 'ml_instrument_errors_total{operation="send_metrics"} 1.0' in text


def test_worker_processes_that_share_their_metrics_cannot_send_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    monkeypatch.setattr(values, "ValueClass", values.MultiProcessValue())
    with pytest.raises(ValueError, match="PROMETHEUS_MULTIPROC_DIR and OTLP exclude each other"):
        recorder(Kept())


def test_an_interval_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="interval: 0 is not a positive number"):
        Otlp(Kept(), interval=0)
    with pytest.raises(ValueError, match=r"^interval: '15' is not a number of seconds$"):
        Otlp(Kept(), interval="15")  # type: ignore[arg-type]  # what a careless caller does


def test_an_address_is_no_exporter() -> None:
    address: Any = "http://collector:4318"
    message = (
        "exporter: 'http://collector:4318' is no exporter of OpenTelemetry; "
        "an address is the value of OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    with pytest.raises(ValueError, match=f"^{message}$"):
        Otlp(address)


# What a service and a job do; the service is scraped at the same time, so that both ways can be compared.
_SERVICE = """
import sys
from threading import Thread
from wsgiref.simple_server import make_server
from prometheus_client import CollectorRegistry
from ml_monitoring.instrument import Recorder, make_wsgi_app
recorder = Recorder(registry=CollectorRegistry(), exporter="otlp", origin="simulated", labels={"region": "eu"})
server = make_server("127.0.0.1", int(sys.argv[1]), make_wsgi_app(recorder))
Thread(target=server.serve_forever, daemon=True).start()
model = recorder.model("churn", "3", variant="B")
for number in range(7):
    with recorder.track_request("B"), model.track_prediction() as prediction:
        prediction.confidence = prediction.score = 0.9
    model.record_outcome(number < 5)
recorder.cache("features").record_hit()
print("ready", flush=True)
sys.stdin.read()
"""
_JOB = """
import sys
from prometheus_client import CollectorRegistry
from ml_monitoring.instrument import Recorder
with Recorder(registry=CollectorRegistry(), exporter="otlp").job("train", every="1d"):
    sys.exit(int(sys.argv[1]))
"""


@pytest.fixture(scope="module", params=["UnderscoreEscapingWithSuffixes", "NoTranslation"])
def prometheus(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Give the address of a Prometheus 3 that takes OTLP and scrapes, and the port that it scrapes."""
    folder = tmp_path_factory.mktemp("otlp")
    port = free_port()
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "otlp": {"translation_strategy": request.param},
        "rule_files": [str(ROOT / "alerting" / "generated" / "rules.yml")],
        "scrape_configs": [{"job_name": "scraped", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}],
    }
    programs = {"prometheus": build_prometheus()}
    flags = ["--web.enable-otlp-receiver"]
    with prometheus_on(programs, folder, config=yaml.safe_dump(config), flags=flags) as url:
        yield url, port


def series(url: str, matchers: str) -> dict[str, float]:
    found = fetch_json(url, f"api/v1/query?{urlencode({'query': f'{{{matchers}}}'})}", timeout=60.0)["data"]["result"]
    series: dict[str, float] = {}
    for each in found:
        labels = {key: value for key, value in each["metric"].items() if key not in ("job", "instance")}
        # By OTLP a bound is written as a number is: 1, not 1.0.
        if labels.get("le", "+Inf") != "+Inf":
            labels["le"] = str(float(labels["le"]))
        series[json.dumps(labels)] = float(each["value"][1])
    return series


def sender(url: str, service: str) -> dict[str, str]:
    return {
        "PYTHONPATH": str(ROOT),
        "PATH": os.environ["PATH"],
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{url}/api/v1/otlp/v1/metrics",
        "OTEL_SERVICE_NAME": service,
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
    }


@pytest.mark.wide
@pytest.mark.skipif(not available(), reason="there is no Go to build a Prometheus with a receiver of OTLP")
def test_prometheus_has_the_same_series_by_otlp_and_by_a_scrape(prometheus: tuple[str, int]) -> None:
    url, port = prometheus
    command = [str(environment("otlp") / "python"), "-c", _SERVICE, str(port)]
    with subprocess.Popen(
        command, env=sender(url, "sent"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as service:
        assert service.stdout is not None
        assert service.stdout.readline() == "ready\n"
        ours = '__name__=~"(ml|ab_test)_.+",__name__!~"ml_process_.+"'

        def both() -> tuple[dict[str, float], dict[str, float]]:
            return series(url, f'job="sent",{ours}'), series(url, f'job="scraped",{ours}')

        assert wait_until(lambda: len(both()[0]) > 50 and both()[0] == both()[1], timeout=120, poll=0.5), both()
        names = {json.loads(each)["__name__"] for each in both()[0]}
        assert {"ab_test_requests_total", "ml_predictions_total", "ml_prediction_duration_seconds_bucket"} <= names
        rate = "model_version_variant_origin:ml_predictions:rate"
        recorded = f'job="sent",__name__="{rate}"'
        assert wait_until(lambda: bool(series(url, recorded)), timeout=120, poll=0.5)


@pytest.mark.wide
@pytest.mark.skipif(not available(), reason="there is no Go to build a Prometheus with a receiver of OTLP")
def test_rules_know_a_job_that_came_by_otlp_from_one_process_to_the_next(prometheus: tuple[str, int]) -> None:
    url, _ = prometheus
    python = environment("otlp") / "python"

    def ran(code: int) -> None:
        done = subprocess.run([python, "-c", _JOB, str(code)], env=sender(url, "batch"), check=False, cwd=ROOT)
        assert done.returncode == code

    def recorded(name: str) -> dict[str, float]:
        return series(url, f'job="batch",job_name="train",__name__="job_name_origin:{name}"')

    ran(0)
    assert wait_until(lambda: list(recorded("ml_job_state:code").values()) == [0], timeout=120, poll=0.5)
    (success,) = recorded("ml_job_last_success_timestamp_seconds:max").values()
    ran(1)
    assert wait_until(lambda: list(recorded("ml_job_failed:flag").values()) == [1], timeout=120, poll=0.5)
    assert list(recorded("ml_job_state:code").values()) == [3]
    assert list(recorded("ml_job_last_success_timestamp_seconds:max").values()) == [success]
    assert list(recorded("ml_job_interval_seconds:max").values()) == [86_400]
