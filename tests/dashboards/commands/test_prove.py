"""Each panel is proven ok, empty, failed, unsupported or slow, and what may be empty says why."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.dashboards import lint
from ml_monitoring.dashboards.cli import main
from ml_monitoring.dashboards.commands.prove import ALLOWED, read_allowed
from tests.dashboards.render.test_pictures import panel, write
from tests.support.http_front import FrontAnswer, HttpFront
from tests.support.panel_store import END, START, Store


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return write(
        tmp_path,
        panel(1, "timeseries", "Good", "temperature_celsius"),
        panel(2, "stat", "Empty", "nothing_of_that_name"),
        panel(3, "stat", "Broken", "rate("),
        panel(4, "geomap", "Map", "temperature_celsius"),
        panel(5, "text", "Words", options={"content": "not a query"}),
        panel(6, "stat", "Not a number", 'odd{kind="NaN"}'),
    )


def prove(store: Store, page: Path, *arguments: str) -> int:
    return main(["prove", str(page), "--prometheus", store.url, "--from", str(START), "--to", str(END), *arguments])


def test_each_panel_has_a_state_and_what_is_wrong_fails(
    store: Store, page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prove(store, page, "--json", "--slow", "1h") == 1
    proofs: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    assert [(proof["title"], proof["state"], proof["series"]) for proof in proofs] == [
        ("Good", "ok", 3),
        ("Empty", "empty", 0),
        ("Broken", "error", 0),
        ("Map", "unsupported", 3),
        ("Not a number", "empty", 1),
    ]
    good = proofs[0]
    assert good["samples"] > 600
    assert good["milliseconds"] > 0
    assert proofs[1]["detail"] == "nothing_of_that_name"
    assert "unclosed left parenthesis" in proofs[2]["detail"]


def _as_mimir(path: str, body: bytes) -> FrontAnswer | None:
    """Refuse what Mimir's own engine of queries does not know."""
    error = "per-step stats are not supported by Mimir query engine"
    refused = "stats=all" in path or b"stats=all" in body
    return FrontAnswer(400, json.dumps({"status": "error", "error": error}).encode()) if refused else None


def test_mimir_answers_the_same(store: Store, page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with HttpFront(store.url) as mimir:
        mimir.answer = _as_mimir
        assert prove(store, page, "--json", "--slow", "1h", "--prometheus", mimir.url) == 1
    states = [proof["state"] for proof in json.loads(capsys.readouterr().out)]
    assert states == ["ok", "empty", "error", "unsupported", "empty"]


def test_the_table_names_the_slowest_panel_and_the_time_of_the_page(
    store: Store, page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prove(store, page, "--slow", "0") == 1
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"slow +\d+ +[\d,]+ +3  page / Good", lines[1])
    assert re.fullmatch(r"page: loaded in \d+ ms", lines[-3])
    assert re.fullmatch(r"slowest: page / (Good|Map|Empty|Not a number), \d+ ms", lines[-2])
    assert lines[-1] == "5 panels: 1 slow, 2 empty, 1 error, 1 unsupported"


def test_a_panel_may_be_empty_with_a_reason_only(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = write(tmp_path, panel(1, "stat", "Empty", "nothing_of_that_name"))
    allowed = tmp_path / "allowed.yml"
    allowed.write_text("page:\n  Empty: No such thing happens here.\n", encoding="utf-8")
    assert prove(store, page, "--allow", str(allowed)) == 0
    assert "empty (allowed)" in capsys.readouterr().out
    allowed.write_text("page:\n  '*': Nothing happens here at all.\n", encoding="utf-8")
    assert prove(store, page, "--allow", str(allowed)) == 0
    assert "Nothing happens here at all." in capsys.readouterr().out
    allowed.write_text("page:\n  Empty:\n", encoding="utf-8")
    assert prove(store, page, "--allow", str(allowed)) == 1
    assert "allowed.yml:2: page.Empty: give the reason why it may be empty" in capsys.readouterr().err


def test_a_panel_that_says_what_no_data_means_may_be_empty(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = write(
        tmp_path,
        panel(1, "table", "Alerts", "nothing", fieldConfig={"defaults": {"noValue": "no alert fires"}}),
        panel(2, "table", "Bare", "nothing", fieldConfig={"defaults": {"noValue": "no data"}}),
    )
    assert prove(store, page, "--json") == 1
    proofs = json.loads(capsys.readouterr().out)
    assert [(proof["state"], proof["allowed"]) for proof in proofs] == [("empty", True), ("empty", False)]
    assert proofs[0]["detail"] == "it says: no alert fires"


def test_waiting_for_data_ends(store: Store, tmp_path: Path) -> None:
    page = write(tmp_path, panel(1, "stat", "Empty", "nothing_of_that_name"))
    assert prove(store, page, "--wait", "100ms") == 1


def test_a_list_of_reasons_that_was_named_must_exist(
    store: Store, page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prove(store, page, "--allow", "missing.yml") == 1
    assert "missing.yml: cannot be read: No such file" in capsys.readouterr().err


def test_the_projects_own_list_names_panels_that_exist(pages: list[dict[str, Any]]) -> None:
    titles = {page["uid"]: {panel["title"] for panel in lint.panels(page)} for page in pages}
    unknown = {
        (uid, title) for uid, title in read_allowed(ALLOWED, required=True) if title not in {*titles.get(uid, ()), "*"}
    }
    assert unknown == set()
