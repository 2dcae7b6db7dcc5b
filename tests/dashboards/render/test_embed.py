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
    "text", ["=1+1", "+x", "-x", "@sum", "\t=1", "\r=1", "\nx", " =1", "\uff1d1", "-1+1", "=", "-"]
)
def test_what_a_spreadsheet_takes_for_a_formula_is_text(text: str) -> None:
    assert neutral(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-1", "+2.5", "-1e-9", "-Inf", "", "a=b", "'=1", "é", "1-2", "2026-11-28"])
def test_other_texts_and_numbers_stay_as_they_are(text: str) -> None:
    assert neutral(text) == text
