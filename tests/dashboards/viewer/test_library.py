"""Which dashboards there are to choose from."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.dashboards.cli import main
from ml_monitoring.dashboards.commands import OUTPUT_DIR
from ml_monitoring.dashboards.viewer.library import Library


def titles(library: Library) -> dict[str, list[str]]:
    return {folder: [one.title for one in dashboards] for folder, dashboards in library.shelf().folders.items()}


def test_generated_ones_and_one_s_own_stand_side_by_side(house: Path) -> None:
    both = Library([str(house), str(OUTPUT_DIR)], OUTPUT_DIR)
    assert list(titles(both)) == ["Growth", "Home", "ML", "Platform"]
    one = Library(["ml-monitoring-alerts", str(house / "Home" / "rooms.json")], OUTPUT_DIR)
    assert titles(one) == {"General": ["Rooms"], "Platform": ["Alerts"]}


def test_a_file_that_comes_goes_or_breaks_is_noticed(house: Path) -> None:
    library = Library([str(house)], OUTPUT_DIR)
    assert titles(library) == {"Home": ["House", "Rooms"]}
    rooms = house / "Home" / "rooms.json"
    content = rooms.read_text(encoding="utf-8")
    rooms.write_text("{}", encoding="utf-8")
    assert titles(library) == {"Home": ["House"]}
    assert library.shelf().problems == (f"{rooms}: is no dashboard: it has no list of panels",)
    rooms.write_text(content, encoding="utf-8")
    assert library.shelf().problems == ()
    rooms.unlink()
    assert titles(library) == {"Home": ["House"]}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["nowhere"], "no dashboard 'nowhere': neither a file nor a known uid"),
        (["."], "no dashboard JSON in ."),
        (["page.yml"], "page.yml: is no JSON; a page written in YAML or Python is named by its uid"),
        (["pages"], "no dashboard JSON in pages; a page written in YAML or Python is named by its uid"),
        (["bad.json"], "bad.json: cannot be read as JSON"),
    ],
)
def test_without_a_dashboard_it_does_not_start(
    names: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if names == ["bad.json"]:
        Path("bad.json").write_text("{", encoding="utf-8")
    Path("pages").mkdir()
    for page in ("page.yml", "pages/page.py"):
        Path(page).write_text("title: Own", encoding="utf-8")
    assert main(["serve", *names]) == 1
    assert words in capsys.readouterr().err
