"""Every dashboard is in the README's table and in the gallery, and shown there if the demo has something to show."""

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
GALLERY = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
PAGES = {path.resolve().relative_to(ROOT): load_dashboard(path) for path in sorted(OUTPUT_DIR.rglob("*.json"))}
# Loki is not part of the demo.
WITHOUT_PICTURE = {f"{UID_PREFIX}logs"}


def test_there_are_pages() -> None:
    assert len(PAGES) >= 10
    assert {page.uid for page in PAGES.values()} >= WITHOUT_PICTURE


@pytest.mark.parametrize(("path", "page"), PAGES.items(), ids=[page.uid for page in PAGES.values()])
def test_the_readme_says_which_question_the_page_answers(path: Path, page: Dashboard) -> None:
    (question,) = re.findall(rf"^\| \[{re.escape(page.title)}\]\({re.escape(str(path))}\) \| (.+) \|$", README, re.M)
    assert question.endswith("?")
    assert f"\n### {page.title}\n\n{question} [JSON](../{path})\n" in GALLERY


@pytest.mark.parametrize("page", PAGES.values(), ids=[page.uid for page in PAGES.values()])
def test_the_gallery_shows_the_page_in_both_themes(page: Dashboard) -> None:
    section = GALLERY.partition(f"\n### {page.title}\n")[2].partition("\n##")[0]
    pictures = re.findall(r'"(pictures/[^"]+)"', section)
    if page.uid in WITHOUT_PICTURE:
        assert pictures == []
    else:
        name = page.uid.removeprefix(UID_PREFIX)
        assert sorted(pictures) == [f"pictures/{name}-{theme}.png" for theme in sorted(THEMES)]
        assert [picture for picture in pictures if not (ROOT / "docs" / picture).exists()] == []


def test_no_picture_is_left_of_a_page_that_is_gone() -> None:
    shown = {page.uid for page in PAGES.values()}
    files = {path.stem.rpartition("-")[0] for path in (ROOT / "docs" / "pictures").glob("*.png")}
    named = set(re.findall(r"pictures/([\w-]+)-(?:light|dark)\.png", README + GALLERY))
    of_pages = {name for name in files | named if not name.startswith("bench")}
    assert {UID_PREFIX + name for name in of_pages} == shown - WITHOUT_PICTURE
