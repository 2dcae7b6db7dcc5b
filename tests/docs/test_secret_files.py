"""Files that pages write for Secrets: no newline at the end, which Kubernetes and the Operator would keep."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.doc_blocks import pages
from tools.stack import ROOT

NOTES = ROOT / "k8s/chart/ml-monitoring/templates/NOTES.txt"
# Values go into a file without an ending; what else is written that way has one.
_WRITES = re.compile(
    r"^\s*(?:[$#] )?(?P<command>\(?(?:umask \d+; )?(?:openssl rand|printf|echo|head -c)\b.*) > (?P<file>[\w./-]*\w)\)?$"
)
# A file of lines, such as one of users, and no secret by itself.
_LINES = re.compile(r"printf '[^']*\\n'")
_FROM_FILE = re.compile(r"--from-file=(?:[\w.]+=)?(?P<file>[\w.]+)")


def written(path: Path) -> list[tuple[str, str]]:
    """Return the commands of a page that write a secret, and the names of their files."""
    found = (_WRITES.match(line) for line in path.read_text(encoding="utf-8").splitlines())
    return [
        (each["command"].lstrip("("), Path(each["file"]).name)
        for each in found
        if each is not None and not Path(each["file"]).suffix and not _LINES.match(each["command"])
    ]


FOUND = [(path, command) for path in [*pages(), NOTES] for command, _file in written(path)]


def test_there_are_such_commands_on_the_pages_that_need_them() -> None:
    assert {path.relative_to(ROOT).as_posix() for path, _command in FOUND} >= {
        "docs/kubernetes.md",
        "docs/install.md",
        "docker/README.md",
        "k8s/chart/ml-monitoring/templates/NOTES.txt",
    }


@pytest.mark.parametrize(("path", "command"), FOUND, ids=[f"{path.stem}: {command}" for path, command in FOUND])
def test_what_a_page_writes_a_secret_with_ends_without_a_newline(path: Path, command: str, tmp_path: Path) -> None:
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout
    assert done.stdout == done.stdout.strip(), f"{path}: `{command}` writes a newline; add `| tr -d '\\n'` to it"


def test_each_file_that_a_secret_is_made_of_is_written_before() -> None:
    page = ROOT / "docs/kubernetes.md"
    made = {name for _command, name in written(page)}
    files = {match["file"] for match in _FROM_FILE.finditer(page.read_text(encoding="utf-8"))}
    # Certificates and their keys are lines, and whose authority it is writes them.
    used = {name for name in files if Path(name).suffix not in (".crt", ".key")}
    assert used
    assert used <= made
