"""What is no dashboard is named with its file and place; nothing that a dashboard says is lost when it is read."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.dashboards.cli import main
from ml_monitoring.dashboards.publish.changes import pages_of
from ml_monitoring.dashboards.publish.defaults import without_defaults
from ml_monitoring.dashboards.publish.schema_v2 import resource
from ml_monitoring.dashboards.render import formats
from ml_monitoring.dashboards.render.errors import RenderError

Json = dict[str, Any]
# All that schema v2 has.
HAND_MADE = Path(__file__).parent / "schema-v2.json"
GENERATED = Path("dashboards/generated").resolve()
PAGE = GENERATED / "ML" / "ml-monitoring-ml-api.json"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(name: str, content: Any) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return name


def nodes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from nodes(one, (*path, key))


def with_other(page: Json, path: tuple[Any, ...], value: Any) -> Json:
    changed = copy.deepcopy(page)
    at: Any = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return changed


def kind(path: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a path by what it is of, whatever part of a list or panel that is."""
    names = ("#" if isinstance(key, int) or str(key).removeprefix("panel-").isdecimal() else key for key in path)
    return tuple(names)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"panels": [{}, {"targets": ["up"]}]}, "panels[1].targets[0] is a text, not a query"),
        ({"panels": [None]}, "panels[0] is nothing, not a panel"),
        ({"panels": [{"type": "row", "panels": ["x"]}]}, "panels[0].panels[0] is a text, not a panel"),
        ({"panels": [{"targets": {}}]}, "panels[0].targets is an object, not a list"),
        ({"panels": [{"fieldConfig": []}]}, "panels[0].fieldConfig is a list, not an object"),
        ({"panels": [{"gridPos": {"x": "a"}}]}, "panels[0].gridPos.x is a text, not a number"),
        ({"panels": [], "templating": {"list": [5]}}, "templating.list[0] is a number, not a variable"),
        ({"panels": [], "annotations": {"list": [[]]}}, "annotations.list[0] is a list, not an annotation"),
        ({"panels": [], "title": {}}, "title is an object, not a text"),
        ({"panels": {}}, "is no dashboard: it has no list of panels"),
        ({"elements": {"a": {"spec": "x"}}, "layout": {}}, "elements.a.spec is a text, not an object"),
    ],
)
def test_a_part_of_another_shape_is_named_by_its_place(
    content: Json, problem: str, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del files
    wrong = written("wrong.json", content)
    assert main(["diff", written("right.json", {"panels": []}), wrong]) == 2
    assert capsys.readouterr().err == f"error: wrong.json: {problem}\n"


@pytest.mark.parametrize("version", ["classic", "v2"])
def test_whatever_stands_in_place_of_a_part_it_is_compared_or_refused(version: str) -> None:
    classic = json.loads(PAGE.read_text("utf-8"))
    classic["panels"] = [*{panel["type"]: panel for panel in classic["panels"]}.values()]
    page = classic if version == "classic" else resource(classic)
    before = {"page": formats.classic(page, "page.json")}
    seen = set()
    for path in nodes(page):
        if kind(path) in seen:
            continue
        seen.add(kind(path))
        for value in ("x", None, ["x"], {"x": ["y"]}):
            try:
                after = formats.classic(with_other(page, path, value), "page.json")
            except RenderError:
                continue
            pages_of(before, {"page": after})
    assert len(seen) > 100


def test_all_broken_files_are_named(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, content in (("old/a", "x"), ("old/b", {"panels": {}}), ("old/c", {"panels": []}), ("new/d", "{")):
        written(f"{name}.json", content)
    (files / "new" / "e.json").write_bytes(b"\xff")
    assert main(["diff", "old", "new"]) == 2
    assert [line.split(": ")[1] for line in capsys.readouterr().err.splitlines()] == [
        *("old/a.json", "old/b.json", "new/e.json", "new/d.json")
    ]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ({"message": "Dashboard not found"}, "an error answer of Grafana: Dashboard not found"),
        ([], "a list"),
        ({"kind": "Folder", "apiVersion": "folder.grafana.app/v1"}, "a Folder"),
        ({"a": 1}, "an object without panels"),
    ],
)
def test_a_file_without_a_dashboard_is_said_to_be_what_it_is(
    content: Any, what: str, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del files
    page = written("page.json", {"panels": []})
    assert main(["diff", written("none.json", content), page]) == 2
    assert capsys.readouterr().err == f"error: none.json: no dashboard in it: {what}\n"
    written("folder/none.json", content)
    assert main(["diff", page, "folder"]) == 2
    assert capsys.readouterr().err == f"error: folder: no dashboard in it: folder/none.json is {what}\n"


def test_of_an_empty_folder_all_pages_are_new_and_to_it_all_are_gone(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "empty").mkdir()
    written("pages/a.json", {"uid": "a", "title": "A", "panels": []})
    assert main(["diff", "empty", "pages"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "- pages: 1 added"
    assert main(["diff", "pages/a.json", "empty"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "- pages: 1 removed"
    assert main(["diff", "empty", "empty"]) == 2
    assert capsys.readouterr().err == "error: empty, empty: no dashboard in either\n"


# Of these, one kind alone can stand where they do; a version of a plugin is Grafana's own count.
ONLY = {
    *("DataQuery", "PanelQuery", "QueryGroup", "Panel", "VizConfig", "ElementReference", "GridLayoutItem"),
    *("AutoGridLayoutItem", "RowsLayoutRow", "AnnotationQuery", "Transformation"),
}
COUNTED = {("vizConfig", "version"), ("spec", "editorMode"), ("current", "selected")}
# The query of a variable has one name, Grafana lists its values, and a transformation's kind is its id once more.
REPEATED = {
    ("spec", "variables", "#", "spec", "options"),
    ("variables", "#", "spec", "query", "spec", "refId"),
    ("data", "spec", "transformations", "#", "kind"),
}


def other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 7
    return f"{value}x" if isinstance(value, str) else [{"x": "y"}] if isinstance(value, list) else {"x": "y"}


@pytest.mark.parametrize("name", ["hand-made", "ml-monitoring-ml-api", "ml-monitoring-logs"])
def test_a_change_of_any_single_value_of_schema_v2_is_said(name: str) -> None:
    if name == "hand-made":
        page = json.loads(HAND_MADE.read_text("utf-8"))
    else:
        (file,) = GENERATED.rglob(f"{name}.json")
        page = resource(json.loads(file.read_text("utf-8")))
    before = {"page": without_defaults(formats.classic(page, "page.json"))}
    seen = set()
    for path in nodes(page["spec"], ("spec",)):
        value = page
        for key in path:
            value = value[key]
        is_counted = path[-2:] in COUNTED or bool({kind(path)[-6:], kind(path)[-5:]} & REPEATED)
        is_counted |= path[-1] == "kind" and str(value) in ONLY
        if kind(path) in seen or is_counted or value is None or (isinstance(value, dict | list) and value):
            continue
        seen.add(kind(path))
        try:
            after = {"page": without_defaults(formats.classic(with_other(page, path, other(value)), "page.json"))}
        except RenderError:
            continue
        assert pages_of(before, after)["page"], path
    assert len(seen) > 60


def test_a_page_made_a_resource_in_a_folder_is_the_same_page(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pages = {file.parent.name: json.loads(file.read_text("utf-8")) for file in GENERATED.rglob("*.json")}
    del files
    for folder, page in pages.items():
        written(f"old/{folder}/{page['uid']}.json", page)
        written(f"new/{folder}/{page['uid']}.json", resource(page, folder=f"uid-of-{folder}"))
    assert main(["diff", "old", "new", "--all"]) == 0
    assert capsys.readouterr().out.startswith("No differences but in")


def test_a_page_says_in_which_folder_it_is_before_its_file_does(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del files
    for side, folders in (("old", ("a", "", "")), ("new", ("b", "c", ""))):
        for uid, folder in zip("xyz", folders, strict=True):
            metadata = {"name": uid} | ({"annotations": {"grafana.app/folder": folder}} if folder else {})
            page = {"apiVersion": "dashboard.grafana.app/v1", "kind": "Dashboard", "metadata": metadata}
            written(f"{side}/{uid}.json", page | {"spec": {"title": uid.upper(), "panels": []}})
    assert main(["diff", "old", "new", "--all"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("- ")] == [
        "- **dashboard** folder changed: `a` → `b`",
        "- **dashboard** folder changed: `nothing` → `c`",
    ]


def test_what_older_grafana_wrote_is_compared_in_the_newer_form(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del files
    older = [
        {"type": 1, "value": "1", "text": "up", "id": 3, "op": "="},
        {"type": 1, "value": "null", "text": "none"},
        {"type": 2, "from": "2", "to": "5", "text": "many"},
    ]
    newer = [
        {"type": "value", "options": {"1": {"text": "up", "index": 0}}},
        {"type": "special", "options": {"match": "null", "result": {"text": "none"}}},
        {"type": "range", "options": {"from": 2, "to": 5, "result": {"text": "lots"}}},
    ]
    for name, mappings in (("older", older), ("newer", newer)):
        own = [{"matcher": {"id": "byName", "options": "a"}, "properties": [{"id": "mappings", "value": mappings}]}]
        config = {"defaults": {"mappings": mappings}, "overrides": own}
        asked = {"expr": "up"} if name == "older" else {"target": {"expr": "up", "refId": "Anno"}}
        page = {"title": "T", "panels": [{"id": 1, "title": "P", "fieldConfig": config}]}
        written(f"{name}.json", page | {"annotations": {"list": [{"name": "A", **asked}]}})
    assert main(["diff", "older.json", "newer.json", "--all"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("- **")] == [
        "- **P** mapping of 2 to 5 changed: `many` → `lots`",
        "- **P** mapping of 2 to 5 of series a changed: `many` → `lots`",
    ]
    assert main(["diff", written("rows.json", {"title": "T", "rows": [{"panels": []}]}), "newer.json"]) == 2
    assert capsys.readouterr().err == (
        "error: rows.json: is older than Grafana 5 (it has rows); open and save it in a newer Grafana first\n"
    )


def test_a_row_without_its_heading_and_a_row_that_becomes_a_tab_are_no_other_rows(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del files
    page = resource(json.loads(PAGE.read_text("utf-8")))
    rows = page["spec"]["layout"]["spec"]["rows"]
    title = rows[1]["spec"]["title"]
    written("old.json", page)
    hidden = copy.deepcopy(page)
    hidden["spec"]["layout"]["spec"]["rows"][1]["spec"]["hideHeader"] = True
    assert main(["diff", "old.json", written("new.json", hidden)]) == 0
    assert f"- **row {title}** title changed: `shown` → `hidden`" in capsys.readouterr().out
    tabs = [row | {"kind": "TabsLayoutTab"} for row in rows]
    page["spec"]["layout"] = {"kind": "TabsLayout", "spec": {"tabs": tabs}}
    assert main(["diff", "old.json", written("new.json", page), "--all"]) == 0
    assert f"- **row {title}** kind changed: `row` → `tab`" in capsys.readouterr().out


def test_files_of_one_uid_on_both_sides_are_said_once(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del files
    for name in ("old/a", "old/b", "new/a", "new/b"):
        written(f"{name}.json", {"uid": "x", "title": "X", "panels": []})
    assert main(["diff", "old", "new"]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("- **2 files have the uid `x`**: `new/a.json`, `new/b.json`;")
    assert rest == ["", "No differences."]
