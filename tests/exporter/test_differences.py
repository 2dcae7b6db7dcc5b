"""One change is an item of a list, which shows all that differs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ml_monitoring.exporter.differences import Change, escaped, texts_of
from ml_monitoring.exporter.errors import ConfigError

LONG = " + ".join(map(str, range(1, 101)))


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("a", "b", ": `a` → `b`"),
        ("a", "", ": `a`"),
        ("", "b`s", ": `` b`s ``"),
        ("", "", ""),
        (LONG, LONG.replace("+", "\n +"), " in white space only"),
        (LONG, "", f": `{LONG}`"),
        (LONG, f"{LONG} or x", ":\n  - before: `...+ 98 + 99 + 100`\n  - after: `...+ 98 + 99 + 100 or x`"),
        (LONG, f"x + {LONG}", ":\n  - before: `1 + 2 + 3 +...`\n  - after: `x + 1 + 2 + 3 +...`"),
        (
            LONG,
            LONG.replace("50", "5000"),
            ":\n  - before: `...47 + 48 + 49 + 50 + 51 + 52 + 53...`"
            "\n  - after: `...47 + 48 + 49 + 5000 + 51 + 52 + 53...`",
        ),
        (LONG, "x", f":\n  - before: `{LONG}`\n  - after: `x`"),
    ],
)
def test_values_stand_beside_or_below_each_other_with_all_that_differs(old: str, new: str, shown: str) -> None:
    assert Change("Heat", "changed", old, new).line() == f"- **Heat** changed{shown}"


def test_names_are_text_in_markdown_whatever_they_hold() -> None:
    assert escaped("a *b* [c](d)\n\n# <e>") == "a \\*b\\* \\[c](d) # \\<e>"


def test_a_revision_is_read_from_any_folder_as_git_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rules" / "own").mkdir(parents=True)
    (tmp_path / "rules" / "own" / "é a.yml").write_text("x", "utf-8")
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "a"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    for folder, place, source in (
        ("rules/own", "rules", "rules/own/é a.yml"),
        ("rules/own", "./", "./é a.yml"),
        ("rules/own", "..", "./é a.yml"),
        ("rules", "rules/own/é a.yml", "rules/own/é a.yml"),
        (".", "", "rules/own/é a.yml"),
    ):
        monkeypatch.chdir(tmp_path / folder)
        assert texts_of(f"HEAD:{place}", (".yml",), str) == [(f"HEAD:{source}", "x")]
    for place, hint in (
        ("own", ": PATH is from the root of the repository; `HEAD:./own` is from this folder"),
        ("./none", ""),
    ):
        with pytest.raises(ConfigError) as raised:
            texts_of(f"HEAD:{place}", (".yml",), str)
        assert raised.value.problems == (f"HEAD:{place}: no such file or folder in the revision{hint}",)


def test_the_index_is_read_too_and_what_git_refuses_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "repository"
    (repository / "rules").mkdir(parents=True)
    file = repository / "rules" / "a.yml"
    file.write_text("added", "utf-8")
    (repository / "b.yml").write_bytes(b"\xff")
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "a"]):
        subprocess.run(["git", *command], cwd=repository, check=True)
    file.write_text("staged", "utf-8")
    subprocess.run(["git", "add", "."], cwd=repository, check=True)
    file.write_text("neither", "utf-8")
    monkeypatch.chdir(file.parent)
    for name, source in ((":rules", ":rules/a.yml"), (":rules/a.yml", ":rules/a.yml"), (":./", ":./a.yml")):
        assert texts_of(name, (".yml",), str) == [(source, "staged")]
    problems: list[str] = []
    assert texts_of(":", (".yml",), lambda _error: "is no text", problems) == [(":rules/a.yml", "staged")]
    assert problems == [":b.yml: is no text"]
    for name, problem in (
        ("HEAD:../../x", f"git: ../../x: '../../x' is outside repository at '{repository}'"),
        (":./../../x", f"git: ./../../x: './../../x' is outside repository at '{repository}'"),
        (
            ":own",
            "no such file or folder in git's index: PATH is from the root of the repository; `:./own` is from this "
            "folder",
        ),
    ):
        with pytest.raises(ConfigError) as raised:
            texts_of(name, (".yml",), str)
        assert raised.value.problems == (f"{name}: {problem}",)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as raised:
        texts_of(":own", (".yml",), str)
    assert raised.value.problems[0].startswith(":own: git: not a git repository")
