"""A name means one thing: who searches for a class finds the class."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

_ROOMS = ("exporter", "alerting", "dashboards", "k8s", "instrument/src")


def test_a_class_name_stands_once_in_the_product() -> None:
    places = defaultdict(list)
    for path in sorted(file for room in _ROOMS for file in Path(room).rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path))
    assert places["Source"] == ["exporter/sources/base.py"]
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
