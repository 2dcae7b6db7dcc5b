"""Loading does not change a dashboard, transforming no frame, and drawing nothing that it draws."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.pages import BUILDERS
from ml_monitoring.dashboards.render.colours import DARK
from ml_monitoring.dashboards.render.display import Style
from ml_monitoring.dashboards.render.engine import DashboardData
from ml_monitoring.dashboards.render.frames import Field, FieldKind, Frame
from ml_monitoring.dashboards.render.interactive import write_html
from ml_monitoring.dashboards.render.model import load_dashboard
from ml_monitoring.dashboards.render.names import named
from ml_monitoring.dashboards.render.page import draw_dashboard
from ml_monitoring.dashboards.render.prometheus import Prometheus
from ml_monitoring.dashboards.render.query_options import QueryOptions
from ml_monitoring.dashboards.render.transforms import TRANSFORMATIONS, transform
from ml_monitoring.dashboards.render.units import Clock
from ml_monitoring.dashboards.render.variables import Variables
from tests.support.panel_store import END, SPECIMEN, START
from tests.support.promql import surviving_labels
from tests.support.specimen import specimen

Json = dict[str, Any]
STYLE = Style(DARK, Clock(now=END))
CONTEXT = PageContext.of(load_thresholds())
GENERATED = {page.uid: page for page in (specimen(), *(build(CONTEXT) for build in BUILDERS))}


@dataclass(slots=True)
class Invented(Prometheus):
    """Answers each query with two series of the labels that its result has, so that every panel has data."""

    def get(self, path: str, arguments: Json) -> Json:
        if path == "rules":
            alert = {"state": "firing", "labels": {"team": "mlops"}, "activeAt": "2026-01-15T11:00:00Z"}
            return {"data": {"groups": [{"rules": [{"name": "Rule", "alerts": [alert]}]}]}}
        if path not in ("query", "query_range"):
            return {"data": ["a", "b"]}
        names = surviving_labels(arguments["query"])
        series = [{name: f"{place}" if name == "le" else value for name in names} for place, value in enumerate("ab")]
        if path == "query":
            result = [
                {"metric": labels, "value": [arguments["time"], f"{place}"]} for place, labels in enumerate(series)
            ]
            return {"data": {"resultType": "vector", "result": result}}
        moments = [arguments["start"] + place * arguments["step"] for place in range(20)]
        matrix = [
            {"metric": labels, "values": [[moment, f"{math.sin(moment) + place}"] for moment in moments]}
            for place, labels in enumerate(series)
        ]
        return {"data": {"resultType": "matrix", "result": matrix}}


def assert_drawing_keeps(data: DashboardData, folder: Path) -> None:
    before = copy.deepcopy(data)
    draw_dashboard(data, STYLE)
    assert data == before
    write_html(data, STYLE, folder / "page.html")
    assert data == before


def test_drawing_changes_nothing_of_any_kind_of_panel(every_panel_data: DashboardData, tmp_path: Path) -> None:
    assert_drawing_keeps(every_panel_data, tmp_path)
    assert every_panel_data.dashboard.raw == json.loads(SPECIMEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("uid", GENERATED)
def test_drawing_changes_nothing_of_a_page(uid: str, tmp_path: Path) -> None:
    path = tmp_path / "page.json"
    path.write_text(json.dumps(GENERATED[uid].to_json(load_alerts(), load_thresholds().scope())), encoding="utf-8")
    dashboard = load_dashboard(path)
    before = copy.deepcopy(dashboard)
    with Invented("http://127.0.0.1") as prometheus:
        data = QueryOptions(prometheus, str(START), str(END), {}, 15.0, float(END)).load(dashboard)
    assert dashboard == before
    # Logs and rows of tables come from elsewhere; whatever asks Prometheus has something to be drawn.
    assert [one.title for one in data.panels if one.empty] == []
    assert_drawing_keeps(data, tmp_path)


# Those that do something to the frames below only with options.
OPTIONS: dict[str, Json] = {
    "organize": {"renameByName": {"room": "Room"}, "excludeByName": {"Time": True}},
    "renameByRegex": {"regex": "/(.*)om/", "renamePattern": "$1"},
    "filterFieldsByName": {"include": {"names": ["room"]}},
    "filterByRefId": {"include": "A"},
    "sortBy": {"sort": [{"field": "room"}]},
    "filterByValue": {
        "filters": [{"fieldName": "room", "config": {"id": "equal", "options": {"value": "attic"}}}],
        "match": "all",
    },
    "groupBy": {
        "fields": {"room": {"operation": "groupby"}, "Value": {"operation": "aggregate", "aggregations": ["sum"]}}
    },
    "convertFieldType": {"conversions": [{"targetField": "Value", "destinationType": "string"}]},
    "formatTime": {"timeField": "Time"},
    "groupingToMatrix": {"columnField": "room", "rowField": "Time", "valueField": "Value"},
    "limit": {"limitField": 1},
}


@pytest.mark.parametrize("kind", TRANSFORMATIONS)
def test_a_transformation_changes_no_frame(kind: str) -> None:
    frames = [
        Frame(
            [
                Field("Time", FieldKind.TIME, [1000.0, 2000.0]),
                Field("room", FieldKind.STRING, ["kitchen", "attic"]),
                Field("Value", FieldKind.NUMBER, [1.0, 2.0], labels={"floor": "1"}),
            ],
            letter,
        )
        for letter in "AB"
    ]
    before = copy.deepcopy(frames)
    result = transform(frames, [{"id": kind, "options": OPTIONS.get(kind, {})}], Variables())
    assert frames == before
    # What comes back as it was, was not tried; this one has nothing to do here.
    assert kind in {"prepareTimeSeries"} or result != named(before)
