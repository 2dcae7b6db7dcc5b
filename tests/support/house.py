"""Two pages of somebody's own about the house of `panel_store`, with all ways to lead from one to the other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.panel_store import END, START

Json = dict[str, Any]

RANGE = f"from={START * 1000}&to={END * 1000}"
EVIL = "</script><script>alert(1)</script><b style='color:red'>"


def variable(name: str, query: str, **more: Any) -> Json:
    return {"name": name, "label": name.title(), "type": "query", "query": query, "sort": 1, **more}


ROOM = variable(
    "room",
    "label_values(temperature_celsius, room)",
    multi=True,
    includeAll=True,
    current={"text": "All", "value": "$__all"},
)
DOOR = variable("door", "label_values(door_open, door)", current={"text": "front", "value": "front"})
HIDDEN = variable("instance", "label_values(http_requests_total, instance)", multi=True, includeAll=True, hide=2)
TEXT: Json = {"name": "text", "label": "Text", "type": "textbox", "query": ""}
SOURCE: Json = {"name": "datasource", "type": "datasource", "query": "prometheus"}


def panel(number: int, kind: str, title: str, x: int, y: int, *exprs: str, **more: Any) -> Json:
    targets: list[Json] = [{"refId": chr(65 + place), "expr": expr} for place, expr in enumerate(exprs)]
    if kind in ("table", "stat"):
        targets = [target | {"instant": True, "format": "table" if kind == "table" else ""} for target in targets]
    return {
        "id": number,
        "type": kind,
        "title": title,
        "gridPos": {"x": x, "y": y, "w": 8, "h": 6},
        "targets": targets,
        **more,
    }


def row(number: int, title: str, y: int, **more: Any) -> Json:
    return {"id": number, "type": "row", "title": title, "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}, **more}


TO_ROOM = '/d/rooms?var-room=${__data.fields["room"]:percentencode}&${instance:queryparam}&${__url_time_range}'
PAGES: dict[str, Json] = {
    "Home/house": {
        "title": "House",
        "description": "Is somebody in?",
        "tags": ["house"],
        "refresh": "5s",
        "links": [
            {
                "type": "dashboards", "title": "More", "tags": ["house"],
                "asDropdown": True, "includeVars": True, "keepTime": True,
            },
            {"type": "link", "title": "Manual", "url": "https://example.org/manual", "targetBlank": True},
        ],
        "templating": {"list": [SOURCE, ROOM, DOOR, HIDDEN, TEXT]},
        "panels": [
            row(100, "Now", 0),
            panel(
                1, "stat", "Doors", 0, 1, 'door_open{door="$door"}',
                description="Whether the $door door is open.",
                fieldConfig={"defaults": {"links": [{"title": "Rooms", "url": "/d/rooms?${__all_variables}"}]}},
            ),
            panel(
                2, "table", "Rooms", 8, 1, 'temperature_celsius{room=~"$room"}',
                fieldConfig={
                    "defaults": {},
                    "overrides": [
                        {
                            "matcher": {"id": "byName", "options": "room"},
                            "properties": [
                                {"id": "links", "value": [{"title": "Open ${__value.text}", "url": TO_ROOM}]},
                            ],
                        }
                    ],
                },
            ),
            panel(
                3, "timeseries", "Temperature", 16, 1, 'temperature_celsius{room=~"$room"}',
                links=[
                    {"title": "All rooms", "url": "/d/rooms?${__url_time_range}"},
                    {"title": "Gone", "url": "/d/gone"},
                ],
                options={"legend": {"showLegend": True}},
            ),
            row(101, "Wrong", 7),
            panel(4, "stat", "Broken", 0, 8, "sum("),
            panel(5, "logs", "Lines", 8, 8, '{app="x"}', datasource={"type": "loki", "uid": "l"}),
            panel(6, "stat", EVIL, 16, 8, "nothing_at_all", fieldConfig={"defaults": {"noValue": EVIL}}),
            row(102, "Folded", 14, collapsed=True, panels=[
                panel(7, "text", "About", 0, 15, options={"mode": "markdown", "content": f"{EVIL} [rooms](/d/rooms)"}),
            ]),
        ],
    },
    "Home/rooms": {
        "title": "Rooms",
        "tags": ["house"],
        "templating": {"list": [SOURCE, ROOM]},
        "panels": [panel(1, "timeseries", "Temperature of $room", 0, 0, 'temperature_celsius{room=~"$room"}')],
    },
}  # fmt: skip


def write_pages(directory: Path) -> Path:
    """Write the pages into a folder of Grafana's and return where."""
    for name, page in PAGES.items():
        path = directory / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"uid": path.stem, "schemaVersion": 39, **page}), encoding="utf-8")
    return directory
