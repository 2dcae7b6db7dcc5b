"""The README lists every page, and shows every page that has something to show in the demo."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ml_monitoring.alerting.model.signal import UID_PREFIX
from ml_monitoring.dashboards.commands import OUTPUT_DIR
from ml_monitoring.dashboards.render.colours import THEMES
from ml_monitoring.dashboards.render.model import Dashboard, load_dashboard
from tools.stack import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path: load_dashboard(path) for path in sorted(OUTPUT_DIR.rglob("*.json"))}
# Asks Loki, which is not part of the demo.
WITHOUT_PICTURE = {f"{UID_PREFIX}logs"}


def test_there_are_pages() -> None:
    assert len(PAGES) >= 10
    assert {page.uid for page in PAGES.values()} >= WITHOUT_PICTURE


@pytest.mark.parametrize(("path", "page"), PAGES.items(), ids=[page.uid for page in PAGES.values()])
def test_the_page_is_listed_and_shown(path: Path, page: Dashboard) -> None:
    assert f"| [{page.title}]({path.resolve().relative_to(ROOT)}) | " in README
    if page.uid not in WITHOUT_PICTURE:
        pictures = [f"docs/pictures/{page.uid.removeprefix(UID_PREFIX)}-{theme}.png" for theme in THEMES]
        assert [picture for picture in pictures if picture not in README or not (ROOT / picture).exists()] == []


def test_no_picture_is_left_of_a_page_that_is_gone() -> None:
    shown = {page.uid for page in PAGES.values()}
    files = {path.stem.rpartition("-")[0] for path in (ROOT / "docs" / "pictures").glob("*.png")}
    named = set(re.findall(r"docs/pictures/([\w-]+)-(?:light|dark)\.png", README))
    of_pages = {name for name in files | named if not name.startswith("bench")}
    assert {UID_PREFIX + name for name in of_pages} == shown - WITHOUT_PICTURE
