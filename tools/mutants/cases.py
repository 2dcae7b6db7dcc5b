"""The unit tests of the rules, each with no more rules than it needs, so that a run takes a fraction of a second."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.mutants.changes import ROOT, Mutant, generated_groups, name_of

TESTS = ROOT / "tests" / "alerting"
# Name of the file with the rules, beside the unit test.
RULE_FILE = "rules.yml"

_NAME = re.compile(r"[A-Za-z_:][\w:]*")
_RULE_FILES = re.compile(r"^rule_files: \[.*?\]$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Case:
    """A unit test for promtool.

    Attributes:
        name: The file's, without its suffix.
        text: What promtool reads; as text, since YAML's own reading takes the value 0x40, forty times 0, for a
            hexadecimal number.
        groups: The rules that what it asks for is made of.
    """

    name: str
    text: str
    groups: tuple[dict[str, Any], ...]

    def notices(self, mutant: Mutant) -> bool:
        """Tell whether the changed rule is among those that the test evaluates."""
        return any(mutant.is_of(rule) for group in self.groups for rule in group["rules"])

    def rules(self, mutant: Mutant | None = None) -> str:
        """Return the file of rules, with one of them changed."""
        groups = [
            group | {"rules": [mutant.applied_to(rule) if mutant else rule for rule in group["rules"]]}
            for group in self.groups
        ]
        return yaml.safe_dump({"groups": groups}, allow_unicode=True, sort_keys=False)


def of_alerts() -> list[Case]:
    """Return the unit tests that are written for promtool: one file an alert."""
    groups = generated_groups()
    found = []
    for path in sorted(TESTS.glob("*/*.test.yml")):
        text = _RULE_FILES.sub(f"rule_files: [{RULE_FILE}]", path.read_text(encoding="utf-8"), count=1)
        found.append(Case(path.name.removesuffix(".test.yml"), text, _needed(groups, text)))
    return found


def of_recorded_series(directory: Path) -> list[Case]:
    """Return the unit tests that Python's tests of the recording rules hand to promtool.

    Args:
        directory: Where they are written; must not exist.

    Raises:
        subprocess.CalledProcessError: One of those tests fails.
    """
    modules = sorted(path for path in TESTS.rglob("test_*.py") if "check_rules(" in path.read_text(encoding="utf-8"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={directory}"]
    subprocess.run(
        [*command, *map(str, modules)],
        cwd=ROOT,
        # A worker of pytest-xdist that runs this must not make the run below it one too.
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")},
        check=True,
        stdout=sys.stderr,
    )
    found = []
    for path in sorted(directory.rglob("case*.yml")):
        text = path.read_text(encoding="utf-8")
        rules = path.with_name(path.name.replace("case", "rules", 1))
        groups = yaml.safe_load(rules.read_text(encoding="utf-8"))["groups"]
        text = text.replace(f"- {rules.name}\n", f"- {RULE_FILE}\n", 1)
        found.append(Case(f"{path.parent.name}/{path.stem}", text, _needed(groups, text)))
    return found


def _needed(groups: Sequence[dict[str, Any]], text: str) -> tuple[dict[str, Any], ...]:
    """Return the rules that a text names, and those that these are made of, in their groups and order."""
    by_name = {name_of(rule): rule for group in groups for rule in group["rules"]}
    needed: set[str] = set()
    waiting = set(_NAME.findall(text)) & by_name.keys()
    while waiting:
        name = waiting.pop()
        needed.add(name)
        waiting |= (set(_NAME.findall(by_name[name]["expr"])) & by_name.keys()) - needed
    kept = [group | {"rules": [rule for rule in group["rules"] if name_of(rule) in needed]} for group in groups]
    return tuple(group for group in kept if group["rules"])
