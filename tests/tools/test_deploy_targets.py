"""Lists of targets that Prometheus would refuse, as its own tool says, and how that is said."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tools.deploy.targets import main, problems

_FORM = "`- targets: [host:port]`"
_LABELS = "another scheme or path is a label, __scheme__ or __metrics_path__"


def takes(path: Path) -> bool:
    """Return what `promtool` says of a file of targets."""
    config = path.with_suffix(".config")
    config.write_text(
        json.dumps({"scrape_configs": [{"job_name": "services", "file_sd_configs": [{"files": [str(path)]}]}]})
    )
    command = ["promtool", "check", "config", str(config)]
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# mine\ntargets: [x]\n", f"2: must be a list: write {_FORM}, with the dash"),
        ("- x:1\n", f"1: must be {_FORM}"),
        ("- target: [x]\n", "1: target: unknown key; did you mean targets?"),
        ("- targets: [x]\n  job: y\n", "2: job: unknown key; there are: targets, labels"),
        ("- targets: [x]\n  targets: [y]\n", "2: targets: is given twice"),
        ("- targets: x\n", "1: targets: must be a list, such as [host:port]"),
        ("- targets: [a: 1]\n", "1: targets: must be texts, such as [host:port], without a blank behind the colon"),
        ("- targets:\n  - a:1\n  - ''\n", "3: targets: one is empty"),
        (
            '- targets:\n    - "http://svc:8000/metrics"\n',
            f"2: targets: must be host:port, without scheme and path: write svc:8000; {_LABELS}",
        ),
        (
            "- targets: [x, 'http://me:sec/ret@svc:8000']\n",
            f"1: targets: must be host:port, without scheme and path: write them alone; {_LABELS}",
        ),
        ("- targets: [svc/x]\n", f"1: targets: must be host:port, without scheme and path: write svc; {_LABELS}"),
        ("- targets: [x]\n  labels: [a]\n", "2: labels: must be a mapping, such as {job: recommender}"),
        (
            "- targets: [x]\n  labels: {a-b: c}\n",
            "2: labels.a-b: must be letters, digits and _, and no digit first",
        ),
        ("- targets: [x]\n  labels: {a: [c]}\n", "2: labels.a: must be a text"),
        (
            "- targets: [x\n",
            "2: not valid YAML: expected ',' or ']', but got '<stream end>' (column 1);"
            " a bracket or a quote of line 1 is not closed",
        ),
    ],
)
def test_what_prometheus_refuses_is_said_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, found: str
) -> None:
    path = tmp_path / "a.yml"
    path.write_text(text)
    assert main([str(path)]) == 1
    assert capsys.readouterr().out == f"{path}:{found}\n"
    assert not takes(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# none\n",
        "[]\n",
        '- targets: ["recommender.example:8000"]\n  labels: {job: recommender}\n',
        "- targets: [a, 'b:1']\n  labels: {shard: 1, __metrics_path__: /x, __scheme__: https}\n- labels: {a: b}\n",
        "- targets:\n- targets: [a:1]\n",
    ],
)
def test_what_prometheus_takes_is_taken(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yml"
    path.write_text(text)
    assert list(problems(path)) == []
    assert takes(path)


@pytest.mark.parametrize("target", ["svc:99999", "svc:0", "svc:", "svc:http", "[::1]:65536"])
def test_ports_that_there_cannot_be_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str) -> None:
    path = tmp_path / "a.yml"
    path.write_text(f"- targets:\n  - a:1\n  - '{target}'\n")
    assert main([str(path)]) == 1
    said = f"targets: {target}: is no host:port with a port from 1 to 65535"
    assert capsys.readouterr().out == f"{path}:3: {said}\n"


def test_what_is_hardly_meant_is_said_and_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.yml"
    path.write_text("- targets: [svc, 'localhost:8000']\n- targets: ['svc:1', '[::1]:80', '[fe80::1]', '127.0.0.1']\n")
    assert main([str(path)]) == 0
    itself = "is the container of Prometheus itself there; name the service's container, or an address of this machine"
    portless = "has no port: that of http or https is taken, 80 or 443"
    assert capsys.readouterr().out.splitlines() == [
        f"{path}:1: targets: svc: {portless}",
        f"{path}:1: targets: localhost:8000: {itself}",
        f"{path}:2: targets: [::1]:80: {itself}",
        f"{path}:2: targets: [fe80::1]: {portless}",
        f"{path}:2: targets: 127.0.0.1: {itself}",
    ]
    assert takes(path)
