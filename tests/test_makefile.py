"""The variables that the Makefile takes."""

from __future__ import annotations

import os
import re
import subprocess

from tools.stack import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def dry_run(*arguments: str) -> list[str]:
    command = ["make", "--dry-run", *arguments]
    # Nothing of the make that runs the tests.
    environ = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKEOVERRIDES")}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    return [re.sub(r"^Makefile:\d+: ", "", line) for line in done.stderr.splitlines()]


def test_variables_are_those_that_recipes_read() -> None:
    listed = re.search(r"^VARIABLES := ((?:.*\\\n)*.*)", MAKEFILE, re.MULTILINE)
    assert listed
    known = set(listed[1].replace("\\", "").split())
    own = set(re.findall(r"^([A-Z_0-9]+) :?=", MAKEFILE, re.MULTILINE))
    read = set(re.findall(r"\$\((?:if |or |foreach \w+,\$\()?([A-Z][A-Z_]+)\b", MAKEFILE)) - {
        "MAKECMDGOALS",
        "MAKEFILE_LIST",
    }
    assert known - {"SHELL"} == read - own


def test_a_name_that_no_target_reads_is_named() -> None:
    assert dry_run("k8s", "NAMESPCE=x") == ["no target reads NAMESPCE, only programs may; did you mean NAMESPACE?"]
    assert dry_run("k8s", "NAMESPACE=x", "OUTPUT=y z") == []


def test_targets_that_there_are_not_are_named_before_anything_is_done() -> None:
    meant = "*** there is no target {}; did you mean {}?; `make help` says what each does.  Stop."
    assert dry_run("generate", "deplyo") == [meant.format("deplyo", "deploy")]
    # A folder of that name would be up to date.
    assert dry_run("tests") == [meant.format("tests", "test")]
    (line,) = dry_run("xyz")
    assert line.startswith("*** there is no target xyz; there are: help, demo, test, ")


def test_values_that_cannot_be_are_refused() -> None:
    assert dry_run("soak", "HOURS=-1") == ["*** HOURS=-1: is no number.  Stop."]
    assert dry_run("k8s", "SETTINGS=nope.yml") == ["*** SETTINGS=nope.yml: there is no such file.  Stop."]
    assert dry_run("chart", "SETTINGS=docker/alerting.example.yml") == [
        "*** SETTINGS need OUTPUT=folder as well: git keeps what the defaults make.  Stop."
    ]
    assert dry_run("digests", "PYTHON=nopython") == [
        "*** there is no nopython: name Python 3.11 or newer, as in make PYTHON=python3.12 demo.  Stop."
    ]
