"""Differences between dashboards are named by meaning, in Markdown."""

from __future__ import annotations

import copy
import json
import shlex
import shutil
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.dashboards.cli import main
from ml_monitoring.dashboards.publish.changes import compare
from ml_monitoring.dashboards.publish.digest import digest

SHUT = {"type": "value", "options": {"3": {"text": "shut", "color": "red"}}}
LITRES = {"matcher": {"id": "byName", "options": "a"}, "properties": [{"id": "unit", "value": "litre"}]}
# Three pages as release 0.2.0 wrote them.
RELEASE = Path(__file__).parent / "release-0.2.0"


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
        "- **New** added (gauge): `up`",
        "- **Words** removed",
        "- **Heat** query A changed: `heat` → `max(heat)`",
        "- **Heat** query B added: `` limit`s ``",
        "- **Heat** thresholds changed: `green, red from 20 °C` → `green, red from 25 °F`",
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


def short(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return digest(old, new, dict.fromkeys(old, "command")).splitlines()


def test_changes_of_looks_are_counted_own_pages_first_then_by_title() -> None:
    new = page()
    new["panels"][0]["gridPos"]["x"] = 3
    new["panels"][0]["fieldConfig"]["overrides"] = [
        {"matcher": {"id": "byName", "options": "a"}, "properties": [{"id": "custom.width", "value": 90}]}
    ]
    new["panels"][0]["targets"][0]["expr"] = "max(heat)"
    titles = {"ml-monitoring-a": "Rooms", "ml-monitoring-b": "doors", "ml-monitoring-own-z": "Shop", "other": "Theirs"}
    old, after = ({uid: one | {"title": title} for uid, title in titles.items()} for one in (page(), new))
    after["ml-monitoring-own-z"] = old["ml-monitoring-own-z"]
    after["ml-monitoring-b"] = copy.deepcopy(old["ml-monitoring-b"])
    after["ml-monitoring-b"]["panels"][0]["gridPos"]["x"] = 3
    assert short(old, after) == [
        "- pages: 3 changed",
        "- Shop (`ml-monitoring-own-z`): unchanged",
        "",
        "### Changed pages",
        "",
        "- **Theirs** (`other`): 1 of meaning, 2 of looks",
        "  - **Heat** query A changed: `heat` → `max(heat)`",
        "- **Rooms** (`ml-monitoring-a`): 1 of meaning, 2 of looks",
        "  - **Heat** query A changed: `heat` → `max(heat)`",
        "- only looks, which `--all` lists: doors (1)",
    ]
    assert "- **Heat** custom.width of series a changed: `nothing` → `90`" in compare(old, after)
    assert short(old, old) == []


def test_of_a_page_with_many_changes_panels_are_named_by_what_became_of_them() -> None:
    old, new = page(), page()
    panels = [{"id": number, "type": "stat", "title": f"Panel {number}"} for number in range(10, 40)]
    old["panels"] += copy.deepcopy(panels)
    for panel in panels[2:]:
        panel["targets"] = [{"refId": "A", "expr": f"up > {panel['id']}"}]
    panels[0]["title"] = "Renamed, and moved"
    new["panels"] = [*new["panels"][:1], *panels]
    new["panels"].append({"id": 99, "type": "stat", "title": "New", "targets": [{"refId": "A", "expr": "up"}]})
    new["panels"].append({"id": 98, "type": "row", "title": "A row"})
    new["panels"][0]["fieldConfig"]["defaults"] |= {"unit": "kelvin", "thresholds": {}}
    new["templating"]["list"] = [{"name": "door"}]
    assert short({"a": old, "b": page()}, {"a": new, "b": page()}) == [
        "- pages: 1 changed",
        "",
        "### Changed pages",
        "",
        "- **Page** (`a`): 36 of meaning",
        "  - gone: Words",
        "  - new: New; row A row",
        "  - renamed: Panel 10 → Renamed, and moved",
        "  - changed: Heat (thresholds, unit celsius → kelvin)",
        "  - other query: Panel 12; Panel 13; Panel 14; Panel 15; Panel 16; Panel 17; 22 more",
        "  - variables: door is new; room is gone",
        "",
        "All changes of Page, which has most: `command`; `--all` lists those of all pages.",
    ]


def test_the_same_change_of_many_panels_of_a_page_is_one_line() -> None:
    old, new = page(), page()
    panels = [{"id": number, "type": "stat", "title": f"Panel {number}"} for number in range(10, 15)]
    old["panels"] += copy.deepcopy(panels)
    for panel in panels:
        panel["targets"] = [{"refId": "A", "expr": "up"}]
    new["panels"] += panels
    line = "- **5 panels (Panel 10, Panel 11, Panel 12, 2 more)** query A added: `up`"
    assert short({"a": old}, {"a": new})[-1] == f"  {line}"
    assert compare({"a": old}, {"a": new}).count("query A added: `up`") == 5


def test_a_panel_is_known_by_its_title_and_type_before_its_id() -> None:
    old, new = page(), page()
    for number, (one, kinds) in enumerate([(old, ("stat", "timeseries")), (new, ("timeseries", "stat"))]):
        one["panels"] = [
            {"id": 7, "type": kinds[0], "title": "Risk over time" if number else "Risk"},
            {"id": 8, "type": kinds[1], "title": "Risk" if number else "Risk over time"},
        ]
    # Links lead to a panel by its id.
    assert compare({"a": old}, {"a": new}).splitlines()[2:] == [
        "- **Risk over time** id changed: `8` → `7`",
        "- **Risk** id changed: `7` → `8`",
    ]


def test_the_order_of_matchers_labels_and_white_space_is_no_change_of_meaning() -> None:
    old, new = page(), page()
    exprs = ('sum by (a, b) (heat{x="1",y="2"})', 'sum by(b,a)(heat{y="2", x="1"})')
    for one, expr in zip((old, new), exprs, strict=True):
        one["panels"][0]["targets"][0]["expr"] = expr
        one["templating"]["list"][0]["query"] = {"query": f"query_result({expr})"}
    assert short({"a": old}, {"a": new}) == []
    assert compare({"a": old}, {"a": new}) == ""
    new["panels"][0]["transparent"] = True
    assert short({"a": old}, {"a": new})[-1] == "- only looks, which `--all` lists: Page (3)"
    assert "query A is written otherwise, with the same meaning: " in compare({"a": old}, {"a": new})


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (lambda new: new["panels"][0]["fieldConfig"]["defaults"].update(min=5), "Heat** min changed"),
        (
            lambda new: new["panels"][0]["fieldConfig"]["defaults"].update(custom={"spanNulls": True}),
            "Heat** line across gaps changed",
        ),
        (lambda new: new["templating"]["list"][0].update(current={"value": ["b"]}), "variable room** default changed"),
        (lambda new: new.update(links=[{"title": "Logs", "url": "/logs"}]), "dashboard** link added: `Logs (/logs)`"),
        (lambda new: new["panels"][0].update(id=9), "Heat** id changed"),
        (
            lambda new: new["panels"][0].update(options={"reduceOptions": {"calcs": ["min"]}}),
            "Heat** calculation changed",
        ),
        (
            lambda new: new["panels"][0].update(transformations=[{"id": "limit", "options": {"limitField": 3}}]),
            'Heat** transformation added: `limit {"limitField": 3}`',
        ),
        (lambda new: new["panels"][0]["fieldConfig"]["defaults"].update(mappings=[SHUT]), "Heat** mapping of 3 added"),
        (
            lambda new: new["panels"][0]["fieldConfig"].update(overrides=[LITRES]),
            "Heat** unit of series a changed",
        ),
        (
            lambda new: new.update(panels=[{"type": "row", "title": "Row", "panels": new["panels"]}]),
            "Heat** is in another row: `no row` → `Row (folded)`",
        ),
    ],
)
def test_what_a_page_says_is_no_matter_of_looks(change: Any, shown: str) -> None:
    new = page()
    change(new)
    assert any(line.strip().startswith(f"- **{shown}") for line in short({"a": page()}, {"a": new}))


