"""The demo's experiments say what is true of them: a real Prometheus, and real exporters that read it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from demo.experiments import TRUTHS, Shop
from tests.support.serving import ExporterProcess, serving
from tools.backfilled_prometheus import backfilled_prometheus
from tools.demo.parts.experiments import JOB, declarations

GOLDEN = Path(__file__).parents[1] / "golden" / "experiments_demo.txt"
PREFIX = "ml_monitoring_experiment_"
# 2025-11-03, a Monday.
START = 1_762_128_000
SCRAPE = 5
SECONDS = 900
# In the midst of a batch.
MIDST = 440


def scraped() -> list[str]:
    """Return what Prometheus would have scraped of the shop in a quarter of an hour."""
    shop = Shop(seed=0)
    lines: dict[str, list[str]] = {}
    for moment in range(START, START + SECONDS + 1, SCRAPE):
        shop.count(SCRAPE)
        for family in shop.registry.collect():
            for sample in family.samples:
                if sample.name.endswith("_total"):
                    labels = ",".join(f'{label}="{value}"' for label, value in sample.labels.items())
                    series = f'{sample.name}{{job="{JOB}",instance="shop:1",{labels}}}'
                    lines.setdefault(sample.name, []).append(f"{series} {sample.value:.0f} {moment}")
    return [line for each in lines.values() for line in each]


@pytest.fixture(scope="module")
def prometheus(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with backfilled_prometheus(programs, tmp_path_factory.mktemp("prometheus"), scraped()) as url:
        yield url


class Declarations:
    """The file of the demo's declarations, which says until when there is something to read."""

    def __init__(self, folder: Path, prometheus: str) -> None:
        self._folder = folder
        self._path = folder / "experiments.json"
        self._prometheus = prometheus

    def read_until(self, seconds: int) -> None:
        """Let the experiments be read for so many seconds; exporters that run take it at the next interval."""
        stopped = datetime.fromtimestamp(START + seconds, UTC).isoformat()
        declared = declarations(datetime.fromtimestamp(START, UTC).isoformat())
        text = json.dumps({name: {**each, "stopped": stopped} for name, each in declared.items()})
        partial = self._path.with_suffix(".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(self._path)

    def settings(self, name: str, **other: Any) -> Path:
        """Return settings of an exporter that reads them."""
        source = {"url": self._prometheus, "interval": "1s", "settle": "1s", "files": str(self._path), **other}
        path = self._folder / f"{name}.json"
        path.write_text(json.dumps({"web": {"port": 0}, "sources": {"experiments": source}}), encoding="utf-8")
        return path


def exposed(exporter: ExporterProcess, seconds: int) -> str:
    """Return what is exposed of the experiments when the batch that this moment is in was read of each."""
    end = START + (seconds // 15 + 1) * 15
    for name in TRUTHS:
        exporter.wait_for(f'ml_monitoring_experiment_read_timestamp_seconds{{experiment="{name}"}}', end)
    lines = exporter.get("/metrics").text.splitlines(keepends=True)
    return "".join(line for line in lines if line.removeprefix("# HELP ").removeprefix("# TYPE ").startswith(PREFIX))


@pytest.fixture(scope="module")
def told(prometheus: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExporterProcess]:
    """Give an exporter that has read all of them."""
    files = Declarations(tmp_path_factory.mktemp("exporter"), prometheus)
    files.read_until(SECONDS - 1)
    with serving(files.settings("exporter")) as exporter:
        exposed(exporter, SECONDS - 1)
        yield exporter


def test_while_it_is_calm_no_experiment_does_harm() -> None:
    start = datetime.fromtimestamp(START, UTC).isoformat()
    assert set(declarations(start)) - set(declarations(start, calm=True)) == {"harmful", "split"}


def test_each_experiment_says_its_truth_in_a_sentence(told: ExporterProcess) -> None:
    found = {each["experiment"]: each for each in told.get("/experiments").json()}
    assert {name: f"{each['answer']}: {each['decision']}: {each['reason']}" for name, each in found.items()} == {
        "winner": "go on: better: go on with ranking: better by sold",
        "harmful": "stop: guardrail breached: a guardrail is breached by ranking (failed)",
        "null": "go on: no difference: go on with control: the others are not relevantly different",
        "split": "stop: invalid: traffic is not split as intended: fix that first, until then no comparison can be "
        "trusted",
        "returning": "go on: collecting: still open",
    }
    assert {name: each["arm"] for name, each in found.items() if each["arm"]} == {
        "winner": "ranking",
        "harmful": "ranking",
        "split": "control",
    }
    assert {name: each["caveats"] for name, each in found.items() if each["caveats"]} == {}


def test_users_who_come_back_are_not_taken_for_independent_requests(told: ExporterProcess) -> None:
    spread = {
        name: told.samples()[f'{PREFIX}overdispersion_ratio{{arm="ranking",experiment="{name}",metric="sold"}}']
        for name in ("null", "returning")
    }
    assert spread["returning"] > 2 > spread["null"]


def test_what_is_exposed_of_the_demo(told: ExporterProcess) -> None:
    text = exposed(told, SECONDS - 1)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_an_exporter_that_is_killed_in_mid_experiment_goes_on_with_the_same_numbers(
    prometheus: str, tmp_path: Path
) -> None:
    files = Declarations(tmp_path, prometheus)
    files.read_until(MIDST)
    cached = files.settings("cached", cache=str(tmp_path / "cache"))
    with serving(files.settings("going-on")) as going_on:
        with serving(files.settings("killed")) as killed, serving(cached) as killed_too:
            before = {exposed(each, MIDST) for each in (going_on, killed, killed_too)}
            assert len(before) == 1
            for each in (killed, killed_too):
                each.process.kill()
                each.process.wait()
        files.read_until(SECONDS - 1)
        assert list((tmp_path / "cache").iterdir())
        with serving(files.settings("killed")) as again, serving(cached) as again_too:
            after = {exposed(each, SECONDS - 1) for each in (going_on, again, again_too)}
    assert after == {GOLDEN.read_text(encoding="utf-8")}
