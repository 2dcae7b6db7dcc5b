"""Differences between dashboards are named by meaning, in Markdown."""

from __future__ import annotations

import copy
import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.dashboards.cli import main
from ml_monitoring.dashboards.publish.changes import compare


def page() -> dict[str, Any]:
    return {
        "uid": "page",
        "title": "Page",
        "refresh": "30s",
        "templating": {"list": [{"name": "room", "query": "label_values(room)", "current": {"value": "a"}}]},
        "panels": [
            {
                "id": 1,
                "type": "stat",
                "title": "Heat",
                "gridPos": {"x": 0, "y": 0, "w": 6, "h": 4},
                "targets": [{"refId": "A", "expr": "heat"}],
                "fieldConfig": {
                    "defaults": {
                        "unit": "celsius",
                        "thresholds": {"steps": [{"color": "green", "value": None}, {"color": "red", "value": 20}]},
                    }
                },
            },
            {"id": 2, "type": "text", "title": "Words", "gridPos": {"x": 6, "y": 0, "w": 6, "h": 4}},
        ],
    }


def changed(change: Any) -> str:
    new = page()
    change(new)
    return compare({"page": page()}, {"page": new})


def test_the_same_is_no_difference() -> None:
    other = page()
    other["version"] = 7
    other["templating"]["list"][0]["current"] = {"value": "b"}
    assert compare({"page": page()}, {"page": other}) == ""


def test_every_kind_of_change_is_shown() -> None:
    def change(new: dict[str, Any]) -> None:
        new["refresh"] = "1m"
        new["templating"]["list"].append({"name": "door", "query": "label_values(door)"})
        heat = new["panels"][0]
        heat["gridPos"] = {"x": 0, "y": 4, "w": 12, "h": 4}
        heat["targets"] = [{"refId": "A", "expr": "max(heat)"}, {"refId": "B", "expr": "limit`s"}]
        heat["fieldConfig"]["defaults"] = {
            "unit": "fahrenheit",
            "thresholds": {"steps": [{"color": "green", "value": None}, {"color": "red", "value": 25}]},
        }
        new["panels"][1] = {"id": 3, "type": "gauge", "title": "New", "targets": [{"refId": "A", "expr": "up"}]}

    assert changed(change).splitlines() == [
        "### Page (`page`)",
        "",
        "- **variable door** added: `label_values(door)`",
        "- **New** added (gauge)",
        "- **Words** removed",
        "- **Heat** query A changed: `heat` → `max(heat)`",
        "- **Heat** query B added: `` limit`s ``",
        "- **New** query A added: `up`",
        "- **Heat** thresholds changed: `green from the start, red from 20` → `green from the start, red from 25`",
        "- **Heat** unit changed: `celsius` → `fahrenheit`",
        "- **dashboard** refresh changed: `30s` → `1m`",
        "- **Heat** moved and resized: `6x4 at 0,0` → `12x4 at 0,4`",
    ]


def test_whole_dashboards_come_and_go() -> None:
    other = copy.deepcopy(page()) | {"uid": "other", "title": "Other"}
    assert compare({"page": page()}, {"other": other}).splitlines() == [
        "### Other (`other`)",
        "",
        "- **dashboard** added, 2 panels",
        "",
        "### Page (`page`)",
        "",
        "- **dashboard** removed",
    ]


def test_changes_of_looks_are_counted_own_pages_first_and_long_values_shown_where_they_differ() -> None:
    teams = "|".join(f"team{number}" for number in range(100))
    new = page()
    heat = new["panels"][0]
    heat["gridPos"]["x"] = 3
    heat["fieldConfig"]["overrides"] = [{"matcher": {"id": "byName"}}]
    heat["targets"][0]["expr"] = f'heat{{team=~"{teams}|mine"}}'
    old = page()
    old["panels"][0]["targets"][0]["expr"] = f'heat{{team=~"{teams}"}}'
    moved = page()
    moved["panels"][0]["gridPos"]["x"] = 3
    ours = "ml-monitoring-page"
    assert compare({ours: old, "own": page()}, {ours: new, "own": moved}, looks=False).splitlines() == [
        "- Page (`own`): 0 of meaning, 1 of looks",
        f"- Page (`{ours}`): 1 of meaning, 2 of looks",
        "",
        f"### Page (`{ours}`)",
        "",
        "- **Heat** query A changed:",
        '  - before: `...|team94|team95|team96|team97|team98|team99"}`',
        '  - after: `...|team94|team95|team96|team97|team98|team99|mine"}`',
    ]
    assert "overrides changed" in compare({ours: old}, {ours: new})
    assert compare({ours: old}, {ours: old}, looks=False) == ""


