"""The variables that the Makefile takes."""

from __future__ import annotations

import re
import subprocess

from tools.stack import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def dry_run(*arguments: str) -> list[str]:
    command = ["make", "--dry-run", "k8s", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return done.stderr.splitlines()


def test_variables_are_those_that_recipes_read() -> None:
    listed = re.search(r"^VARIABLES := ((?:.*\\\n)*.*)", MAKEFILE, re.MULTILINE)
    assert listed
    known = set(listed[1].replace("\\", "").split())
    own = set(re.findall(r"^([A-Z_0-9]+) :?=", MAKEFILE, re.MULTILINE))
    read = set(re.findall(r"\$\((?:if |or |foreach \w+,\$\()?([A-Z][A-Z_]+)\b", MAKEFILE)) - {"MAKEFILE_LIST"}
    assert known - {"SHELL"} == read - own


def test_a_name_that_no_target_reads_is_named() -> None:
    (line,) = dry_run("NAMESPCE=x")
    assert line.startswith("Makefile:"), line
    assert "no target reads NAMESPCE, only programs may; targets read: ARGS " in line
    assert dry_run("NAMESPACE=x", "OUTPUT=y z") == []
