"""What texts may hold without ending a script element, or a cell of a spreadsheet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ml_monitoring.dashboards.render.embed import json_for_script
from ml_monitoring.dashboards.render.errors import RenderError
from ml_monitoring.dashboards.render.model import load_dashboard
from ml_monitoring.dashboards.render.tabular import neutral


@pytest.mark.parametrize("text", ["<!--<script>", "</script>", "<SCRIPT/x>", "]]><!--", "\\u003c<", "é ☃ 😀"])
def test_json_in_a_script_holds_no_tag_and_means_the_same(text: str) -> None:
    written = json_for_script({text: [text, 1]})
    assert "<" not in written
    assert json.loads(written) == {text: [text, 1]}


def test_half_a_character_in_a_dashboard_is_shown_as_unknown(tmp_path: Path) -> None:
    path = tmp_path / "page.json"
    path.write_text(r'{"title": "a \ud800", "panels": [{"id": 1, "type": "text", "title": "\udfff \ud83d\ude00"}]}')
    page = load_dashboard(path)
    assert (page.title, page.panels[0].title) == ("a ?", "? 😀")


def test_json_that_is_nested_too_deeply_is_named(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text("[" * 200_000)
    with pytest.raises(RenderError, match=r"deep\.json: cannot be read as JSON"):
        load_dashboard(path)


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+x", "-x", "@sum", "\nx", " =1", "\uff1d1", "\ufe661", "\ufeff=1", "\u200b\u2060@x", "-1+1", "=", "-"],
)
def test_what_a_spreadsheet_takes_for_a_formula_is_text(text: str) -> None:
    assert neutral(text) == f"'{text}"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a;=1+1;b", "a;'=1+1;b"),
        ("a; @x", "a;' @x"),
        ("a\t=1", "a\t'=1"),
        ("a\r\n+x", "a\r'\n'+x"),
        ("\t=1", "'\t'=1"),
        ("-1;-x", "'-1;'-x"),
    ],
)
def test_a_formula_behind_what_some_spreadsheets_take_for_the_end_of_a_cell_is_text(text: str, written: str) -> None:
    assert neutral(text) == written


@pytest.mark.parametrize(
    "text", ["-1", "+2.5", "-1e-9", "-Inf", "", "a=b", "'=1", "é", "1-2", "2026-11-28", "a;b", "a;1=2"]
)
def test_other_texts_and_numbers_stay_as_they_are(text: str) -> None:
    assert neutral(text) == text
