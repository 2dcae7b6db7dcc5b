"""The README stays short, and what it says to type exists."""

from __future__ import annotations

import re

from tools.stack import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("$ ").partition(" #")[0]
    for block in re.findall(r"^```console\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


def test_the_readme_is_short_and_has_one_picture() -> None:
    assert len(README.splitlines()) <= 170
    assert README.count("<img") == 1


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):.* ## ", MAKEFILE, re.MULTILINE))
    spans = re.findall(r"`([^`\n]+)`", README)
    named = {words[1] for words in map(str.split, [*COMMANDS, *spans]) if words[0] == "make" and len(words) > 1}
    assert named >= {"demo", "test", "deploy", "docs"}
    assert named <= targets


def test_local_links_lead_to_files() -> None:
    targets = re.findall(r'(?:\]\(|(?:src|srcset)=")(?!https?:)([^)"#]+)', README)
    assert len(targets) > 30
    assert [target for target in targets if not (ROOT / target).exists()] == []
