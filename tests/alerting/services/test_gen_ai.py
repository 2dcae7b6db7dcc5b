"""OpenTelemetry's SDK records what its conventions say of language models: scraped and by OTLP the layer has it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.alerting.services.test_recorded_expositions import GEN_AI
from tests.support.model_servers import FOLDER, Layer, environment, layer
from tools.go_programs import available, build_prometheus
from tools.processes import Process, free_port, http_ok, running


def _service(folder: Path, port: int, *urls: str) -> Process:
    """Return the service that asks and serves models."""
    return Process(
        "the service",
        [environment("opentelemetry") / "python", FOLDER / "with_gen_ai.py", str(port), *urls],
        log=folder / "service.log",
        healthy=partial(http_ok, f"http://127.0.0.1:{port}/metrics"),
        start_timeout=300,
    )


def _has_the_numbers(recorded: Layer, job: str) -> None:
    recorded.wait(f'sum(ml_gen_ai_responses_total{{job="{job}"}})', 23)
    for series, expected in GEN_AI.items():
        name, _colon, labels = series.partition(": ")
        found = recorded.values(f'sum by ({labels}) ({name}{{job="{job}"}})', *labels.split(", "))
        assert found == pytest.approx(expected), series


@pytest.mark.wide
def test_the_layer_has_what_the_sdk_exposes(programs: dict[str, Path], tmp_path: Path) -> None:
    port = free_port()
    adapters = [{"server": "opentelemetry-gen-ai", "job": "assistant"}]
    targets = {"assistant": [f"127.0.0.1:{port}/metrics"]}
    with running([_service(tmp_path, port)]), layer(programs, tmp_path, adapters, targets) as recorded:
        _has_the_numbers(recorded, "assistant")


@pytest.mark.wide
@pytest.mark.skipif(not available(), reason="there is no Go to build a Prometheus with a receiver of OTLP")
def test_the_layer_has_what_the_sdk_sends_by_otlp(tmp_path: Path) -> None:
    programs = {"prometheus": build_prometheus()}
    # The receiver takes the service's name for the job's.
    adapters = [{"server": "opentelemetry-gen-ai", "job": "assistant"}]
    with layer(programs, tmp_path, adapters, {}, flags=["--web.enable-otlp-receiver"]) as recorded:
        url = f"{recorded.url}/api/v1/otlp/v1/metrics"
        with running([_service(tmp_path, free_port(), url)]):
            _has_the_numbers(recorded, "assistant")
