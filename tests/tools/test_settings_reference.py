from pathlib import Path

import pytest

from tools import settings_reference


def test_the_page_of_settings_is_the_one_that_the_schema_gives(capsys: pytest.CaptureFixture[str]) -> None:
    assert settings_reference.main(["--check"]) == 0, capsys.readouterr().err


def test_a_setting_that_is_not_documented_or_is_gone_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "settings.md"
    monkeypatch.setattr(settings_reference, "PAGE", page)
    text = Path("docs/settings.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines(keepends=True) if line.startswith("| `web.telemetry_path`"))
    for changed in (text.replace(row, ""), text.replace(row, row + "| `web.colour` |  | Gone. |\n")):
        page.write_text(changed, encoding="utf-8")
        assert settings_reference.main(["--check"]) == 1
        assert capsys.readouterr().err == "docs/settings.md is old. Write it with: make generate\n"
        assert settings_reference.main([]) == 0
        assert page.read_text(encoding="utf-8") == text
