from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tools import drift


def tree(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder


@pytest.fixture
def committed(tmp_path: Path) -> Path:
    return tree(tmp_path / "alerting" / "generated", same="1\n", changed="a\nb\n", left="x\n")


def test_equal_folders_have_no_differences(committed: Path, tmp_path: Path) -> None:
    assert drift.compare(committed, tree(tmp_path / "new", same="1\n", changed="a\nb\n", left="x\n")) == []


def test_each_kind_of_difference_is_reported_with_the_files_name(committed: Path, tmp_path: Path) -> None:
    fresh = tree(tmp_path / "new", same="1\n", changed="a\nc\n", folder__added="y\n")
    assert drift.compare(committed, fresh) == [
        "alerting/generated/folder/added: is generated but not committed",
        "alerting/generated/left: no generator writes it any more",
        "--- alerting/generated/changed",
        "+++ generated now",
        "@@ -1,2 +1,2 @@",
        " a",
        "-b",
        "+c",
    ]


def test_a_long_difference_is_cut_and_counted(committed: Path, tmp_path: Path) -> None:
    fresh = tree(tmp_path / "new", same="".join(f"{n}\n" for n in range(100)), changed="a\nb\n", left="x\n")
    found = drift.compare(committed, fresh)
    assert len(found) == 21
    assert found[-1].startswith("... and ")


def test_a_generator_that_fails_is_a_difference(tmp_path: Path) -> None:
    [first, *rest] = drift.differences("no_such_generator generate", tmp_path)
    assert first == "python -m no_such_generator generate failed:"
    assert "No module named no_such_generator" in "".join(rest)


def test_addresses_of_a_deployment_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = tmp_path / "options.py"
    generator.write_text(
        textwrap.dedent("""
        import os, pathlib, sys
        pathlib.Path(sys.argv[-1], "out").write_text(os.environ.get("GRAFANA_URL", "default"))
        """)
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("GRAFANA_URL", "https://grafana.example")
    assert drift.differences("options", tree(tmp_path / "options" / "generated", out="default")) == []
