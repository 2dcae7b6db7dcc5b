"""What texts may hold without ending a script element, or a cell of a spreadsheet."""

from __future__ import annotations

import json

import pytest

from ml_monitoring.dashboards.render.embed import json_for_script
from ml_monitoring.dashboards.render.tabular import neutral


@pytest.mark.parametrize("text", ["<!--<script>", "</script>", "<SCRIPT/x>", "]]><!--", "\\u003c<", "é ☃ 😀"])
def test_json_in_a_script_holds_no_tag_and_means_the_same(text: str) -> None:
    written = json_for_script({text: [text, 1]})
    assert "<" not in written
    assert json.loads(written) == {text: [text, 1]}


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
