"""Links lead where Grafana's would, and only to addresses."""

from __future__ import annotations

import pytest

from ml_monitoring.dashboards.render.colours import LIGHT
from ml_monitoring.dashboards.render.display import Style
from ml_monitoring.dashboards.render.frames import Field, FieldKind, Frame
from ml_monitoring.dashboards.render.links import Cell, links_of, resolved
from ml_monitoring.dashboards.render.variables import Value, Variables

VARIABLES = Variables(
    {
        "room": Value(("a b", "c&d"), ("a b", "c&d"), listed=True),
        "all": Value(("x", "y"), ("x", "y"), is_all=True, all_value=".*", listed=True),
        "none": Value((), (), listed=True),
    },
    {"__url_time_range": "from=now-1h&to=now", "__from": "1000", "__to": "2000"},
)
ROOM = Field("room", FieldKind.STRING, ["attic", 'up & "down"'], display="Room")
HEAT = Field("Value", FieldKind.NUMBER, [20.0, 21.5], {"floor": "2", "a-b": "c"}, {"unit": "celsius"}, "Heat")
TIME = Field("Time", FieldKind.TIME, [1000.0, 2000.0], display="Time")
CELL = Cell(HEAT, Frame([TIME, ROOM, HEAT]), 1, Style(LIGHT))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/d/x?${room:queryparam}", "/d/x?var-room=a%20b&var-room=c%26d"),
        ("/d/x?${all:queryparam}", "/d/x?var-all=%24__all"),
        ("/d/x?${__url_time_range}", "/d/x?from=now-1h&to=now"),
        ("/d/x?$__all_variables", "/d/x?var-room=a%20b&var-room=c%26d&var-all=%24__all"),
        ("/d/x?from=${__from}&to=${__to}", "/d/x?from=1000&to=2000"),
        ("/d/x?r=${__data.fields.Room}", "/d/x?r=up%20%26%20%22down%22"),
        ('/d/x?r=${__data.fields["Room"]:percentencode}', "/d/x?r=up%20%26%20%22down%22"),
        ("/d/x?r=${__data.fields['room']:raw}", '/d/x?r=up & "down"'),
        ("/d/x?r=${__data.fields[1]}", "/d/x?r=up%20%26%20%22down%22"),
        ("/d/x?f=${__field.labels.floor}", "/d/x?f=2"),
        ('/d/x?f=${__field.labels["a-b"]}', "/d/x?f=c"),
        ("/d/x?f=${__field.name}-${__field.displayName}", "/d/x?f=Value-Heat"),
        ("/d/x?v=${__value.raw}", "/d/x?v=21.5"),
        ("/d/x?v=${__value.text}", "/d/x?v=21.5%20%C2%B0C"),
        ("/d/x?t=${__value.time}", "/d/x?t=2000"),
        # What is not there stays as it is, to be seen.
        ("/d/x?r=${__data.fields.Gone}", "/d/x?r=${__data.fields.Gone}"),
        ("/d/x?r=${__data.fields[9]}", "/d/x?r=${__data.fields[9]}"),
        ("/d/x?r=$gone", "/d/x?r=$gone"),
    ],
)
def test_variables_of_links(url: str, expected: str) -> None:
    assert resolved(url, VARIABLES, CELL) == expected


@pytest.mark.parametrize(
    ("url", "leads"),
    [
        ("https://example.org/x", True), ("http://example.org", True), ("/d/known", True),
        ("/d/other", False), ("//example.org/d/known", False), ("javascript:alert(1)", False),
        ("JavaScript:alert(1)", False), (" javascript:alert(1)", False), ("data:text/html,x", False), ("", False),
        ("${__data.fields.Room:raw}", False),
    ],
)  # fmt: skip
def test_what_leads_nowhere_or_runs_is_no_link(url: str, leads: bool) -> None:
    found = list(links_of([{"url": url}], VARIABLES, CELL, leads=lambda path: path.startswith("/d/known")))
    assert bool(found) is leads


def test_a_link_is_text_in_its_page() -> None:
    (link,) = links_of([{"url": "https://x/'><b>", "title": "<i>'", "targetBlank": True}], VARIABLES)
    assert link.around("text") == (
        "<a href='https://x/&#x27;&gt;&lt;b&gt;' title='&lt;i&gt;&#x27;' "
        "rel='noopener noreferrer' target='_blank'>text</a>"
    )