def test_thresholds_of_another_shade_only_are_looks() -> None:
    def change(colour: str, value: int) -> dict[str, Any]:
        new = page()
        new["panels"][0]["fieldConfig"]["defaults"]["thresholds"]["steps"][1] = {"color": colour, "value": value}
        return new

    old = {"a": page(), "b": page()}
    new = {"a": change("#d50b3e", 20), "b": change("red", 25)}
    assert short(old, new)[4:] == [
        "- **Page** (`b`): 1 of meaning",
        "  - **Heat** thresholds changed: `green, red from 20 °C` → `green, red from 25 °C`",
        "- only looks, which `--all` lists: Page (1)",
    ]


def test_what_many_pages_have_in_common_is_one_line_in_whatever_words() -> None:
    old = {uid: page() | {"title": uid.upper()} for uid in "abcdefg"}
    new = copy.deepcopy(old)
    for uid in "abcdef":
        new[uid]["panels"][0]["title"] = "Warmth"
        new[uid]["panels"][0]["targets"][0]["expr"] = f"heat{uid}"
    for uid in "abcd":
        new[uid]["panels"].append({"id": 9, "type": "stat", "title": "State", "targets": [{"expr": uid}]})
    new["d"]["refresh"] = "1m"
    del new["g"]["panels"][1]
    assert short(old, new) == [
        "- pages: 7 changed",
        "",
        "### On several pages",
        "",
        "- **Warmth** was Heat on 6 pages: all but G",
        "- **Warmth** changed on 6 pages: all but G",
        "  - **all, such as A** query A changed: `heat` → `heata`",
        "- **State** is new on 4 pages: all but E, F, G",
        "",
        "### Changed pages",
        "",
        "- **D** (`d`): 4 of meaning (3 of them above)",
        "  - **dashboard** refresh changed: `30s` → `1m`",
        "- **G** (`g`): 1 of meaning",
        "  - **Words** removed",
    ]
    assert compare(old, new).count("title changed: `Heat` → `Warmth`") == 6


