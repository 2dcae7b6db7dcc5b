"""Pictures of all pages in two states: what is staged for them is ended again, and no page is left out."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from PIL import Image

from ml_monitoring.alerting.model.signal import UID_PREFIX
from ml_monitoring.dashboards.commands import OUTPUT_DIR
from ml_monitoring.dashboards.render.engine import load
from ml_monitoring.dashboards.render.intervals import TimeRange
from ml_monitoring.dashboards.render.model import find_dashboards
from ml_monitoring.dashboards.render.prometheus import Prometheus
from tools import incidents, log_story, pictures, serving_story
from tools.backfilled_prometheus import prometheus_on
from tools.incidents import DISK, INCIDENTS, Incident, RunningDemo
from tools.processes import Process, ProcessError, free_port, http_ok, running, wait_until

# Two seconds of each four.
PEAKS = """
groups:
- name: fleet
  rules:
  - {record: fleet_incident_phase, labels: {phase: peak}, expr: "vector(time() % 4 < bool 2)"}
"""


@pytest.fixture(scope="module")
def prometheus(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Give the port of a Prometheus with a fleet's phase and nothing else."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "rules.yml").write_text(PEAKS, encoding="utf-8")
    config = f"{{global: {{evaluation_interval: 200ms}}, rule_files: [{folder / 'rules.yml'}]}}"
    with prometheus_on(programs, folder, config=config) as url:
        yield int(url.rpartition(":")[2])


def test_each_page_is_drawn_in_one_incident() -> None:
    drawn = sorted(page for incident in (*INCIDENTS, DISK) for page in incident.pages)
    assert drawn == sorted(page.uid.removeprefix(UID_PREFIX) for page in find_dashboards([], OUTPUT_DIR))


def test_incidents_follow_each_other_and_the_disk_fills_all_the_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    @contextmanager
    def staged(demo: RunningDemo) -> Iterator[None]:
        told.append("begins")
        yield
        told.append("ends")

    monkeypatch.setattr(incidents, "INCIDENTS", (Incident(("one",)), Incident(("two", "three"), 0, staged)))
    monkeypatch.setattr(incidents, "DISK", Incident(("disk",), 0, staged))
    incidents.stage(RunningDemo({}, tmp_path), lambda pages: told.append("/".join(pages)))
    assert told == ["begins", "one", "begins", "two/three", "ends", "disk", "ends"]


def test_scenarios_of_the_inference_service_are_switched_off_again(tmp_path: Path) -> None:
    demo = RunningDemo({"inference": free_port()}, tmp_path)
    url = demo.url("inference")
    command = [sys.executable, "-m", "demo", "inference", "--port", str(demo.ports["inference"]), "--scenario", "stop"]
    service = Process(
        "the inference service",
        command,
        log=tmp_path / "log",
        healthy=lambda: http_ok(f"{url}/metrics"),
        start_timeout=120,
    )

    def on() -> set[str]:
        return {name for name, one in httpx.get(f"{url}/scenarios").json().items() if one["on"]}

    with running([service]):
        with incidents.scenarios("errors", "latency")(demo):
            assert on() == {"errors", "latency", "stop"}
        assert on() == {"stop"}


def test_the_peak_of_a_fleet_is_waited_for(prometheus: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with incidents.peak(RunningDemo({"prometheus": prometheus}, tmp_path)):
        pass
    monkeypatch.setattr(incidents, "_PEAK", "fleet_incident_phase > 1")
    monkeypatch.setattr(incidents, "_PEAK_TIMEOUT", 0)
    with pytest.raises(ProcessError, match="--calm"), incidents.peak(RunningDemo({"prometheus": prometheus}, tmp_path)):
        pass


def test_the_store_is_away_and_then_back(tmp_path: Path) -> None:
    store = tmp_path / "mlflow" / "mlflow.db"
    store.parent.mkdir()
    store.write_bytes(b"runs")
    with incidents.without_store(RunningDemo({}, tmp_path)):
        assert not store.exists()
    assert store.read_bytes() == b"runs"


def test_a_disk_fills_step_by_step_and_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incidents, "_FREE", 1)
    monkeypatch.setattr(incidents, "_STEP_BYTES", 1 << 20)
    monkeypatch.setattr(incidents, "_STEP_SECONDS", 0.01)
    monkeypatch.setattr(incidents, "_LARGEST_BYTES", 4 << 20)
    with incidents.filling_disk(RunningDemo({}, tmp_path)):
        assert wait_until(lambda: (tmp_path / "filling").stat().st_size == 3 << 20, timeout=60)
        assert (tmp_path / "filling").stat().st_blocks * 512 >= 3 << 20
    assert list(tmp_path.iterdir()) == []
    assert "incident" not in {thread.name for thread in threading.enumerate()}


def test_a_disk_that_is_too_empty_is_said_not_to_fill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(incidents, "_LARGEST_BYTES", 0)
    with incidents.filling_disk(RunningDemo({}, tmp_path)):
        assert (tmp_path / "filling").stat().st_size == 0
    assert "no disk fills" in capsys.readouterr().err


def test_a_story_has_language_models_and_gpus_of_which_some_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_story, "_BEGINS", 0.0)
    monkeypatch.setattr(serving_story, "_SCRAPE", "1s")
    monkeypatch.setattr(serving_story, "_ALERT_WAIT", "0s")
    monkeypatch.setattr(serving_story, "SECONDS", 0.0)

    def firing() -> set[str]:
        query = {"query": 'ALERTS{alertstate="firing",alertname=~"Gpu.+|Llm.+"}'}
        answer = httpx.get(f"{story.url}/api/v1/query", params=query).json()
        return {each["metric"]["alertname"] for each in answer["data"]["result"]}

    with serving_story.served(failing=True) as story:
        story.wait()
        assert wait_until(lambda: firing() >= {"GpuXidError", "GpuThrottled", "LlmQueueBacklog"}, timeout=60)
    assert "serving story" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("state", pictures.STATES)
def test_a_page_is_drawn_whole_as_it_opens(
    state: str, prometheus: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = UID_PREFIX + "logs"
    monkeypatch.setattr(pictures, "find_dashboards", lambda _names, folder: find_dashboards([page], folder))
    monkeypatch.setattr(incidents, "INCIDENTS", (Incident(("logs",)),))
    monkeypatch.setattr(incidents, "DISK", Incident(()))
    options = ["--state", state, "--out", str(tmp_path), "--port-base", str(prometheus - 1)]
    assert pictures.main(options) == 0
    with Image.open(tmp_path / "logs.png") as picture:
        assert picture.width == 1600
        assert picture.height > 300


@pytest.mark.parametrize("state", [(), ("--state", "quiet")], ids=["documentation", "state"])
def test_a_prometheus_that_does_not_answer_is_said_before_anything_is_drawn(
    state: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = free_port() - 1
    at = ("--port-base", str(base)) if state else ("--prometheus", f"http://127.0.0.1:{base + 1}")
    assert pictures.main(["--out", str(tmp_path / "out"), *at, *state]) == 1
    why = "cannot be reached: Connection refused: does it run there, and on this port?"
    assert capsys.readouterr() == ("", f"error: http://127.0.0.1:{base + 1} {why}\n")
    assert not (tmp_path / "out").exists()


def test_pictures_of_a_state_never_replace_those_of_the_documentation(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        pictures.main(["--state", "quiet"])
    assert "docs/pictures is for the documentation" in capsys.readouterr().err


@pytest.mark.parametrize("state", pictures.STATES)
def test_the_page_of_logs_shows_which_service_logs_errors(state: str, programs: dict[str, Path]) -> None:
    (page,) = find_dashboards([UID_PREFIX + "logs"], OUTPUT_DIR)
    page = replace(page, raw=log_story.answered(page.raw)).as_it_opens()
    now = 1_795_000_000.0
    with log_story.served(now=now, failing=state == "incident") as url, Prometheus(url) as prometheus:
        data = load(page, prometheus, TimeRange(now - 1800, now), scrape=5)
    assert not data.unsupported
    assert not data.failed
    by_title = {one.title: one for one in data.panels}
    errors = {
        column.labels["service"]: round(float(column.values[-1]))
        for frame in by_title["Most errors (selected range)"].frames
        for column in frame.value_fields
    }
    assert errors == ({} if state == "quiet" else {log_story.FAILING: 360})
    (frame,) = by_title["Log lines"].frames
    lines = next(column for column in frame.fields if column.name == "line").values
    assert any("503" in str(line) for line in lines) == (state == "incident")
