"""Schema v2: every page says the same in it, Grafana's public types know each word, and it is read back and drawn."""

from __future__ import annotations

import copy
import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from ml_monitoring.dashboards.cli import main
from ml_monitoring.dashboards.lint import panels
from ml_monitoring.dashboards.publish.schema_v2 import folder_resource, resource
from ml_monitoring.dashboards.render import formats
from ml_monitoring.dashboards.render.colours import LIGHT
from ml_monitoring.dashboards.render.display import Style
from ml_monitoring.dashboards.render.errors import RenderError
from ml_monitoring.dashboards.render.model import find_dashboards, load_dashboard
from ml_monitoring.dashboards.render.page import draw_dashboard
from ml_monitoring.dashboards.render.query_options import QueryOptions
from ml_monitoring.dashboards.render.units import Clock
from tests.support import typescript
from tests.support.panel_store import END, SPECIMEN

with warnings.catch_warnings():
    # It recommends its class for v2, which Grafana 12 does not serve.
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.models import dashboardv2beta1

Json = dict[str, Any]
GENERATED = sorted(Path("dashboards/generated").glob("*/*.json"))


@pytest.fixture(scope="session", autouse=True)
def _sdk_knows_all_panels() -> None:
    plugins.register_default_plugins()


def differences(given: object, back: object, path: str = "") -> Iterator[str]:
    if isinstance(given, dict) and isinstance(back, dict):
        for key in sorted({*given, *back}):
            if key not in back or key not in given:
                yield f"{path}.{key} {'lost' if key in given else 'new'} {given.get(key, back.get(key))!r}"
            else:
                yield from differences(given[key], back[key], f"{path}.{key}")
    elif isinstance(given, list) and isinstance(back, list) and len(given) == len(back):
        for one, other in zip(given, back, strict=True):
            yield from differences(one, other, f"{path}[]")
    elif given != back:
        yield f"{path}: {given!r} became {back!r}"


# What schema v2 has no word for, or says where the classic model is silent; each is what Grafana assumes anyway.
ASSUMED = {
    ".schemaVersion lost 39",
    ".version lost 1",
    ".templating.list[].allowCustomValue new True",
    # A choice of data sources has no order of its own, and a text box no choice at all.
    ".templating.list[].sort lost 0",
    ".templating.list[].options lost []",
    ".templating.list[].includeAll lost False",
    ".templating.list[].multi lost False",
    ".templating.list[].refresh lost 1",
    ".templating.list[].regex lost ''",
    # A panel without queries needs no data source.
    ".panels[].targets lost []",
    ".panels[].datasource lost {'type': 'prometheus', 'uid': '${datasource}'}",
    ".panels[].targets[].hide new False",
    # A link of a panel goes to an address, so what chooses dashboards says nothing.
    *(f".panels[].links[].{name} lost False" for name in ("asDropdown", "includeVars", "keepTime")),
    ".panels[].links[].icon lost 'external link'",
    ".panels[].links[].tags lost []",
    ".panels[].links[].tooltip lost ''",
    ".panels[].links[].type lost 'link'",
}


def without_row_ids(dashboard: Json) -> Json:
    result = copy.deepcopy(dashboard)
    for panel in result["panels"]:
        if panel["type"] == "row":
            del panel["id"]
    return result


def read_back(dashboard: Json) -> Json:
    return formats.classic(json.loads(json.dumps(resource(dashboard))), "page.json")


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.stem)
def test_every_page_comes_back_with_each_query_option_and_variable(path: Path) -> None:
    page = json.loads(path.read_text(encoding="utf-8"))
    back = read_back(page)
    found = differences(without_row_ids(page), without_row_ids(back))
    # A folded row holds its panels, of which the same is assumed.
    assert {one.replace(".panels[].panels[]", ".panels[]", 1) for one in found} <= ASSUMED


def test_a_second_journey_changes_nothing() -> None:
    for path in GENERATED:
        once = read_back(json.loads(path.read_text(encoding="utf-8")))
        assert read_back(once) == once


