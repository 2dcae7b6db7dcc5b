"""The renderer draws anybody's dashboards, so it knows nothing of this project."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from ml_monitoring.dashboards import render

OWN = "ml_monitoring.dashboards.render"
# What the checkout calls the same folders.
PROJECT = {"ml_monitoring", "alerting", "dashboards", "demo", "exporter", "instrument", "tests", "tools"}


def imported(module: ast.AST) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"{'.' * node.level}{node.module or ''}"


def test_the_renderer_imports_nothing_of_the_project() -> None:
    (folder,) = render.__path__
    foreign = [
        f"{path.name} imports {name}"
        for path in sorted(Path(folder).rglob("*.py"))
        for name in imported(ast.parse(path.read_text(encoding="utf-8")))
        if name.split(".")[0] in PROJECT and name != OWN and not name.startswith(f"{OWN}.")
    ]
    assert foreign == []


def test_an_import_of_the_project_is_found_wherever_it_stands() -> None:
    text = "def f():\n    from ml_monitoring.exporter import errors\nimport tools.stack"
    assert set(imported(ast.parse(text))) == {"ml_monitoring.exporter", "tools.stack"}