def test_numbers_of_many_panels_that_are_others_are_one_line() -> None:
    old = {uid: page() | {"title": uid.upper()} for uid in "abc"}
    new = copy.deepcopy(old)
    for uid in "ab":
        for panel in new[uid]["panels"]:
            panel["id"] += 100
    new["c"]["panels"][1]["id"] = 9
    new["c"]["refresh"] = "1m"
    assert short(old, new) == [
        "- pages: 3 changed",
        "- links to a single panel: 5 panels have another number (`--all` lists them): A (2), B (2), C (1)",
        "",
        "### Changed pages",
        "",
        "- **C** (`c`): 2 of meaning (1 of them above)",
        "  - **dashboard** refresh changed: `30s` → `1m`",
    ]


def test_of_many_pages_with_many_changes_each_is_two_lines() -> None:
    old = {uid: page() | {"title": uid.upper()} for uid in ["ml-monitoring-own-z", *"abcdef"]}
    new = copy.deepcopy(old)
    for uid in old:
        new[uid]["templating"]["list"] = []
        new[uid]["panels"] += [{"id": n, "type": "stat", "title": f"Panel {uid}{n}"} for n in range(10, 17)]
    said = short(old, new)
    own = said.index("- **ML-MONITORING-OWN-Z** (`ml-monitoring-own-z`): 8 of meaning (1 of them above)")
    assert said[own + 1].count("Panel") == 7
    assert said[own - 2 : own] == [
        "- **F** (`f`): 8 of meaning (1 of them above)",
        "  - New: Panel f10; Panel f11; Panel f12; 4 more.",
    ]


def test_another_title_of_a_row_is_meaning() -> None:
    old = page()
    old["panels"] = [{"id": 7, "type": "row", "title": "Is it warm?", "panels": old["panels"]}]
    new = copy.deepcopy(old)
    new["panels"][0]["title"] = "How warm is it?"
    line = "- **row How warm is it?** renamed: `Is it warm?` → `How warm is it?`"
    assert short({"a": old}, {"a": new})[-2:] == ["- **Page** (`a`): 1 of meaning", f"  {line}"]
    assert compare({"a": old}, {"a": new}).splitlines()[2:] == [line]


def test_a_data_source_of_a_panel_and_its_queries_is_one_change() -> None:
    def change(new: dict[str, Any], name: str) -> dict[str, Any]:
        new["panels"][0]["datasource"] = new["panels"][0]["targets"][0]["datasource"] = {"uid": name}
        return {"a": new}

    assert short(change(page(), "one"), change(page(), "two"))[-1] == "  - **Heat** data source changed: `one` → `two`"


def test_pages_that_came_and_went_stand_first() -> None:
    other = page() | {"title": "Other", "description": "For all: is it warm?"}
    assert short({"a": page()}, {"b": other}) == [
        "- pages: 1 added, 1 removed",
        "",
        "### Pages that are gone",
        "",
        "- **Page** (`a`)",
        "",
        "### New pages",
        "",
        "- **Other** (`b`): For all: is it warm?",
    ]


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
    assert main(["diff", str(old), "missing"]) == 2
    assert capsys.readouterr().err == "error: missing: no such file or folder\n"


