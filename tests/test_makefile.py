"""The variables that the Makefile takes."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tools import make_call
from tools.stack import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def dry_run(*arguments: str) -> list[str]:
    command = ["make", "--dry-run", *arguments]
    # Nothing of the make that runs the tests.
    environ = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKEOVERRIDES")}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    return [re.sub(r"^Makefile:\d+: ", "", line) for line in done.stderr.splitlines()]


def test_variables_of_a_target_are_those_that_its_recipe_reads() -> None:
    targets = make_call.readers(MAKEFILE)
    assert targets["help"] == set()
    assert targets["k8s"] == {"NAMESPACE", "OUTPUT", "PYTHON", "SETTINGS"}
    assert targets["backup"] == {"PYTHON", "TO", "WITH"}
    assert targets["test"] == {"PYTEST_ARGS", "PYTHON", "WORKERS"}
    assert targets["maintenance"] == {"DURATION", "LABELS", "PYTHON", "REASON", "START"}
    listed = re.search(r"^TARGETS := (.*)", MAKEFILE, re.MULTILINE)
    assert listed
    assert set(listed[1].split()) == targets.keys()


@pytest.mark.parametrize(
    ("call", "line"),
    [
        ("k8s NAMESPCE=x", "no target reads NAMESPCE; did you mean NAMESPACE?"),
        ("maintenance LABEL=a=b DURATION=2h REASON=x", "no target reads LABEL; did you mean LABELS?"),
        ("generate SETING=x.yml", "no target reads SETING; did you mean SETTINGS?"),
        ("deploy WTIH=demo", "no target reads WTIH; did you mean WITH?"),
        ("report PROM=http://x", "no target reads PROM; did you mean PROMETHEUS?"),
        ("report prometheus=http://x", "no target reads prometheus; did you mean PROMETHEUS?"),
    ],
)
def test_a_slip_in_the_name_of_a_variable_stops_make(call: str, line: str) -> None:
    name = re.findall(r"reads (\w+)", line)[0]
    cure = f"A variable for programs stands before make: {name}=... make"
    assert dry_run(*call.split()) == [f"*** {line} {cure}.  Stop."]


def test_a_variable_of_other_targets_stops_make() -> None:
    assert dry_run("chart", "NAMESPACE=x") == ["*** chart does not read NAMESPACE, as k8s would.  Stop."]
    assert dry_run("deploy", "TO=x", "WITH=demo") == ["*** deploy does not read TO, as backup would.  Stop."]
    # One of the targets is enough.
    assert dry_run("chart", "k8s", "NAMESPACE=x", "OUTPUT=y z") == []


def test_a_variable_that_may_be_for_programs_is_said_and_passed_on() -> None:
    assert dry_run("prove", "TZ=UTC") == ["no target reads TZ, only programs may; prove reads PROMETHEUS, PYTHON"]
    assert dry_run("k8s", "GRAFANA_URL=http://x", "SHELL=/bin/sh", "PYTHON=python3") == []


def test_words_that_belong_together_stand_in_quotes() -> None:
    assert dry_run("maintenance", "DURATION=2h", "REASON=new", "disks") == [
        "*** there is no target disks; did you mean digests?; words that belong together stand in quotes: "
        'NAME="two words"; `make help` says what each does.  Stop.'
    ]
    assert dry_run("maintenance", "DURATION=2h", "REASON=new disks") == []


def test_overlays_given_as_variables_are_named() -> None:
    for name in ("demo", "DEMO", "tls"):
        assert dry_run("deploy", f"{name}=1") == [
            f"*** no target reads {name}; did you mean WITH={name.lower()}?.  Stop."
        ]


def test_signs_that_the_shell_would_stumble_over_are_refused() -> None:
    for call, name, value in (
        ("deploy", "WITH", '"tls logs'),
        ("maintenance", "REASON", 'disk "sda"'),
        ("backup", "TO", 'x"'),
    ):
        said = f'*** {name}={value}: holds the sign "; write {name}="two words", where the shell takes it away.  Stop.'
        assert dry_run(call, f"{name}={value}") == [said]
    assert dry_run("test", 'PYTEST_ARGS=-k "a or b"') == []


def test_a_release_has_a_version() -> None:
    for target in ("release", "release-prepare"):
        assert dry_run(target) == [f"*** say which: make {target} VERSION=1.2.0.  Stop."]


def test_targets_that_there_are_not_are_named_before_anything_is_done() -> None:
    meant = "*** there is no target {}; did you mean {}?; `make help` says what each does.  Stop."
    assert dry_run("generate", "deplyo") == [meant.format("deplyo", "deploy")]
    # A folder of that name would be up to date.
    assert dry_run("tests") == [meant.format("tests", "test")]
    for goal, target in (("up", "deploy"), ("stop", "down"), ("install", ".venv"), ("lint", "check")):
        assert dry_run(goal) == [meant.format(goal, target)]
    assert dry_run("deploy", "tls") == [meant.format("tls", "deploy WITH=tls")]
    (line,) = dry_run("xyz")
    assert line.startswith("*** there is no target xyz; there are: help, demo, test, ")


def test_values_that_cannot_be_are_refused() -> None:
    for hours in ("-1", "0", "0.0", "x"):
        assert dry_run("soak", f"HOURS={hours}") == [f"*** HOURS={hours}: is no number above 0.  Stop."]
    assert dry_run("k8s", "SETTINGS=nope.yml") == ["*** SETTINGS=nope.yml: there is no such file.  Stop."]
    assert dry_run("k8s", "SETTINGS=my own.yml") == [
        "*** SETTINGS=my: there is no such file; a path with blanks cannot be given.  Stop."
    ]
    for call in (("chart", "SETTINGS=docker/alerting.example.yml"), ("k8s", "NAMESPACE=prod")):
        assert dry_run(*call) == [
            f"*** {call[1]} needs OUTPUT=folder as well: git keeps what the defaults make.  Stop."
        ]
    assert dry_run("digests", "PYTHON=nopython") == [
        "*** there is no nopython: name Python 3.11 or newer, as in make PYTHON=python3.12 demo.  Stop."
    ]
