"""Each block of code in the documentation is run, or checked by what reads it, or says why neither."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from pathlib import Path

import pytest
import yaml

from ml_monitoring.cli import new_parser
from tests.support.doc_blocks import REASONS, SHELLS, Block, blocks, blocks_of
from tests.support.doc_checks import Tools, check_of
from tests.support.doc_pages import is_run
from tools.stack import ROOT

BLOCKS = blocks()
DATA = [block for block in BLOCKS if not {"not run", "checked by"} & set(block.marks) and check_of(block)]
PARSER = new_parser("ml-monitoring", complete=True)
TARGETS = set(re.findall(r"^([a-z0-9-]+):.* ## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def ways(block: Block) -> list[str]:
    """Return how it is known that a block is right."""
    marked = [kind for kind in ("not run", "checked by") if kind in block.marks]
    if marked:
        return marked
    found = ["run"] if is_run(block, wide=True) else []
    found += ["checked"] if check_of(block) else []
    # A program or a unit that commands further down need.
    found += ["file"] if block.file and not found else []
    return found


def test_there_are_blocks_of_each_kind() -> None:
    counts = Counter(block.language for block in BLOCKS)
    assert counts["console"] > 30
    assert counts["yaml"] > 30
    assert counts["python"] > 10
    assert len(DATA) > 30


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_is_run_or_checked_or_says_why_not(block: Block) -> None:
    assert len(ways(block)) == 1, (
        "write what it is behind its fence (console, python, yaml of a kind that tests/support/doc_checks.py knows), "
        f"or one of these before it: {', '.join(f'<!-- not run: {reason} -->' for reason in REASONS)}"
    )


def test_the_reasons_are_few_and_each_is_needed() -> None:
    given = Counter(block.marks["not run"] for block in BLOCKS if "not run" in block.marks)
    assert sorted(given) == sorted(REASONS)
    assert given.total() < len(BLOCKS) / 3


def test_the_test_that_a_block_names_reads_its_page() -> None:
    named = {(block.page, block.marks["checked by"]) for block in BLOCKS if "checked by" in block.marks}
    for page, test in named:
        assert Path(page).name in (ROOT / test).read_text(encoding="utf-8"), (page, test)


@pytest.mark.parametrize("block", DATA, ids=str)
def test_what_reads_it_takes_a_block(block: Block, programs: dict[str, Path], tmp_path: Path) -> None:
    check = check_of(block)
    assert check is not None
    text = block.text
    check(text, next(iter(yaml.safe_load_all(text))), Tools(programs, tmp_path))


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language in SHELLS], ids=str)
def test_every_command_of_ours_is_understood(block: Block) -> None:
    for line in re.sub(r"\\\n", "", block.commands).splitlines():
        words = shlex.split(line, comments=True)
        while words and re.match(r"\w+=", words[0]):
            words.pop(0)
        if words[:1] == ["ml-monitoring"]:
            ours = words[1 : min((words.index(sign) for sign in ("|", ">", "&&", ";") if sign in words), default=None)]
            # The parser ends the test run where it does not know an argument.
            assert ours == ["--version"] or PARSER.parse_args(ours), line
        elif words[:1] == ["make"]:
            assert words[1] in TARGETS, line


def test_a_block_without_a_word_about_it_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "- in a list\n\n    ```toml\n    a = 1\n    ```\n\n"
        "<!-- not run: needs Docker -->\n```console\n$ docker ps\n```\n\n"
        "Text.\n\n```console\n$ true \\\n    && false\nprinted\n```\n\n```yaml\nnobody: knows\n```\n",
        encoding="utf-8",
    )
    toml, docker, shell, data = blocks_of(page)
    assert ways(toml) == ways(data) == []
    assert (ways(docker), ways(shell)) == (["not run"], ["run"])
    assert shell.commands == "true \\\n    && false\n"