def test_a_page_with_more_changes_than_fit_on_two_screens_is_counted_and_the_others_are_listed() -> None:
    old, new, small = page(), page(), page()
    targets = [{"refId": str(number), "expr": "up"} for number in range(100)]
    new["panels"][0]["targets"] += targets
    small["refresh"] = "1m"
    both = ({"a": old, "b": old}, {"a": new, "b": small})
    assert compare(*both, looks=False).splitlines() == [
        "- Page (`a`): 100 of meaning, 0 of looks",
        "- Page (`b`): 1 of meaning, 0 of looks",
        "",
        "### Page (`b`)",
        "",
        "- **dashboard** refresh changed: `30s` → `1m`",
        "",
        "Pages with more changes than fit here: 1; `--all` lists them.",
    ]
    assert compare(*both).count("added: `up`") == 100
    assert compare({"a": old}, {"a": new}, looks=False).count("added: `up`") == 100


def test_of_a_page_that_does_not_fit_panels_are_named_that_came_went_or_have_another_name() -> None:
    old, new = page(), page()
    old["panels"] = [{"id": number, "type": "stat", "title": f"Old {number}"} for number in range(40)]
    new["panels"] = [{"id": number, "type": "stat", "title": f"New {number}"} for number in range(2, 70)]
    both = ({"a": old, "b": page()}, {"a": new, "b": page()})
    assert compare(*both, looks=False).splitlines()[0] == (
        "- Page (`a`): 70 of meaning, 0 of looks; removed: Old 0, Old 1; "
        "added: New 40, New 41, New 42, New 43, New 44, New 45, 24 more; renamed: Old 2 → New 2, Old 3 → New 3, "
        "Old 4 → New 4, Old 5 → New 5, Old 6 → New 6, Old 7 → New 7, 32 more"
    )


def test_thresholds_of_other_colours_only_are_looks() -> None:
    def change(colour: str, value: int) -> dict[str, Any]:
        new = page()
        new["panels"][0]["fieldConfig"]["defaults"]["thresholds"]["steps"][1] = {"color": colour, "value": value}
        return new

    old = {"a": page(), "b": page()}
    new = {"a": change("#b8520a", 20), "b": change("red", 25)}
    assert compare(old, new, looks=False).splitlines() == [
        "- Page (`a`): 0 of meaning, 1 of looks",
        "- Page (`b`): 1 of meaning, 0 of looks",
        "",
        "### Page (`b`)",
        "",
        "- **Heat** thresholds changed: `green from the start, red from 20` → `green from the start, red from 25`",
    ]


def test_what_many_pages_have_in_common_is_one_line() -> None:
    new, other = page(), page()
    new["panels"][0]["title"] = other["panels"][0]["title"] = "Warmth"
    other["panels"][0]["targets"][0]["expr"] = "warmth"
    old = {uid: page() for uid in "abcde"}
    both = (old, {**dict.fromkeys("abc", new), "d": other, "e": page()})
    assert compare(*both, looks=False).splitlines() == [
        *(f"- Page (`{uid}`): 1 of meaning, 0 of looks" for uid in "abc"),
        "- Page (`d`): 2 of meaning, 0 of looks",
        "",
        "### On several pages",
        "",
        "- **Warmth** title changed on 4 pages: `Heat` → `Warmth`",
        "",
        "### Page (`d`)",
        "",
        "- **Warmth** query A changed: `heat` → `warmth`",
    ]
    assert compare(*both).count("title changed: `Heat` → `Warmth`") == 4


def test_files_folders_and_exit_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = tmp_path / "old", tmp_path / "new.json"
    old.mkdir()
    (old / "page.json").write_text(json.dumps(page()), encoding="utf-8")
    new.write_text(json.dumps(page()), encoding="utf-8")
    assert main(["diff", str(old), str(new), "--exit-code"]) == 0
    assert capsys.readouterr().out == "No differences.\n"
    new.write_text(json.dumps(page() | {"title": "Side"}), encoding="utf-8")
    assert main(["diff", str(old), str(new)]) == 0
    assert main(["diff", str(old), str(new), "--exit-code"]) == 1
    assert main(["diff", str(old), "missing"]) == 1
    assert capsys.readouterr().err == "error: missing: no such file or folder\n"


