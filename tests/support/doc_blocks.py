"""The blocks of code in the documentation, and what the comment in front of each says about it.

A block of a shell or of Python is run, one of data is checked by the tool that reads such data. A comment of HTML
before the block, which no reader sees, says what else is meant:

    <!-- not run: needs Docker -->          one of `REASONS`; commands of ours are parsed all the same
    <!-- wide -->                           run by `make test-wide`
    <!-- checked by tests/docs/test_x.py --> a test of its own, which reads the page
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt

from tools.stack import ROOT

# Why a block is not run, and what shows that it works all the same.
REASONS: Final[Mapping[str, str]] = {
    "needs Docker": "`make test-stack` deploys, backs up, restores and upgrades",
    "needs a cluster": "the manifests are checked by tests/kubernetes",
    "needs systemd": "tests/examples/test_systemd.py checks the unit and its command",
    "needs zsh": "tests/test_command.py has the script",
    "needs a server of yours": "tests/alerting has receivers, tests/exporter/sources tracking servers",
    "has tests of its own": "targets of make, and what takes minutes",
    "a part of the example above it": "which is checked as a whole",
    "a drawing, a formula or what is printed": "nothing that anybody types",
}
SHELLS: Final = ("console", "sh", "bash")
_COMMENT = re.compile(r"<!-- (?P<kind>not run|wide|checked by)(?::? (?P<what>.*?))? -->")
# The first line of a block that is a file.
_FILE = re.compile(
    r"# (?P<name>(?:~|\.{1,2})?/?[\w./-]+\.(?:ya?ml|py|ini|conf|service|sh|json|libsonnet|cfg|sql)|Dockerfile)\b.*"
)


@dataclass(frozen=True, eq=False)
class Block:
    """One block of code.

    Attributes:
        page: Its page, from the top of the repository.
        line: Where it begins, from 1.
        language: Of the fence; empty without one.
        text: What is in it.
        marks: What the comments before it say, by their kind.
    """

    page: str
    line: int
    language: str
    text: str
    marks: Mapping[str, str]

    @property
    def file(self) -> str:
        """Return the name of the file that it is, as its first line says; empty where it is none."""
        found = _FILE.fullmatch(self.text.partition("\n")[0])
        return found["name"] if found and self.language not in SHELLS else ""

    @property
    def commands(self) -> str:
        """Return what is typed, without prompts and what is printed."""
        if self.language != "console":
            return self.text
        typed, goes_on = [], False
        for line in self.text.splitlines():
            if line.startswith("$ ") or goes_on:
                typed.append(line.removeprefix("$ "))
                goes_on = typed[-1].endswith("\\")
        return "\n".join(typed) + "\n"

    def __str__(self) -> str:
        return f"{self.page}:{self.line} ({self.language or 'no language'})"


@cache
def pages() -> tuple[Path, ...]:
    """Return the pages that people wrote; tables within them are generated, blocks are not."""
    own = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docker/README.md")]
    return (*own, *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").rglob("*.md")))


@cache
def blocks() -> tuple[Block, ...]:
    """Return all blocks of all pages."""
    return tuple(block for page in pages() for block in blocks_of(page))


def blocks_of(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page, those in lists and quotes and those without a fence too."""
    name = page.relative_to(ROOT).as_posix() if page.is_relative_to(ROOT) else page.name
    marks: dict[str, str] = {}
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type == "html_block":
            marks |= {found["kind"]: found["what"] or "" for found in _COMMENT.finditer(token.content)}
        elif token.type in ("fence", "code_block"):
            assert token.map is not None
            yield Block(name, token.map[0] + 1, token.info.strip(), token.content, marks)
            marks = {}
        elif token.type.endswith("_open"):
            marks = {}
