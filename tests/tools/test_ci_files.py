"""The CI files of GitHub and GitLab: their schemas, and that they run make targets that exist and nothing else."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import environments
from tools.stack import ROOT

GITHUB = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
GITLAB = ROOT / ".gitlab-ci.yml"
FILES = [*GITHUB, GITLAB]
TARGETS = set(re.findall(r"^([a-z0-9-]+):.* ## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
COMMAND = re.compile(r"make(?P<targets>(?: [a-z][a-z0-9-]*)+)(?: [A-Z_]+=\S+)*")
# What GitLab's image lacks of what the make targets need to begin.
PREPARATION = {"apt-get update --quiet", "apt-get install --quiet --yes make python3-venv"}


def read(path: Path) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def commands(path: Path) -> Iterator[str]:
    content = read(path)
    for job in content.get("jobs", content).values():
        if isinstance(job, dict):
            yield from (step["run"] for step in job.get("steps", ()) if "run" in step)
            yield from (line for key in ("before_script", "script") for line in job.get(key, ()))


def test_there_are_files_for_both_hosts() -> None:
    assert [path.name for path in GITHUB] == ["ci.yml", "release.yml"]
    assert GITLAB.is_file()


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_only_make_targets_that_exist_are_run(path: Path) -> None:
    found = [command for command in commands(path) if command not in PREPARATION]
    assert found
    for command in found:
        match = COMMAND.fullmatch(command)
        assert match is not None, command
        assert set(match["targets"].split()) <= TARGETS, command


def test_both_hosts_run_what_each_change_must_pass() -> None:
    submitted = re.findall(r"^make (.+)$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    wanted = {target for line in submitted for target in line.split()}
    assert wanted >= {"check", "test"}
    for path in (ROOT / ".github" / "workflows" / "ci.yml", GITLAB):
        run = {target for command in commands(path) for target in command.split()[1:]}
        assert wanted <= run, path


@pytest.mark.parametrize("path", GITHUB, ids=[path.name for path in GITHUB])
def test_jobs_of_github_have_no_more_rights_than_they_need(path: Path) -> None:
    content = read(path)
    assert content["permissions"] == {"contents": "read"}
    # An expression inside of a command would let its value be one.
    assert not any("${{" in command for command in commands(path))
    assert {step["uses"] for job in content["jobs"].values() for step in job["steps"] if "uses" in step} <= {
        "actions/checkout@v4",
        "actions/upload-artifact@v4",
        "docker/setup-buildx-action@v3",
        "docker/setup-qemu-action@v3",
    }
    assert all("timeout-minutes" in job for job in content["jobs"].values())


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_a_file_fits_the_schema_of_its_host(path: Path, tmp_path: Path) -> None:
    name = "vendor.gitlab-ci" if path == GITLAB else "vendor.github-workflows"
    program = environments.program("release", "check-jsonschema")
    command: list[str | Path] = [program, "--builtin-schema", name]
    # GitLab reads tags in its files that no other YAML has.
    command += ["--data-transform", "gitlab-ci"] if path == GITLAB else []
    done = subprocess.run([*command, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = tmp_path / path.name
    wrong.write_text(re.sub(r"^( +)(script|runs-on):", r"\1\2x:", path.read_text(encoding="utf-8"), flags=re.M))
    done = subprocess.run([*command, wrong], capture_output=True, text=True, check=False)
    assert done.returncode == 1
