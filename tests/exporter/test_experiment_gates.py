"""May an experiment go on? Asked of a running exporter, and of the command that needs none."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.experiment_series import declared
from tests.support.serving import ExporterProcess, serving


@pytest.fixture(scope="module")
def config(experiments_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gates")
    experiments = {name: declared(name) for name in ("winner", "harmful", "null", "nobody")}
    settings = {
        "web": {"port": 0},
        "sources": {"experiments": {"url": experiments_url, "interval": "1s", "declared": experiments}},
    }
    config = folder / "ml-monitoring.yml"
    config.write_text(json.dumps(settings), encoding="utf-8")
    return config


@pytest.fixture(scope="module")
def exporter(config: Path) -> Iterator[ExporterProcess]:
    with serving(config) as process:
        process.wait_for('ml_monitoring_experiment_decided{experiment="winner"}', 1)
        yield process


@pytest.mark.parametrize(
    ("path", "status", "answer", "decision"),
    [
        ("winner/gate", 200, "go on", "better"),
        ("winner/gate?require=better", 200, "go on", "better"),
        ("harmful/gate", 409, "stop", "guardrail breached"),
        ("harmful", 200, "stop", "guardrail breached"),
        ("null/gate", 200, "go on", "no difference"),
        ("null/gate?require=decided", 200, "go on", "no difference"),
        ("null/gate?require=better", 503, "unknown", "no difference"),
        ("nobody/gate", 503, "unknown", "no data"),
        ("winner/stop", 409, "go on", "better"),
        ("harmful/stop", 200, "stop", "guardrail breached"),
        ("nobody/stop", 503, "unknown", "no data"),
    ],
)
def test_a_gate_answers_by_status_and_in_words(
    exporter: ExporterProcess, path: str, status: int, answer: str, decision: str
) -> None:
    for ask in (requests.get, requests.post) if "/" in path else (requests.get,):
        response = ask(f"{exporter.url}/experiments/{path}", timeout=10)
        found = response.json()
        assert (response.status_code, found["answer"], found["decision"]) == (status, answer, decision)
        assert found["proceed"] is (answer == "go on")


def test_all_gates_are_listed(exporter: ExporterProcess) -> None:
    found = exporter.get("/experiments").json()
    assert [each["experiment"] for each in found] == ["harmful", "nobody", "null", "winner"]


@pytest.mark.parametrize(
    ("path", "status"), [("missing/gate", 404), ("winner/gate?require=luck", 400), ("winner/gate/more", 404)]
)
def test_a_gate_that_is_not_there_says_so(exporter: ExporterProcess, path: str, status: int) -> None:
    assert exporter.get(f"/experiments/{path}").status_code == status


def test_sources_of_experiments_with_names_answer_together(experiments_url: str, tmp_path: Path) -> None:
    given = {"shop": ("winner", "null"), "app": ("harmful", "null")}
    sources = {
        store: {"url": experiments_url, "interval": "1s", "declared": {name: declared(name) for name in names}}
        for store, names in given.items()
    }
    path = tmp_path / "ml-monitoring.yml"
    path.write_text(json.dumps({"web": {"port": 0}, "sources": {"experiments": sources}}), encoding="utf-8")
    with serving(path) as process:
        for store, names in given.items():
            for name in names:
                labels = f'experiment="{name}",store="{store}"'
                process.wait_for(f"ml_monitoring_experiment_decided{{{labels}}}", 1)
        listed = process.get("/experiments").json()
        assert [(each["store"], each["experiment"]) for each in listed] == [
            *(("app", "harmful"), ("app", "null")),
            *(("shop", "null"), ("shop", "winner")),
        ]
        asked = ("winner/gate", "null/gate", "null/gate?store=app", "winner/gate?store=app")
        found = [process.get(f"/experiments/{each}") for each in asked]
        assert [each.status_code for each in found] == [200, 400, 200, 404]
        assert found[1].text == "store: several have an experiment of this name: app, shop.\n"
    done = _run("gate", "null", "--config", path)
    assert (done.returncode, done.stderr) == (
        1,
        "error: several sources have an experiment null: experiments/shop, experiments/app; give --store\n",
    )
    assert _run("gate", "null", "--store", "app", "--config", path).returncode == 0
    assert _run("gate", "winner", "--config", path).returncode == 0
    checked = _run("check", "winner", "--config", path).stdout.splitlines()
    assert checked[0].split()[:3] == ["ok", "shop:", "winner"]


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ml_monitoring", "experiments", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (
            ("winner", "--require", "better"),
            0,
            "winner: go on: better (treatment): go on with treatment: better by success",
        ),
        (
            ("harmful",),
            1,
            "harmful: stop: guardrail breached (treatment): a guardrail is breached by treatment (errors)",
        ),
        (("nobody",), 1, "nobody: unknown: no data: nothing was exposed since the start"),
    ],
)
def test_the_command_answers_by_its_exit_code(config: Path, arguments: tuple[str, ...], status: int, said: str) -> None:
    done = _run("gate", *arguments, "--config", config)
    assert (done.returncode, done.stderr) == (status, "")
    assert done.stdout.splitlines()[0] == f"{said}; counted until 2025-11-03 04:00:00 UTC"


def test_the_command_gives_the_same_as_the_exporter(config: Path, exporter: ExporterProcess) -> None:
    done = _run("gate", "winner", "--json", "--config", config)
    assert json.loads(done.stdout) == exporter.get("/experiments/winner").json()


def test_an_experiment_that_is_not_declared_is_an_error(config: Path) -> None:
    done = _run("gate", "missing", "--config", config)
    said = "error: there is no experiment missing; there are: harmful, nobody, null, winner\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


def test_check_says_what_would_be_read_and_what_is_not_there(config: Path) -> None:
    done = _run("check", "nobody", "--config", config)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "ok    nobody          runs since 2025-11-03 00:00 UTC; control 50%, treatment 50%; batches of 10m",
        'FAIL  nobody success  requests_total{service="nobody",variant=~"control|treatment"}: nothing was counted in '
        "the last 7 days",
        'FAIL  nobody errors   requests_total{service="nobody",variant=~"control|treatment"}: nothing was counted in '
        "the last 7 days",
    ]