def test_the_command_for_a_page_that_does_not_fit_is_printed_and_own_pages_that_did_not_change_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    big = page() | {"uid": "ml-monitoring-big", "title": "Big"}
    own = page() | {"uid": "ml-monitoring-own-shop", "title": "Shop"}
    changed_one = copy.deepcopy(big)
    changed_one["panels"][0]["targets"] += [{"refId": str(number), "expr": "up"} for number in range(100)]
    for folder, pages in (("pages old", (big, own)), ("new", (changed_one, own))):
        (tmp_path / folder / "ML").mkdir(parents=True)
        for one in pages:
            (tmp_path / folder / "ML" / f"{one['uid']}.json").write_text(json.dumps(one), encoding="utf-8")
    assert main(["diff", "pages old", "new"]) == 0
    command = "diff 'pages old/ML/ml-monitoring-big.json' new/ML/ml-monitoring-big.json"
    assert capsys.readouterr().out.splitlines() == [
        "- Big (`ml-monitoring-big`): 100 of meaning, 0 of looks",
        "- Shop (`ml-monitoring-own-shop`): unchanged",
        "",
        "Pages with more changes than fit here: 1; `--all` lists them, "
        f"`ml-monitoring dashboards {command}` those of one.",
    ]
    assert main(shlex.split(command)) == 0
    assert capsys.readouterr().out.count("added: `up`") == 100


def test_a_revision_of_the_repository_is_compared_with_the_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "HEAD:dashboards/generated", "HEAD:dashboards/generated"]) == 0
    assert capsys.readouterr().out == "No differences.\n"
    one = "HEAD:./dashboards/generated/ML/ml-monitoring-ml-api.json"
    assert main(["diff", one, one]) == 0
    assert capsys.readouterr().out == "No differences.\n"
    assert main(["diff", "no-such-revision:dashboards/generated", "dashboards/generated"]) == 1
    assert "error: git ls-tree" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\x89PNG\r\n", "not UTF-8; is it a text file? save it as UTF-8"),
        (b" \n", "it is empty"),
        (b"uid: hunter2", "it is none from line 1, column 1 on; is it the whole file of a dashboard?"),
        (b'{"uid": 1,', "it is none from line 1, column 11 on; is it the whole file of a dashboard?"),
        (b"[" * 200_000, "it is nested too deeply, or holds a number that there cannot be"),
    ],
    ids=["picture", "empty", "other text", "cut", "deep"],
)
def test_a_file_that_is_no_dashboard_is_answered_in_plain_words(
    content: bytes, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "page.json"
    path.write_bytes(content)
    for command in (["diff", str(path), str(path)], ["render", str(path)]):
        assert main(command) == 1
        assert capsys.readouterr().err == f"error: {path}: cannot be read as JSON: {problem}\n"


def test_a_byte_order_mark_before_a_dashboard_is_read_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "page.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"uid": "x", "title": "X", "panels": []}).encode())
    assert main(["diff", str(path), str(path)]) == 0
    assert capsys.readouterr().out == "No differences.\n"


def test_what_matters_to_a_reader_comes_first_on_each_page_and_own_pages_come_before_ours() -> None:
    new = page()
    heat = new["panels"][0]
    heat |= {"title": "Warmth", "gridPos": {"x": 3, "y": 0, "w": 6, "h": 4}, "interval": "1m"}
    heat["targets"][0]["expr"] = "warmth"
    heat["fieldConfig"]["defaults"]["thresholds"]["steps"][1]["value"] = 25
    new["templating"]["list"] = []
    del new["panels"][1]
    pages = {"ml-monitoring-logs": page(), "ml-monitoring-own-shop": page()}
    said = compare(pages, dict.fromkeys(pages, new)).splitlines()
    assert [line for line in said if line.startswith("#")] == [
        "### Page (`ml-monitoring-own-shop`)",
        "### Page (`ml-monitoring-logs`)",
    ]
    first = [line.split(":")[0] for line in said[2 : said.index("", 2)]]
    assert first == [
        "- **variable room** removed",
        "- **Words** removed",
        "- **Warmth** title changed",
        "- **Warmth** query A changed",
        "- **Warmth** thresholds changed",
        "- **Warmth** interval changed",
        "- **Warmth** moved",
    ]
