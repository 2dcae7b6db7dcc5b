"""The walk in CONTRIBUTING names files that exist, and shows lines that are in them."""

from __future__ import annotations

import re

from tools.stack import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
WALK = TEXT.partition("\n## One metric and one alert, from end to end\n")[2].partition("\n## ")[0]
FILE = re.compile(r"`([\w/.-]+/[\w.-]+\.\w+)`")


def test_the_files_of_the_walk_exist() -> None:
    files = FILE.findall(WALK)
    assert len(files) >= 10
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_each_diff_of_the_walk_is_in_a_file_that_its_paragraph_names() -> None:
    blocks = re.findall(r"((?:[^\n]+\n)+)\n(?:<!-- [^\n]* -->\n)?```diff\n(.*?)^```$", WALK, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 5
    for paragraph, diff in blocks:
        files = [(ROOT / file).read_text(encoding="utf-8").splitlines() for file in FILE.findall(paragraph)]
        lines = [line.removeprefix("+") for line in diff.splitlines()]
        assert any(set(lines) <= set(file) for file in files), diff