def test_a_page_in_another_folder_is_a_change_and_what_grafana_takes_anyhow_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [tmp_path / name for name in ("old", "new", "saved")]
    for folder, home in zip(folders, ("ML", "Platform", "ML"), strict=True):
        for part, uid in ((home, "page"), ("Growth", "other")):
            (folder / part).mkdir(parents=True)
            defaults = {"liveNow": False, "weekStart": ""} if folder.name == "saved" else {}
            text = json.dumps(page() | {"uid": uid, "title": uid} | defaults)
            (folder / part / f"{uid}.json").write_text(text, encoding="utf-8")
    old, new, saved = map(str, folders)
    assert main(["diff", old, new, "--exit-code", "--all"]) == 1
    assert capsys.readouterr().out == "### page (`page`)\n\n- **dashboard** folder changed: `ML` → `Platform`\n"
    assert main(["diff", old, saved, "--exit-code"]) == 0
    assert capsys.readouterr().out.startswith(
        "No differences but in how queries are written, in the order in the file,"
    )
    # Where the pages of one side lie in one folder, nothing says where Grafana has them.
    assert main(["diff", new, f"{old}/ML", "--exit-code", "--all"]) == 1
    assert "folder changed" not in capsys.readouterr().out


def test_what_is_wrong_with_files_is_said_before_what_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("old/a.json", "old/b.json", "new/a.json", "new/b.json", "new/copy.json"):
        Path(name).parent.mkdir(exist_ok=True)
        uid = "page" if name == "new/copy.json" else Path(name).stem.replace("a", "page")
        Path(name).write_text(json.dumps(page() | {"uid": uid, "title": uid}), encoding="utf-8")
    assert main(["diff", "old", "new", "--exit-code"]) == 1
    double = (
        "- **2 files have the uid `page`**: `new/a.json`, `new/copy.json`; Grafana shows one of them, and the last is "
        "compared here"
    )
    assert capsys.readouterr().out.splitlines() == [double, "", "No differences."]
    Path("new/copy.json").unlink()
    Path("new/b.json").write_text("[]", encoding="utf-8")
    assert main(["diff", "old", "new"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "- **`new/b.json` holds no dashboard**, and did before: it is a list",
        "",
        "- pages: 1 removed",
        "",
        "### Pages that are gone",
        "",
        "- **b** (`b`)",
    ]


def test_a_page_with_another_uid_is_the_same_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, uid in (("old", "page"), ("new", "other")):
        (tmp_path / folder).mkdir()
        for name, content in (("a", page() | {"uid": uid}), ("b", page() | {"uid": "b", "title": "B"})):
            (tmp_path / folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    changed_uid = ["### Page (`other`)", "", "- **dashboard** uid changed: `page` → `other`"]
    assert main(["diff", f"{tmp_path}/old", f"{tmp_path}/new", "--all"]) == 0
    assert capsys.readouterr().out.splitlines() == changed_uid
    assert main(["diff", f"{tmp_path}/old/a.json", f"{tmp_path}/new/a.json", "--all"]) == 0
    assert capsys.readouterr().out.splitlines() == changed_uid
    # With another title too it is known by its panels.
    retitled = page() | {"uid": "other", "title": "Other"}
    retitled["panels"][1]["title"] = "Side"
    (tmp_path / "new" / "a.json").write_text(json.dumps(retitled), encoding="utf-8")
    (tmp_path / "new" / "b.json").write_text(json.dumps(page() | {"uid": "b", "title": "B"}), encoding="utf-8")
    assert main(["diff", f"{tmp_path}/old", f"{tmp_path}/new"]) == 0
    assert capsys.readouterr().out.startswith("- pages: 1 added, 1 removed\n")
    retitled["panels"][1]["title"] = "Words"
    (tmp_path / "new" / "a.json").write_text(json.dumps(retitled), encoding="utf-8")
    assert main(["diff", f"{tmp_path}/old", f"{tmp_path}/new", "--all"]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        "- **dashboard** uid changed: `page` → `other`",
        "- **dashboard** title changed: `Page` → `Other`",
    ]


def test_a_file_is_compared_with_the_page_of_its_uid_in_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pages").mkdir()
    for uid in ("page", "other"):
        Path(f"pages/{uid}.json").write_text(json.dumps(page() | {"uid": uid, "title": uid}), encoding="utf-8")
    Path("mine.json").write_text(json.dumps(page() | {"title": "Mine"}), encoding="utf-8")
    for sides in (["pages", "mine.json"], ["mine.json", "pages"]):
        assert main(["diff", *sides]) == 0
        assert "title changed" in capsys.readouterr().out
    Path("mine.json").write_text(json.dumps(page() | {"uid": "mine"}), encoding="utf-8")
    for sides in (["pages", "mine.json"], ["mine.json", "pages"]):
        assert main(["diff", *sides]) == 2
        assert capsys.readouterr().err == (
            "error: mine.json: is one page, and none of pages has its uid mine: give two files\n"
        )


def test_the_command_for_the_page_with_most_changes_is_printed_and_can_be_pasted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    titles = ("Bigger", "Big", "Shop")
    uids = ("ml-monitoring-bigger", "ml-monitoring-big", "ml-monitoring-own-shop")
    for folder, numbers in (("pages old", (0, 0, 0)), ("new", (30, 20, 0))):
        (tmp_path / folder / "ML").mkdir(parents=True)
        for uid, title, number in zip(uids, titles, numbers, strict=True):
            one = page() | {"uid": uid, "title": title}
            one["panels"][0]["targets"] += [{"refId": str(place), "expr": "up"} for place in range(number)]
            (tmp_path / folder / "ML" / f"{uid}.json").write_text(json.dumps(one), encoding="utf-8")
    assert main(["diff", "pages old", "new"]) == 0
    command = "diff 'pages old/ML/ml-monitoring-bigger.json' new/ML/ml-monitoring-bigger.json"
    assert capsys.readouterr().out.splitlines() == [
        "- pages: 2 changed",
        "- Shop (`ml-monitoring-own-shop`): unchanged",
        "",
        "### Changed pages",
        "",
        "- **Big** (`ml-monitoring-big`): 20 of meaning",
        "  - other query: Heat",
        "- **Bigger** (`ml-monitoring-bigger`): 30 of meaning",
        "  - other query: Heat",
        "",
        f"All changes of Bigger, which has most: `ml-monitoring dashboards {command}`; "
        "`--all` lists those of all pages.",
    ]
    assert main(shlex.split(command)) == 0
    assert capsys.readouterr().out.count("added: `up`") == 30


def test_of_the_upgrade_from_release_0_2_0_panels_that_came_and_went_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def titles(path: Path) -> dict[str, int]:
        listed = json.loads(path.read_text("utf-8"))["panels"]
        panels = [one for panel in listed for one in (panel, *panel.get("panels", [])) if one["type"] != "row"]
        return {panel["title"]: panel["id"] for panel in panels}

    assert main(["generate", "--settings", "/dev/null", "--output-dir", str(tmp_path / "new")]) == 0
    for old in sorted(RELEASE.iterdir()):
        (new,) = (tmp_path / "new").rglob(old.name)
        shutil.copy(new, tmp_path)
    shutil.rmtree(tmp_path / "new")
    capsys.readouterr()
    assert main(["diff", str(RELEASE), str(tmp_path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if line.startswith(("- pages", "#"))] == [
        "- pages: 3 changed",
        "### In many places",
        "### Changed pages",
    ]
    assert [line.split("**")[1] for line in said if line.startswith("- **")] == [
        "11 queries of Fleet server",
        "5 queries of MLflow traces",
        "Fleet server",
        "Logs",
        "MLflow traces",
    ]
    for old in sorted(RELEASE.iterdir()):
        before, after = titles(old), titles(tmp_path / old.name)
        (start,) = (place for place, line in enumerate(said) if f"(`{old.stem}`)" in line)
        listed = dict(
            line[4:].split(": ", 1) for line in takewhile(lambda line: line.startswith("  - "), said[start + 1 :])
        )
        kept = {*before.values()} & {*after.values()}
        gone = [title for title, number in before.items() if title not in after and number not in kept]
        come = [title for title, number in after.items() if title not in before and number not in kept]
        assert {*listed.get("gone", "").split("; ")} >= {*gone}
        assert {*listed["new"].split("; ")} >= {*come}
    assert len(said) <= 31
    assert main([*shlex.split(said[-1].split("`")[1])[2:], "--exit-code"]) == 1
    assert len(capsys.readouterr().out.splitlines()) > 24


def test_a_revision_of_the_repository_is_compared_with_the_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "HEAD:dashboards/generated", "HEAD:dashboards/generated"]) == 0
    assert capsys.readouterr().out == "No differences.\n"
    one = "HEAD:./dashboards/generated/ML/ml-monitoring-ml-api.json"
    assert main(["diff", one, one]) == 0
    assert capsys.readouterr().out == "No differences.\n"
    assert main(["diff", "no-such-revision:dashboards/generated", "dashboards/generated"]) == 2
    assert capsys.readouterr().err == (
        "error: no-such-revision:dashboards/generated: no such file, and no revision no-such-revision of a git "
        "repository here\n"
    )
    assert main(["diff", "HEAD", "dashboards/generated"]) == 2
    assert capsys.readouterr().err == "error: HEAD: no such file or folder; of the revision HEAD give HEAD:PATH\n"


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
    for command, code in ((["diff", str(path), str(path)], 2), (["render", str(path)], 1)):
        assert main(command) == code
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
        "- **Warmth** shortest step changed",
        "- **Warmth** moved",
    ]
