"""A command is spelled in one way wherever it is said, so that it works where it is pasted.

| where | spelling |
|---|---|
| the stack is installed | `ml-monitoring ...` |
| a checkout | `make TARGET`; else `.venv/bin/python -m ml_monitoring ...`, `... -m demo ...`, `... -m tools.NAME ...` |
| a checkout before there is an environment | `python3 -m tools.NAME` of what needs none |
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
from collections.abc import Iterator

from ml_monitoring.cli import new_parser
from tools.stack import ROOT

# The applications by their folders, which earlier versions ran.
_PARTS = re.compile(r"python3? -m (?:ml_monitoring\.)?(?:exporter|alerting|dashboards)\b")
# Debian has no `python`, and the one of the system lacks the packages.
_SYSTEMS = re.compile(r"(?<![\w./-])python3? -m (?:tools|demo|ml_monitoring)\b[\w.]*")
_WITHOUT_ENVIRONMENT = re.compile(r"python3 -m tools\.(?:deploy|bootstrap|image_digests)\b")
_OURS = re.compile(r"(?:`|^\$ )ml-monitoring ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", re.MULTILINE)
_MAKE = re.compile(r"(?:^\$ |`)make ((?:[A-Z_]+=\S+ )*)([a-z][a-z0-9-]*)", re.MULTILINE)
# Says what was renamed; the entry points name themselves.
_OTHERS = {"CHANGELOG.md", "tests/test_spelling.py"}
_ENTRY_POINTS = {f"{part}/__main__.py" for part in ("exporter", "alerting", "dashboards", "ml_monitoring")}


def _texts(*patterns: str) -> Iterator[tuple[str, str]]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if name not in _OTHERS | _ENTRY_POINTS and path.is_file() and not path.is_symlink():
            yield name, path.read_text(encoding="utf-8")


def test_the_applications_have_one_name_everywhere() -> None:
    patterns = ("*.md", "*.py", "*.yml", "*.yaml", "*.sh", "*.tmpl", "*.html", "*.toml", "*Dockerfile", "Makefile")
    wrong = [
        f"{name}: {found}"
        for name, text in _texts(*patterns)
        # These know the names of older releases, or are theirs.
        if name not in ("tests/exporter/test_cli.py", "tests/alerting/generate/test_foreign_files.py")
        and "/release-0.2.0/" not in name
        for found in _PARTS.findall(text)
    ]
    assert wrong == []


def test_pages_name_the_python_of_the_checkout() -> None:
    wrong = []
    for name, text in _texts("*.md", "*.sh", "*.yml", "*.yaml", "*.tmpl"):
        # The one sentence that says it is the same.
        said = text.replace("`python -m ml_monitoring` is the same", "")
        wrong += [f"{name}: {found}" for found in _SYSTEMS.findall(said) if not _WITHOUT_ENVIRONMENT.match(found)]
    assert wrong == []


def test_messages_name_the_python_of_the_checkout() -> None:
    wrong = []
    for name, text in _texts("exporter/*.py", "alerting/*.py", "dashboards/*.py", "demo/*.py", "tools/*.py"):
        tree = ast.parse(text)
        excepted = {
            id(keyword.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            for keyword in node.keywords
            if keyword.arg == "prog"
        }
        excepted |= {id(part) for node in ast.walk(tree) if id(node) in excepted for part in ast.walk(node)}
        excepted |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in excepted:
                wrong += [
                    f"{name}:{node.lineno}: {found}"
                    for found in _SYSTEMS.findall(node.value)
                    if not _WITHOUT_ENVIRONMENT.match(found)
                ]
    assert wrong == []


def test_every_target_of_make_that_is_named_exists() -> None:
    targets = {*re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)}
    named = {
        (name, found[1])
        for name, text in _texts("*.md", "exporter/*.py", "alerting/*.py", "dashboards/*.py")
        for found in _MAKE.findall(text)
    }
    assert len(named) > 30
    assert sorted((name, target) for name, target in named if target not in targets) == []


def test_every_command_that_is_named_exists() -> None:
    parser = new_parser("ml-monitoring", complete=True)
    commands = _commands(parser)
    named = {
        (name, *found)
        for name, text in _texts("*.md", "exporter/*.py", "alerting/*.py", "dashboards/*.py", "*.yml", "*.yaml")
        for found in _OURS.findall(text)
    }
    assert len(named) > 50
    wrong = [
        (name, command, below)
        for name, command, below in sorted(named)
        if command not in commands or (commands[command] and below and below not in commands[command])
    ]
    assert wrong == []


def _commands(parser: argparse.ArgumentParser) -> dict[str, dict[str, object]]:
    """Return the commands of a parser, and what is below each."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return {name: dict(_commands(below)) for group in groups for name, below in group.choices.items()}
