"""Panels are drawn as Grafana draws them, for the options and not for one example."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle

from ml_monitoring.dashboards.render.colours import DARK, LIGHT, mix
from ml_monitoring.dashboards.render.display import Style
from ml_monitoring.dashboards.render.draw import draw_content
from ml_monitoring.dashboards.render.draw.canvas import Area, Canvas
from ml_monitoring.dashboards.render.draw.heatmap import colour_ends, rows_of
from ml_monitoring.dashboards.render.draw.single import singles_of
from ml_monitoring.dashboards.render.draw.stat import course_ends, layout, tile
from ml_monitoring.dashboards.render.draw.states import opaque, state_bands
from ml_monitoring.dashboards.render.draw.table import column_widths, row_order
from ml_monitoring.dashboards.render.draw.timeseries import axes_of, prepared_lines, scale_of
from ml_monitoring.dashboards.render.engine import DashboardData, PanelData
from ml_monitoring.dashboards.render.fields import configured
from ml_monitoring.dashboards.render.frames import Field, FieldKind, Frame
from ml_monitoring.dashboards.render.intervals import TimeRange
from ml_monitoring.dashboards.render.layout import Box
from ml_monitoring.dashboards.render.model import Dashboard, DashboardPanel, GridPos
from ml_monitoring.dashboards.render.traces import chart_of
from ml_monitoring.dashboards.render.variables import Variables

Json = dict[str, Any]
STYLE = Style(LIGHT)
STEP = 60.0
UP_AND_DOWN = [
    {"type": "value", "options": {"0": {"text": "down", "color": "red"}, "1": {"text": "up", "color": "green"}}}
]
STEPS = {"mode": "absolute", "steps": [{"color": "red", "value": None}, {"color": "green", "value": 1}]}


def series(name: str, values: Sequence[float | None], *, missing: Sequence[int] = (), **labels: str) -> Frame:
    kept = [place for place in range(len(values)) if place not in missing]
    times = Field("Time", FieldKind.TIME, [place * STEP * 1000 for place in kept])
    column = Field("Value", FieldKind.NUMBER, [values[place] for place in kept], labels, given_name=name, step=60_000)
    return Frame([times, column], "A", name)


def table(**columns: list[Any]) -> Frame:
    kinds = {
        name: FieldKind.STRING if any(isinstance(cell, str) for cell in cells) else FieldKind.NUMBER
        for name, cells in columns.items()
    }
    return Frame([Field(name, kinds[name], cells) for name, cells in columns.items()], "A")


def panel(
    kind: str,
    frames: Sequence[Frame],
    *,
    options: Json | None = None,
    defaults: Json | None = None,
    overrides: Sequence[Json] = (),
    minutes: int = 10,
) -> PanelData:
    config = {"defaults": defaults or {}, "overrides": list(overrides)}
    raw = {"type": kind, "title": "P", "options": options or {}, "fieldConfig": config}
    fitted = configured(frames, config, Variables(), kind)
    one = DashboardPanel(1, kind, "P", GridPos(0, 0, 12, 8), raw)
    return PanelData(one, "P", TimeRange(0.0, minutes * 60.0), Variables(), fitted)


def drawn(data: PanelData, width: float = 600, height: float = 300) -> Canvas:
    canvas = Canvas(width, height, STYLE)
    draw_content(data, Area(canvas, Box(0, 0, width, height)), ())
    return canvas


def words(canvas: Canvas) -> list[str]:
    return [text.get_text() for axes in canvas.figure.axes for text in axes.texts]


def x_of(canvas: Canvas, word: str) -> float:
    (found,) = [text for axes in canvas.figure.axes for text in axes.texts if text.get_text() == word]
    return float(found.get_window_extent().x0) / canvas.figure.dpi * 96


def states(data: PanelData) -> list[tuple[float, float, str]]:
    ((_, bands),) = state_bands(data, STYLE)
    return [(band.start / 60_000, band.end / 60_000, band.text) for band in bands]


# Timelines


def timeline(kind: str = "state-timeline", mode: str = "thresholds", **options: Any) -> PanelData:
    defaults = {"mappings": UP_AND_DOWN, "thresholds": STEPS, "color": {"mode": mode}}
    return panel(kind, [series("a", [0, 0, 1])], options=options, defaults=defaults, minutes=3)


def test_a_timeline_that_merges_values_by_thresholds_loses_its_value_mappings() -> None:
    assert states(timeline()) == [(0, 2, "< 1"), (2, 3, "1+")]
    assert {"< 1", "1+"} <= set(words(drawn(timeline())))
    assert not {"up", "down"} & set(words(drawn(timeline())))


@pytest.mark.parametrize(
    "kept", [timeline(mode="palette-classic"), timeline(mergeValues=False), timeline("status-history")]
)
def test_other_colour_modes_and_unmerged_values_keep_their_mappings(kept: PanelData) -> None:
    assert {text for _, _, text in states(kept)} == {"up", "down"}


def test_a_single_threshold_makes_one_state_of_all_values() -> None:
    one_step = {"mode": "absolute", "steps": [{"color": "blue", "value": None}]}
    defaults = {"thresholds": one_step, "mappings": UP_AND_DOWN, "color": {"mode": "thresholds"}}
    data = panel("state-timeline", [series("a", [0, 1, 0])], defaults=defaults, minutes=3)
    assert states(data) == [(0, 3, "-∞+")]


def test_thresholds_in_per_cent_are_of_the_scale() -> None:
    steps = {"mode": "percentage", "steps": [{"color": "red", "value": None}, {"color": "green", "value": 50}]}
    defaults = {"thresholds": steps, "color": {"mode": "thresholds"}, "min": 0, "max": 200}
    data = panel("state-timeline", [series("a", [90, 110])], defaults=defaults, minutes=2)
    assert states(data) == [(0, 1, "< 50%"), (1, 2, "50%+")]


@pytest.mark.parametrize(
    ("spanned", "wanted"),
    [
        (False, [(0, 2, "1"), (4, 6, "1"), (6, 7, "2")]),
        (True, [(0, 6, "1"), (6, 7, "2")]),
        (240_000, [(0, 6, "1"), (6, 7, "2")]),
        (180_000, [(0, 2, "1"), (4, 6, "1"), (6, 7, "2")]),
    ],
)
def test_a_state_ends_where_a_sample_is_missing_unless_nulls_are_connected(spanned: Any, wanted: list[Any]) -> None:
    defaults = {"color": {"mode": "palette-classic"}, "custom": {"spanNulls": spanned}}
    frame = series("a", [1, 1, None, 9, 1, 1, 2], missing=[3])
    assert states(panel("state-timeline", [frame], defaults=defaults)) == wanted


def test_a_number_that_is_none_is_a_state_of_its_own() -> None:
    data = panel("state-timeline", [series("a", [1.0, math.nan])], defaults={"color": {"mode": "palette-classic"}})
    assert states(data) == [(0, 1, "1"), (1, 2, "NaN")]


@pytest.mark.parametrize(
    ("colour", "custom", "wanted"),
    [
        ("#FF0000", {}, mix("#FF0000", DARK.panel, 0.7)),
        ("#FF0000", {"fillOpacity": 100}, "#ff0000"),
        ("#FF0000", {"fillOpacity": 0}, DARK.panel.lower()),
        ("#FF000080", {"fillOpacity": 100}, mix("#FF0000", DARK.panel, 128 / 255)),
    ],
)
def test_bands_are_as_opaque_as_the_panel_says_by_default_70_per_cent(colour: str, custom: Json, wanted: str) -> None:
    assert opaque(colour, Field("x", FieldKind.NUMBER, [], config={"custom": custom}), DARK) == wanted


# Tables


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        # What `getColumns` of Grafana's Table gives for 600 pixels.
        ([{}, {}, {}], [200, 200, 200]),
        ([{}, {}, {}, {}, {}], [150, 150, 150, 150, 150]),
        ([{"width": 60}, {}, {}], [60, 270, 270]),
        ([{"minWidth": 50}, {"minWidth": 50}, {}, {}, {}], [75, 75, 150, 150, 150]),
        ([{"width": 300}, {"width": 400}], [300, 400]),
        ([{"minWidth": 300}, {"minWidth": 50}, {"minWidth": 50}], [300, 150, 150]),
        ([{"width": 80}, {"minWidth": 250}, {}, {}], [80, 250, 150, 150]),
    ],
)
def test_columns_are_as_wide_as_grafana_makes_them(settings: list[Json], wanted: list[float]) -> None:
    columns = [Field("x", FieldKind.STRING, ["long " * 50], config={"custom": custom}) for custom in settings]
    assert column_widths(columns, 600) == pytest.approx(wanted)


def test_columns_that_do_not_fit_are_out_of_sight() -> None:
    data = panel("table", [table(**{name: ["cell"] for name in "abcde"})])
    assert [word for word in words(drawn(data, width=600)) if word != "cell"] == ["a", "b", "c", "d"]
    narrow = panel("table", data.frames, defaults={"custom": {"minWidth": 50}})
    assert [word for word in words(drawn(narrow, width=600)) if word != "cell"] == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("cells", "rising", "falling"),
    [
        # What react-table 7.8.0 gives with Grafana's comparisons.
        ([3.0, 1.0, 3.0, None, math.nan, 2.0, 1.0], [3, 4, 1, 6, 5, 0, 2], [2, 0, 5, 6, 1, 4, 3]),
        (["b", "A", "a", None, "", "z", "b"], [4, 1, 2, 0, 6, 3, 5], [5, 3, 6, 0, 2, 1, 4]),
    ],
)
def test_rows_are_sorted_as_in_grafana(cells: list[Any], rising: list[int], falling: list[int]) -> None:
    for descending, wanted in ((False, rising), (True, falling)):
        sort = [{"displayName": "x", "desc": descending}]
        data = panel("table", [table(x=cells)], options={"sortBy": sort})
        assert row_order(data, data.frames[0]) == wanted


def test_rows_that_are_equal_in_the_first_column_are_sorted_by_the_second() -> None:
    sort = [{"displayName": "x", "desc": False}, {"displayName": "y", "desc": True}]
    data = panel("table", [table(x=[2.0, 1.0, 1.0], y=[5.0, 6.0, 7.0])], options={"sortBy": sort})
    assert row_order(data, data.frames[0]) == [2, 1, 0]


# Single numbers


@pytest.mark.parametrize(
    ("width", "height", "count", "columns", "rows"),
    [
        # What Grafana's `calculateGridDimensions` gives.
        (364, 88, 2, 2, 1), (364, 88, 3, 3, 1), (364, 246, 4, 2, 2), (764, 88, 9, 9, 1), (200, 400, 3, 1, 3),
        (364, 88, 7, 7, 1), (1550, 200, 12, 12, 1), (100, 100, 5, 3, 2), (320, 164, 6, 3, 2),
    ],
)  # fmt: skip
def test_several_values_stand_in_grafanas_grid(width: int, height: int, count: int, columns: int, rows: int) -> None:
    places = tile(Box(0, 0, width, height), count, "auto")
    assert len({place.x for place in places[:columns]}) == columns
    assert len({place.y for place in places}) == rows


def test_a_single_value_is_in_the_middle_and_several_stand_at_the_left() -> None:
    alone = drawn(panel("stat", [series("a", [5])], options={"graphMode": "none"}), 200, 90)
    both = drawn(panel("stat", [series("a", [5]), series("b", [7])], options={"graphMode": "none"}), 300, 120)
    assert x_of(alone, "5") > 70
    assert [x_of(both, word) for word in ("a", "b")] == pytest.approx([x_of(both, word) for word in ("5", "7")], abs=3)
    assert x_of(both, "5") < 20 < 150 < x_of(both, "7")
    centred = {"graphMode": "none", "justifyMode": "center"}
    middle = drawn(panel("stat", [series("a", [5]), series("b", [7])], options=centred), 300, 120)
    assert x_of(middle, "5") > 40


def test_in_a_flat_tile_the_name_stands_at_the_left_and_the_value_at_the_right() -> None:
    how = layout(Box(0, 0, 400, 60), "name", "12.5 s", course=False, options={})
    assert (how.wide, how.centred) == (True, False)
    options = {"graphMode": "none", "textMode": "value_and_name"}
    canvas = drawn(panel("stat", [series("name", [12])], options=options), 400, 60)
    assert x_of(canvas, "name") < 20
    assert x_of(canvas, "12") > 330


def test_the_course_of_a_value_has_the_scale_of_the_field() -> None:
    frames = [series("a", [0.2, 0.3]), series("b", [0.5, 0.9])]
    shared = panel("stat", frames)
    assert [course_ends(one.field) for one in singles_of(shared, STYLE)] == [(0.2, 0.9), (0.2, 0.9)]
    whole = panel("stat", frames, defaults={"min": 0, "max": 1})
    assert [course_ends(one.field) for one in singles_of(whole, STYLE)] == [(0.0, 1.0), (0.0, 1.0)]
    own = panel("stat", frames, defaults={"fieldMinMax": True})
    assert [course_ends(one.field) for one in singles_of(own, STYLE)] == [(0.2, 0.3), (0.5, 0.9)]


def test_a_table_is_one_number_a_column_or_with_values_one_a_row() -> None:
    frame = table(job=["x", "y", ""], Value=[1.0, 2.0, 3.0])

    def shown(frame: Frame, **options: Any) -> list[tuple[str, str]]:
        data = panel("bargauge", [frame], options={"reduceOptions": {"calcs": ["lastNotNull"], **options}})
        return [(one.name, str(one.shown)) for one in singles_of(data, STYLE)]

    assert shown(frame) == [("Value", "3")]
    assert shown(frame, values=True) == [("x", "1"), ("y", "2"), ("Value", "3")]
    assert shown(frame, values=True, limit=2) == [("x", "1"), ("y", "2")]
    wider = table(job=["x"], Value=[1.0], Other=[4.0])
    assert shown(wider, values=True) == [("x Value", "1"), ("x Other", "4")]
    assert shown(frame, calcs=["min", "max"]) == [("Value", "1"), ("Value", "3")]


def test_each_row_has_a_colour_of_the_palette() -> None:
    options = {"reduceOptions": {"values": True}}
    data = panel(
        "bargauge", [table(Value=[1.0, 2.0])], options=options, defaults={"color": {"mode": "palette-classic"}}
    )
    assert [one.shown.colour for one in singles_of(data, STYLE)] == [LIGHT.palette(0), LIGHT.palette(1)]


# Time series


def lines_of(canvas: Canvas, length: int) -> list[Any]:
    found = [
        line for axes in canvas.figure.axes for line in axes.lines if len(np.atleast_1d(line.get_xdata())) == length
    ]
    return sorted(found, key=lambda line: line.get_zorder())


def legend_of(data: PanelData) -> list[str]:
    said = words(drawn(data))
    return said[said.index("a") :][:3]


def test_the_last_value_of_a_series_that_ended_is_none() -> None:
    legend = {"displayMode": "table", "calcs": ["last", "lastNotNull"]}
    defaults = {
        "noValue": "none at all",
        "mappings": [{"type": "special", "options": {"match": "null", "result": {"text": "-"}}}],
    }
    data = panel("timeseries", [series("a", [0, 1, 7])], options={"legend": legend}, defaults=defaults, minutes=5)
    assert legend_of(data) == ["a", "-", "7"]
    going_on = panel("timeseries", [series("a", [0, 1, 7])], options={"legend": legend}, defaults=defaults, minutes=3)
    assert legend_of(going_on) == ["a", "7", "7"]


def test_the_last_series_is_drawn_on_top() -> None:
    values = list(range(200))
    canvas = drawn(panel("timeseries", [series("a", values), series("b", values)], minutes=200))
    assert [line.get_color() for line in lines_of(canvas, 200)] == [LIGHT.palette(0), LIGHT.palette(1)]


def test_a_threshold_beyond_the_data_is_out_of_sight_unless_a_soft_end_reaches_it() -> None:
    custom = {"thresholdsStyle": {"mode": "line"}}
    defaults = {"custom": custom, "thresholds": {"mode": "absolute", "steps": [{"color": "red", "value": 50}]}}
    lines = prepared_lines(panel("timeseries", [series("a", [10, 12])], defaults=defaults).frames, LIGHT)
    assert scale_of(lines, 200, STYLE).high < 50
    defaults["custom"] = custom | {"axisSoftMax": 60}
    lines = prepared_lines(panel("timeseries", [series("a", [10, 12])], defaults=defaults).frames, LIGHT)
    assert scale_of(lines, 200, STYLE).high == 60


def override(name: str, **settings: Any) -> Json:
    properties = [{"id": key.replace("__", "."), "value": value} for key, value in settings.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": properties}


def test_series_of_other_units_and_ends_have_axes_of_their_own() -> None:
    overrides = [
        override("b", unit="s"), override("c", unit="bytes"), override("d", custom__axisPlacement="hidden"),
        override("e", max=100, custom__axisGridShow=True),
    ]  # fmt: skip
    data = panel("timeseries", [series(name, [1, 2]) for name in "abcdef"], overrides=overrides)
    axes = axes_of(prepared_lines(data.frames, LIGHT))
    assert [("".join(line.field.display for line in axis.lines), axis.side, axis.grid) for axis in axes] == [
        ("af", "left", True),
        ("b", "right", False),
        ("c", "right", False),
        ("d", "hidden", False),
        ("e", "right", True),
    ]


def test_bars_of_several_series_stand_in_front_of_each_other() -> None:
    defaults = {"custom": {"drawStyle": "bars", "fillOpacity": 40}}
    canvas = drawn(panel("timeseries", [series("a", [1, 2]), series("b", [2, 1])], defaults=defaults))
    patches = [patch for axes in canvas.figure.axes[1:] for patch in axes.patches]
    bars = [patch for patch in patches if isinstance(patch, Rectangle)]
    centres = [bar.get_x() + bar.get_width() / 2 for bar in bars]
    assert centres == pytest.approx([0, 60_000, 0, 60_000])
    assert {round(to_rgba(bar.get_facecolor())[3], 2) for bar in bars} == {0.4}


def test_bars_are_equally_wide_where_samples_are_missing() -> None:
    defaults = {"custom": {"drawStyle": "bars", "fillOpacity": 40}}
    frames = [series("a", [1, 2, 3, 4, 5], missing=[2]), series("b", [1, 2, 3, 4, 5], missing=[1, 3])]
    canvas = drawn(panel("timeseries", frames, defaults=defaults))
    patches = [patch for axes in canvas.figure.axes[1:] for patch in axes.patches]
    widths = {round(patch.get_width()) for patch in patches if isinstance(patch, Rectangle)}
    assert widths == {36_000}


def test_a_line_along_zero_is_not_cut_in_half() -> None:
    (zero,) = lines_of(drawn(panel("timeseries", [series("a", [0.0] * 300)], minutes=300)), 300)
    (above,) = lines_of(drawn(panel("timeseries", [series("a", [1.0] * 300)], minutes=300)), 300)
    assert (zero.get_clip_on(), above.get_clip_on()) == (False, True)


def test_points_are_drawn_where_samples_are_sparse() -> None:
    sparse = drawn(panel("timeseries", [series("a", list(range(10)))]))
    dense = drawn(panel("timeseries", [series("a", list(range(200)))], minutes=200))
    assert any(line.get_marker() == "o" for line in lines_of(sparse, 10))
    assert not any(line.get_marker() == "o" for line in lines_of(dense, 200))


def test_breaks_of_one_series_of_a_stack_break_no_other() -> None:
    defaults = {"custom": {"stacking": {"mode": "normal", "group": "A"}}}
    frames = [series("whole", [5, 5, 5, 5]), series("seldom", [1, 0, 0, 2], missing=[1, 2])]
    whole, seldom = prepared_lines(panel("timeseries", frames, defaults=defaults).frames, LIGHT)
    assert whole.y.tolist() == [5, 5, 5, 5]
    assert [(at, value) for at, value in zip(seldom.x / 60_000, seldom.y, strict=True) if value == value] == [
        (0, 6),
        (3, 7),
    ]
    # It is broken itself.
    assert len(seldom.y) == 3
    assert whole.base.tolist() == [0, 0, 0, 0]
    assert seldom.base[[0, -1]].tolist() == [5, 5]


@pytest.mark.parametrize("mode", ["normal", "none"])
@pytest.mark.parametrize("shape", ["linear", "stepAfter"])
def test_a_gap_of_an_area_is_filled_in_no_browser(mode: str, shape: str) -> None:
    custom = {"stacking": {"mode": mode, "group": "A"}, "fillOpacity": 70, "lineInterpolation": shape}
    frames = [series("whole", [5] * 6), series("seldom", [1, 1, 0, 0, 2, 2], missing=[2, 3])]
    data = panel("timeseries", frames, defaults={"custom": custom})
    whole = DashboardData(Dashboard("p", "P", Path("p.json"), {}), data.span, data.variables, (data,))
    chart = chart_of(data, whole, STYLE)
    assert chart is not None
    assert [trace["name"] for trace in chart[0]] == ["whole", "seldom"] * 2
    assert not any("fill" in trace for trace in chart[0][:2])
    area = chart[0][3]
    assert (area["fill"], area["area"]) == ("toself", 1)
    base = 5 if mode == "normal" else 0
    points = list(zip(area["x"], area["y"], strict=True))
    parts = [points[: points.index((None, None))], points[points.index((None, None)) + 1 : -1]]
    # Each part is closed: from above down to what is below it, and back.
    assert [sorted({at / 60_000 for at, _ in part}) for part in parts] == [[0, 1], [4, 5]]
    assert [sorted({value for _, value in part}) for part in parts] == [[base, base + 1], [base, base + 2]]


def test_a_panel_without_a_colour_mode_has_that_of_its_type() -> None:
    frames = [series("a", [1]), series("b", [2])]
    assert [line.colour for line in prepared_lines(panel("timeseries", frames).frames, LIGHT)] == [
        LIGHT.palette(0),
        LIGHT.palette(1),
    ]
    stat = panel("stat", frames, defaults={"thresholds": STEPS})
    assert [one.shown.colour for one in singles_of(stat, STYLE)] == [LIGHT.colour("green")] * 2


# Heatmaps


def heatmap(**options: Any) -> PanelData:
    frames = [series("1", [5, 0, 9], le="1"), series("2", [40, 3, 0], le="2")]
    return panel("heatmap", frames, options=options, minutes=2)


def test_the_colours_of_a_heatmap_begin_at_the_smallest_cell_that_is_drawn() -> None:
    rows = rows_of(heatmap())
    assert rows is not None
    cells = rows[2][np.isfinite(rows[2])]
    assert sorted(cells) == [3, 5, 9, 40]
    assert colour_ends(cells, {}) == (3, 40)
    assert colour_ends(cells, {"min": 0, "max": 10}) == (0, 10)


def test_empty_buckets_are_drawn_where_the_panel_says_so() -> None:
    rows = rows_of(heatmap(filterValues={"le": -1}))
    assert rows is not None
    assert np.isfinite(rows[2]).all()


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, ["0.0", "1", "2"]),
        ({"yAxis": {"unit": "s"}}, ["0 s", "1 s", "2 s"]),
        ({"yAxis": {"unit": "s", "decimals": 1}}, ["0 s", "1.0 s", "2.0 s"]),
        ({"rowsFrame": {"layout": "unknown"}}, ["1", "2"]),
    ],
)
def test_buckets_are_labelled_at_their_upper_edge(options: Json, wanted: list[str]) -> None:
    assert words(drawn(heatmap(**options, legend={"show": False})))[-len(wanted) :] == wanted


def test_labels_of_many_buckets_are_thinned_by_halves_as_in_grafana() -> None:
    frames = [series(str(bound), [1, 2], le=str(bound)) for bound in range(1, 21)]
    data = panel("heatmap", frames, options={"legend": {"show": False}}, minutes=2)
    # 21 labels in 185 pixels would be less than ten apart; eleven are not.
    assert words(drawn(data, 600, 200))[-11:] == ["0.0", *map(str, range(2, 21, 2))]
    assert words(drawn(data, 600, 240))[-21:] == ["0.0", *map(str, range(1, 21))]