def test_the_comparison_of_pages_sees_the_same_panels_rows_and_queries_in_both_formats(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classic, v2 = tmp_path / "classic.json", tmp_path / "v2.json"
    for path in GENERATED:
        page = page_of(path)
        # One query says nothing of being hidden, which is part of what is compared of a query without `expr`.
        for panel in panels(page):
            for target in panel.get("targets") or []:
                target.setdefault("hide", False)
        classic.write_text(json.dumps(page), encoding="utf-8")
        v2.write_text(json.dumps(resource(page)), encoding="utf-8")
        assert main(["diff", str(classic), str(v2)]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [one for one in lines if re.search(r" (removed|added|moved|resized)|query . changed", one)] == []
    panel = next(panel for panel in panels(page) if panel.get("targets") and "expr" in panel["targets"][0])
    panel["targets"][0]["expr"] = "vector(1)"
    v2.write_text(json.dumps(resource(page)), encoding="utf-8")
    assert main(["diff", str(classic), str(v2)]) == 0
    assert "query A changed" in capsys.readouterr().out


def page_of(path: Path) -> Json:
    page: Json = json.loads(path.read_text(encoding="utf-8"))
    return page


@pytest.mark.parametrize("version", ["12.4", "13.2"])
def test_every_page_fits_grafanas_types(version: str, with_specimen: list[Json]) -> None:
    assert typescript.type_errors_v2(version, [resource(page) for page in with_specimen]) == []


def test_the_type_check_shows_a_wrong_word_and_a_wrong_key(pages: list[Json]) -> None:
    broken = resource(pages[0])
    broken["spec"]["cursorSync"] = "Sometimes"
    element = next(iter(broken["spec"]["elements"].values()))
    element["spec"]["vizConfig"]["spec"]["optoins"] = {}
    errors = typescript.type_errors_v2("13.2", [broken])
    assert len(errors) == 2
    assert '"Sometimes"' in errors[0]
    assert "'\"optoins\"' does not exist" in errors[1]


class Encoder(JSONEncoder):
    """The SDK's, which in 0.0.21 cannot write what it reads itself: names of plugins become sets of one."""

    def default(self, o: Any) -> Any:
        return next(iter(o)) if isinstance(o, set) else super().default(o)


def test_grafanas_own_sdk_reads_every_page_and_loses_nothing(with_specimen: list[Json]) -> None:
    lost = []
    for page in with_specimen:
        spec = resource(page)["spec"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            read = dashboardv2beta1.Dashboard.from_json(copy.deepcopy(spec))
            back = json.loads(json.dumps(read, cls=Encoder))
        lost += [one for one in differences(spec, back) if " new " not in one]
    # The SDK takes the query of a variable for one of a panel, which has other words.
    assert {one.split(" lost ")[0].rpartition(".")[0] for one in lost} == {".variables[].spec.query.spec"}


def texts_and_lines(path: Path, queries: QueryOptions) -> tuple[list[str], list[Any]]:
    canvas = draw_dashboard(queries.load(load_dashboard(path)), Style(LIGHT, Clock(now=END)))
    figure = canvas.figure
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    return words, [np.nan_to_num(np.asarray(line.get_ydata(), float)) for axes in figure.axes for line in axes.lines]


def test_a_page_drawn_from_its_v2_file_is_the_one_drawn_from_the_classic(queries: QueryOptions, tmp_path: Path) -> None:
    page = page_of(SPECIMEN)
    # Which alerts fire changes with time.
    page["panels"] = [panel for panel in page["panels"] if panel["type"] != "alertlist"]
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(json.dumps(page), encoding="utf-8")
    new.write_text(json.dumps(resource(page)), encoding="utf-8")
    words, lines = texts_and_lines(old, queries)
    words_v2, lines_v2 = texts_and_lines(new, queries)
    assert words_v2 == words
    assert len(lines_v2) == len(lines)
    assert all(np.array_equal(one, other) for one, other in zip(lines, lines_v2, strict=True))


def test_a_repository_for_git_sync_has_a_folder_file_in_each_folder(tmp_path: Path) -> None:
    assert main(["export", "--format", "v2", "--layout", "git-sync", "--output-dir", str(tmp_path)]) == 0
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.json")}
    pages = {f"{path.parent.name}/{path.name}" for path in GENERATED}
    folders = {path.parent.name for path in GENERATED}
    assert written == pages | {f"{folder}/_folder.json" for folder in folders}
    for folder in folders:
        content = page_of(tmp_path / folder / "_folder.json")
        assert content == folder_resource(f"ml-stack-{folder.lower()}", folder)
        assert content["apiVersion"] == "folder.grafana.app/v1beta1"
        for path in (tmp_path / folder).glob("ml-*.json"):
            page = page_of(path)
            assert (page["apiVersion"], page["kind"]) == ("dashboard.grafana.app/v2beta1", "Dashboard")
            assert page["metadata"] == {
                "name": path.stem,
                "annotations": {"grafana.app/folder": content["metadata"]["name"]},
            }
    # The folders are read like any others, and the folder files are no dashboards.
    assert {one.uid for one in find_dashboards([str(tmp_path)], tmp_path)} == {path.stem for path in GENERATED}


def test_the_layout_of_git_sync_needs_resources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--layout", "git-sync", "--output-dir", str(tmp_path)]) == 2
    assert "add --format v2" in capsys.readouterr().err


def element(number: int, **more: Any) -> Json:
    return {
        "kind": "Panel",
        "spec": {
            "id": number,
            "title": f"P{number}",
            "links": [],
            "data": {"kind": "QueryGroup", "spec": {"queries": [], "transformations": [], "queryOptions": {}}},
            "vizConfig": {
                "kind": "VizConfig",
                "group": "stat",
                "version": "",
                "spec": {"options": {}, "fieldConfig": {"defaults": {}, "overrides": []}},
            },
            **more,
        },
    }


def reference(number: int, **place: Any) -> Json:
    return {"kind": "GridLayoutItem", "spec": {"element": {"kind": "ElementReference", "name": f"p{number}"}, **place}}


def read(layout: Json, count: int, **spec: Any) -> list[tuple[Any, ...]]:
    elements = {f"p{number}": element(number) for number in range(1, count + 1)}
    content = {
        "apiVersion": "dashboard.grafana.app/v2beta1",
        "kind": "Dashboard",
        "metadata": {"name": "x"},
        "spec": {"title": "X", "elements": elements, "layout": layout, **spec},
    }
    return [
        (panel["type"], panel["title"], *panel["gridPos"].values()) for panel in formats.classic(content, "x")["panels"]
    ]


def grid(*items: Json) -> Json:
    return {"kind": "GridLayout", "spec": {"items": list(items)}}


def test_rows_tabs_and_automatic_grids_are_laid_out_below_each_other() -> None:
    auto = {
        "kind": "AutoGridLayout",
        "spec": {
            "maxColumnCount": 2,
            "rowHeightMode": "short",
            "items": [
                {"kind": "AutoGridLayoutItem", "spec": {"element": {"kind": "ElementReference", "name": f"p{number}"}}}
                for number in (2, 3, 4)
            ],
        },
    }
    first = grid(reference(1, x=0, y=0, width=6, height=3))
    rows = [
        {"kind": "RowsLayoutRow", "spec": {"hideHeader": True, "layout": first}},
        {"kind": "RowsLayoutRow", "spec": {"title": "R", "layout": auto}},
        {"kind": "RowsLayoutRow", "spec": {"title": "S", "layout": grid(reference(5, x=1, y=2, width=3, height=4))}},
    ]
    wanted = [
        ("stat", "P1", 0, 0, 6, 3),
        ("row", "R", 0, 3, 24, 1),
        ("stat", "P2", 0, 4, 12, 5),
        ("stat", "P3", 12, 4, 12, 5),
        ("stat", "P4", 0, 9, 12, 5),
        ("row", "S", 0, 14, 24, 1),
        ("stat", "P5", 1, 17, 3, 4),
    ]
    assert read({"kind": "RowsLayout", "spec": {"rows": rows}}, 5) == wanted
    tabs = [{"kind": "TabsLayoutTab", "spec": {"title": "R", "layout": auto}}]
    assert read({"kind": "TabsLayout", "spec": {"tabs": tabs}}, 5)[0] == ("row", "R", 0, 0, 24, 1)


@pytest.mark.parametrize(
    ("query", "visual", "transformation"),
    [
        # v2beta1
        (
            {
                "query": {
                    "kind": "DataQuery",
                    "group": "prometheus",
                    "datasource": {"name": "u"},
                    "spec": {"expr": "up"},
                }
            },
            {"kind": "VizConfig", "group": "table", "version": "1", "spec": {"options": {"a": 1}}},
            {"kind": "limit", "spec": {"id": "limit", "options": {"limit": 1}}},
        ),
        # v2
        (
            {
                "query": {
                    "kind": "DataQuery",
                    "group": "prometheus",
                    "datasource": {"name": "u"},
                    "spec": {"expr": "up"},
                }
            },
            {"kind": "VizConfig", "group": "table", "version": "1", "spec": {"options": {"a": 1}}},
            {"kind": "Transformation", "group": "limit", "spec": {"options": {"limit": 1}}},
        ),
        # v2alpha1
        (
            {"datasource": {"type": "prometheus", "uid": "u"}, "query": {"kind": "prometheus", "spec": {"expr": "up"}}},
            {"kind": "table", "spec": {"pluginVersion": "1", "options": {"a": 1}}},
            {"kind": "limit", "spec": {"id": "limit", "options": {"limit": 1}}},
        ),
    ],
)
def test_all_versions_of_v2_are_read_alike(query: Json, visual: Json, transformation: Json) -> None:
    group = {
        "queries": [{"kind": "PanelQuery", "spec": {"refId": "B", "hidden": True, **query}}],
        "transformations": [transformation],
        "queryOptions": {"maxDataPoints": 7},
    }
    one = element(1, vizConfig=visual, data={"kind": "QueryGroup", "spec": group})
    spec = {"elements": {"p1": one}, "layout": grid(reference(1, x=0, y=0, width=6, height=3))}
    content = {"apiVersion": "dashboard.grafana.app/v2", "kind": "Dashboard", "metadata": {"name": "x"}, "spec": spec}
    (panel,) = formats.classic(content, "x")["panels"]
    assert (panel["type"], panel["options"], panel["maxDataPoints"]) == ("table", {"a": 1}, 7)
    source = {"type": "prometheus", "uid": "u"}
    assert panel["targets"] == [{"expr": "up", "refId": "B", "hide": True, "datasource": source}]
    assert panel["transformations"] == [{"id": "limit", "options": {"limit": 1}}]


def test_an_annotation_without_legacy_options_has_its_query() -> None:
    query = {"kind": "DataQuery", "group": "prometheus", "spec": {"expr": "up == 0", "interval": "5m", "refId": "Anno"}}
    one = {
        "kind": "AnnotationQuery",
        "spec": {"name": "A", "enable": True, "hide": False, "iconColor": "red", "query": query},
    }
    spec = {"elements": {}, "layout": grid(), "annotations": [one]}
    content = {"apiVersion": "dashboard.grafana.app/v2", "kind": "Dashboard", "metadata": {"name": "x"}, "spec": spec}
    (annotation,) = formats.classic(content, "x")["annotations"]["list"]
    assert (annotation["expr"], annotation["step"], annotation["name"]) == ("up == 0", "5m", "A")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "x.json: is no dashboard: it has no list of panels"),
        ({"title": "T"}, "x.json: is no dashboard: it has no list of panels"),
        (
            {"apiVersion": "dashboard.grafana.app/v3alpha1", "kind": "Dashboard", "spec": {}},
            "the format dashboard.grafana.app/v3alpha1 is not known; these are: v0alpha1, v1alpha1, v1beta1, v1,",
        ),
        (
            {"apiVersion": "folder.grafana.app/v1beta1", "kind": "Folder", "spec": {"title": "F"}},
            "x.json: is no dashboard: it is a Folder of folder.grafana.app/v1beta1",
        ),
        ({"apiVersion": "dashboard.grafana.app/v2", "kind": "Dashboard"}, "the resource has no spec"),
        (
            {"apiVersion": "dashboard.grafana.app/v1", "kind": "Dashboard", "spec": {}},
            "its spec has no list of panels, as v1",
        ),
        (
            {"apiVersion": "dashboard.grafana.app/v2", "kind": "Dashboard", "spec": {"layout": 5, "elements": {}}},
            "x.json: layout is a number, not an object",
        ),
    ],
)
def test_a_format_that_is_not_known_is_named(content: Any, message: str) -> None:
    with pytest.raises(RenderError) as caught:
        formats.classic(content, "x.json")
    assert message in str(caught.value)


@pytest.mark.parametrize("version", formats.CLASSIC_VERSIONS)
def test_resources_of_older_versions_hold_the_classic_model(version: str) -> None:
    inner = {"title": "T", "panels": []}
    content = {
        "apiVersion": f"dashboard.grafana.app/{version}",
        "kind": "Dashboard",
        "metadata": {"name": "u"},
        "spec": inner,
    }
    assert formats.classic(content, "x") == {"title": "T", "panels": [], "uid": "u"}
    assert formats.classic({"dashboard": inner, "meta": {}}, "x") == inner
