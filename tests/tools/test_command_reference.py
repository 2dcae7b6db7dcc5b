from __future__ import annotations

from pathlib import Path

import pytest

from tools import command_reference

_OLD = "# Page\n\n<!-- generated:commands -->\nold\n<!-- /generated:commands -->\n\nend\n"


def test_the_page_has_every_command_as_the_parsers_have_it() -> None:
    assert command_reference.main(["--check"]) == 0


def test_an_old_page_is_named_and_then_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "cli.md"
    page.write_text(_OLD)
    monkeypatch.setattr(command_reference, "PAGE", page)
    assert command_reference.main(["--check"]) == 1
    assert capsys.readouterr().err == "docs/cli.md is old. Write it with: make generate\n"
    assert command_reference.main([]) == 0
    text = page.read_text()
    assert "### `ml-monitoring completion`\n\nPrint the completion script of a shell.\n" in text
    assert "| `{bash,zsh}` | the shell that is to run the script |\n" in text
    assert text.startswith("# Page\n")
    assert text.endswith("\nend\n")
    assert command_reference.main(["--check"]) == 0
