"""The tests that the page on robustness names exist."""

from __future__ import annotations

import ast
import re

from tests.support.files import ROOT

# A file, and the tests of it.
_NAMED = re.compile(r"`([\w/]+\.py)`: ((?:`test_\w+`(?:, )?)+)")


def test_the_tests_that_find_each_fault_exist() -> None:
    page = (ROOT / "docs/robustness.md").read_text(encoding="utf-8")
    table = page.partition("## Faults and what finds them")[2]
    found = [(file, name) for file, names in _NAMED.findall(table) for name in re.findall(r"test_\w+", names)]
    assert len(found) == table.count("`test_") > 60
    for file in dict.fromkeys(file for file, _name in found):
        module = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
        there = {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
        assert {name for of, name in found if of == file} <= there, file
