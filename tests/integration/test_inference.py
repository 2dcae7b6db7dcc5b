"""The demo inference service end to end: its truth is what rules say, and each scenario fires exactly its alerts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from demo.inference_content import CANDIDATE_SHARE, RIGHT_IS_WORTH, TRUTH
from ml_monitoring.alerting.domains import load_thresholds
from tools.demo.parts.inference import JOB
from tools.processes import Process, free_port, http_ok, wait_until
from tools.stack import LocalStack, Ports, hurried

RATE = 15
# A second stands for minutes, so that a scenario shows and is forgotten while a test waits.
FAST = {
    "traffic": {"window": "10s", "quality_window": "30s", "recent": "10m", "week": "40s", "around": "5s"},
    "business": {"window": "1m"},
    "ab_test": {"window": "40s", "recent": "20s", "duration": "40s", "minimum_samples": 100},
    "drift": {"window": "20s", "reference_window": "30s", "reference_offset": "30s", "minimum_predictions": 80},
    # Long windows of 5 and 30 seconds for the page, 2 and 6 minutes for the ticket.
    "slos": {"period": "1h", "availability": 0.95},
    "alerts": {
        "AbTestVariantWorse": {"parameters": {"minimum_samples": 100}},
        "AbTestSampleRatioMismatch": {"parameters": {"minimum_samples": 100}},
        # Some hundred scores are spread over ten bins by chance, too.
        "MlPredictionDrift": {"threshold": 0.8},
        # Shared with everybody else on the machine that runs the tests.
        "MlServiceResourceHigh": {"enabled": False},
    },
}
# What a scenario must fire, and what it may beside: slower relatives of the same fault. Those that change scores come
# last: when the reference window passes over them, the drift is seen once more, in the scenario after.
EXPECTED: dict[str, tuple[set[str], set[str]]] = {
    "latency": ({"MlApiLatencyHigh", "MlApiErrorBudgetBurnsFast", "MlApiErrorBudgetBurnsSlowly"}, set()),
    "errors": ({"MlApiErrorRatioHigh", "MlApiErrorBudgetBurnsFast", "MlApiErrorBudgetBurnsSlowly"}, set()),
    "imbalance": ({"AbTestSampleRatioMismatch"}, set()),
    "stop": ({"MlPredictionsStopped"}, set()),
    "drift": ({"MlPredictionDrift"}, set()),
    "degradation": ({"MlModelAccuracyLow", "AbTestVariantWorse"}, {"MlPredictionDrift"}),
}


@dataclass
class Running:
    stack: LocalStack
    url: str

    def firing(self) -> set[str]:
        answer = self.stack.get_json(f"{self.stack.prometheus_url}/api/v1/alerts")
        return {
            alert["labels"]["alertname"]
            for alert in answer["data"]["alerts"]
            if alert["state"] == "firing"
            and alert["labels"]["alertname"].startswith(("Ml", "AbTest"))
            and not alert["labels"]["alertname"].startswith(("Mlflow", "MlMonitoring"))
        }

    def switch(self, scenario: str, method: str) -> None:
        with urlopen(Request(f"{self.url}/scenarios/{scenario}", method=method), timeout=10):
            pass

    def value(self, expr: str) -> float:
        (value,) = self.stack.query(expr).values()
        return value

    def wait(self, what: str, condition: Any, timeout: float) -> None:
        came = wait_until(condition, timeout=timeout, poll=0.5)
        assert came, f"{what}: firing after {timeout} s: {self.firing()}"


@pytest.fixture(scope="module")
def running(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("inference")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    service = Process(
        "the inference service",
        [
            sys.executable, "-m", "demo", "inference",
            "--port", str(port), "--rate", str(RATE), "--flat", "--mlflow-uri", uri,
        ],
        log=folder / "service.log",
        healthy=lambda: http_ok(f"{url}/metrics"),
        start_timeout=120,
    )  # fmt: skip
    stack = LocalStack(
        {"sources": {"mlflow": {"uri": uri, "interval": "2s", "labels": {"origin": ["tag:origin"]}}}},
        folder / "stack",
        Ports.free(),
        {name: programs[name] for name in ("prometheus",)},
        thresholds=hurried(load_thresholds().changed(FAST), wait="2s"),
        extra_jobs=[{"job_name": JOB, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}],
    )
    with service, stack:
        yield Running(stack, url)


def near(share: float, trials: float) -> float:
    """Return four standard errors of a share: one test in sixteen thousand fails by chance."""
    return 4 * sqrt(share * (1 - share) / trials)


def test_what_the_rules_say_is_the_documented_truth(running: Running) -> None:
    trials = 'min(variant_metric_origin:ab_test_trials:count{origin="simulated",metric="accuracy"})'
    # The reference window of the drift must lie behind, too.
    running.wait("a minute", lambda: bool(running.stack.query(f'up{{job="{JOB}"}} offset 60s')), 120)
    running.wait("samples", lambda: running.value(trials) > 150, 60)
    for name, truth in TRUTH.items():
        where = f'{{variant="{name}",origin="simulated"}}'
        known = running.value(f'sum(increase(ml_prediction_truths_total{{variant="{name}"}}[20s]))')
        measured = running.value(f"variant_origin:ab_test_accuracy:ratio{where}")
        assert measured == pytest.approx(truth.accuracy, abs=near(truth.accuracy, known))
        requests = running.value(f"variant_origin:business_requests:daily{where}") / 86_400 * 60
        errors = running.value(f"variant_origin:business_errors:ratio{where}")
        assert errors == pytest.approx(truth.error_ratio, abs=near(truth.error_ratio, requests))
        share = running.value(f"variant_origin:ab_test_requests:share{where}")
        assert share == pytest.approx(CANDIDATE_SHARE, abs=near(0.5, RATE * 8))
        # The wait for features and what real work takes beside it.
        latency = running.value(f"variant_origin:business_latency_seconds:mean{where}")
        assert truth.latency <= latency < truth.latency + 0.1
        assert running.value(f'mlflow_metric_latest{{metric="accuracy",model_variant="{name}"}}') == pytest.approx(
            truth.accuracy
        )
        worth = running.value(f'ab_test_business_impact{{variant="{name}"}}')
        assert worth == pytest.approx(RIGHT_IS_WORTH * 86_400 * truth.accuracy, rel=0.15)
    assert running.value(":business_data_mode:code") == 0
    assert running.value("sum(role:business_accuracy:ratio)") == pytest.approx(
        running.value('sum(variant_origin:ab_test_accuracy:ratio{origin="simulated"})'), abs=0.1
    )
    assert (
        running.value('count({origin!="simulated",job="demo-inference",__name__=~"ml_.*|ab_test.*"}) or vector(0)') == 0
    )
    running.wait("healthy", lambda: running.firing() == set(), 30)


@pytest.mark.parametrize("scenario", EXPECTED)
def test_a_scenario_fires_exactly_its_alerts_and_clears(scenario: str, running: Running) -> None:
    must, may = EXPECTED[scenario]
    running.wait(f"before {scenario}", lambda: running.firing() == set(), 150)
    seen: set[str] = set()

    def all_fire() -> bool:
        nonlocal seen
        now = running.firing()
        seen |= now
        assert now <= must | may
        return must <= seen

    running.switch(scenario, "PUT")
    try:
        running.wait(scenario, all_fire, 90)
    finally:
        running.switch(scenario, "DELETE")

    def clear() -> bool:
        now = running.firing()
        # The reference of the drift passes over the scenario when it is long over.
        assert now <= must | may | {"MlPredictionDrift"}
        return not now

    running.wait(f"after {scenario}", clear, 200)
