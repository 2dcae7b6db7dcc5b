"""The examples of gates, tried on a running exporter: what do they let go on, wait, and stop?"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
import requests
import yaml

from tests.support.experiment_series import declared
from tests.support.serving import ExporterProcess, serving
from tests.support.shell import COMMAND
from tools import go_programs
from tools.backfilled_prometheus import prometheus_on
from tools.processes import wait_until

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "rollouts"
# Experiments by what is true of them.
TRUTHS = ("winner", "null", "harmful", "split", "nobody")
_EXPORTER: Final = "http://ml-monitoring.monitoring.svc:9847"
_PROMETHEUS: Final = "http://prometheus.monitoring.svc:9090"


def settings(path: Path, url: str, experiments: Mapping[str, str]) -> Path:
    """Write settings of an exporter that follows experiments by their names, each of a service."""
    source = {"url": url, "interval": "1s", "declared": {name: declared(of) for name, of in experiments.items()}}
    path.write_text(json.dumps({"web": {"port": 0}, "sources": {"experiments": source}}), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def exporter(experiments_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExporterProcess]:
    path = tmp_path_factory.mktemp("rollouts") / "settings.json"
    with serving(settings(path, experiments_url, {name: name for name in TRUTHS})) as process:
        for name in TRUTHS:
            process.wait_for(f'ml_monitoring_experiment_up{{experiment="{name}"}}', 1)
        assert wait_until(lambda: b"its counts are being read" not in process.get("/experiments").content, timeout=60)
        yield process


@pytest.fixture(scope="module")
def scraping(
    exporter: ExporterProcess, programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Give a Prometheus that scrapes the exporter."""
    targets = [{"targets": [exporter.url.removeprefix("http://")]}]
    config = {"scrape_configs": [{"job_name": "ml-monitoring", "scrape_interval": "1s", "static_configs": targets}]}
    with prometheus_on(programs, tmp_path_factory.mktemp("scraping"), config=json.dumps(config)) as url:
        assert wait_until(lambda: bool(queried(url, "ml_monitoring_experiment_decided")), timeout=60)
        yield url


def queried(url: str, query: str) -> list[float]:
    answer = requests.get(f"{url}/api/v1/query", params={"query": query}, timeout=10).json()
    return [float(each["value"][1]) for each in answer["data"]["result"]]


def example(name: str, experiment: str = "", exporter: str = "", prometheus: str = "") -> str:
    """Return an example as it is used for an experiment, with the addresses of this machine."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    for placeholder, value in (
        ("{{args.experiment}}", experiment),
        ("experiments/ranking-v2", f"experiments/{experiment}"),
        (_EXPORTER, exporter),
        (_PROMETHEUS, prometheus),
    ):
        text = text.replace(placeholder, value)
    return text


@pytest.mark.parametrize(
    ("experiment", "rolled_back", "promoted"),
    [
        ("winner", False, True),
        # Nothing speaks against it, and it waits for a difference.
        ("null", False, False),
        ("nobody", False, False),
        ("harmful", True, False),
        ("split", True, False),
    ],
)
def test_flagger_rolls_back_what_harms_and_promotes_what_is_better(
    exporter: ExporterProcess, experiment: str, rolled_back: bool, promoted: bool
) -> None:
    canary = yaml.safe_load(example("flagger.yaml", experiment, exporter.url))
    hooks = {each["type"]: each for each in canary["spec"]["analysis"]["webhooks"]}
    found = {}
    for kind, hook in hooks.items():
        payload = {"name": canary["metadata"]["name"], "namespace": "shop", "phase": "Progressing", "checksum": "1"}
        response = requests.post(hook["url"], json=payload, timeout=float(hook["timeout"].removesuffix("s")))
        # As Flagger takes it: anything above 202 is a no.
        found[kind] = response.status_code <= 202
    assert found == {"rollback": rolled_back, "confirm-promotion": promoted}


@pytest.mark.parametrize(
    ("experiment", "answer"), [("winner", [1]), ("null", [1]), ("nobody", []), ("harmful", [0]), ("split", [0])]
)
def test_the_query_for_argo_gives_a_number_where_there_is_an_answer(
    scraping: str, experiment: str, answer: list[float]
) -> None:
    (metric,) = yaml.safe_load(example("argo-prometheus.yaml", experiment))["spec"]["metrics"]
    assert queried(scraping, metric["provider"]["prometheus"]["query"]) == answer


@pytest.mark.parametrize(
    ("service", "status", "promoted"),
    [("winner", 0, True), ("null", 1, False), ("nobody", 1, False), ("harmful", 1, False)],
)
def test_a_job_promotes_only_what_is_better(
    experiments_url: str, tmp_path: Path, service: str, status: int, promoted: bool
) -> None:
    settings(tmp_path / "ml-monitoring.yml", experiments_url, {"ranking-v2": service})
    for name, line in (
        (
            "ml-monitoring",
            f'PYTHONPATH={shlex.quote(str(ROOT))} exec {COMMAND} "$@"',
        ),
        ("promote", 'echo "$@" > promoted'),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    steps = yaml.safe_load(example("ci.yaml"))["jobs"]["promote"]["steps"]
    script = "\n".join(each["run"] for each in steps if "run" in each)
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    # As a job runs its steps, which end with the first that fails.
    done = subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (status, b"")
    assert (tmp_path / "promoted").exists() is promoted


@pytest.mark.wide
@pytest.mark.skipif(not go_programs.available(), reason="Argo Rollouts' own code is built with Go")
@pytest.mark.parametrize("name", ["argo-web.yaml", "argo-prometheus.yaml"])
def test_argo_goes_on_waits_and_stops(exporter: ExporterProcess, scraping: str, name: str, tmp_path: Path) -> None:
    program = go_programs.build_module(Path(__file__).parent / "rollouts", "measure")
    templates = {each: tmp_path / f"{each}.yaml" for each in (*TRUTHS, "undeclared")}
    for experiment, path in templates.items():
        path.write_text(example(name, experiment, exporter.url, scraping), encoding="utf-8")
    done = subprocess.run([program, *templates.values()], capture_output=True, text=True, check=True)
    phases = [line.split()[0] for line in done.stdout.splitlines()]
    assert dict(zip(templates, phases, strict=True)) == {
        "winner": "Successful",
        "null": "Successful",
        "harmful": "Failed",
        "split": "Failed",
        "nobody": "Inconclusive",
        # An analysis ends when there are more than four in a row.
        "undeclared": "Error" if name == "argo-web.yaml" else "Inconclusive",
    }
