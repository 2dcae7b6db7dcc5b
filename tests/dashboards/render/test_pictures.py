"""Dashboards become pictures: every kind of panel, none in the way of another, no text on top of another."""

from __future__ import annotations

import io
import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.transforms import Bbox
from PIL import Image

from ml_monitoring.dashboards.cli import main
from ml_monitoring.dashboards.render.colours import DARK, LIGHT, THEMES
from ml_monitoring.dashboards.render.display import Style
from ml_monitoring.dashboards.render.draw.canvas import Canvas
from ml_monitoring.dashboards.render.engine import DashboardData
from ml_monitoring.dashboards.render.fonts import BOLD
from ml_monitoring.dashboards.render.model import Dashboard, load_dashboard
from ml_monitoring.dashboards.render.notes import with_notes
from ml_monitoring.dashboards.render.page import draw_dashboard
from ml_monitoring.dashboards.render.query_options import QueryOptions
from ml_monitoring.dashboards.render.units import Clock
from tests.support.panel_store import END, START, Store

CLOCK = Clock(now=END)


def words(canvas: Canvas) -> list[str]:
    return [text.get_text() for axes in canvas.figure.axes for text in axes.texts]


def write(folder: Path, *panels: dict[str, Any], **more: Any) -> Path:
    path = folder / "page.json"
    path.write_text(json.dumps({"uid": "page", "title": "Page", "panels": list(panels), **more}), encoding="utf-8")
    return path


def panel(number: int, kind: str, title: str, *exprs: str, **more: Any) -> dict[str, Any]:
    targets = [{"refId": chr(65 + place), "expr": expr} for place, expr in enumerate(exprs)]
    grid = {"x": 6 * ((number - 1) % 4), "y": 8 * ((number - 1) // 4), "w": 6, "h": 8}
    return {"id": number, "type": kind, "title": title, "gridPos": grid, "targets": targets, **more}


def range_of(store: Store) -> list[str]:
    return ["--prometheus", store.url, "--from", str(START), "--to", str(END)]


@pytest.mark.parametrize("theme", THEMES)
def test_every_kind_of_panel_is_drawn_without_a_text_on_another(every_panel_data: DashboardData, theme: str) -> None:
    canvas = draw_dashboard(every_panel_data, Style(THEMES[theme], CLOCK))
    assert [one.error for one in every_panel_data.panels if one.error] == []
    boxes = [
        # A pixel of leading on each side may touch.
        (text.get_text(), Bbox.from_extents(*text.get_window_extent().padded(-1.5).extents))
        for axes in canvas.figure.axes
        for text in axes.texts
    ]
    touching = [f"{one!r} and {other!r}" for (one, a), (other, b) in combinations(boxes, 2) if a.overlaps(b)]
    assert touching == []
    page = Bbox.from_extents(0, 0, *canvas.figure.get_size_inches() * canvas.figure.dpi)
    outside = [text for text, box in boxes if not page.contains(box.x0, box.y0) or not page.contains(box.x1, box.y1)]
    assert outside == []


def test_the_numbers_in_the_picture_are_those_of_the_queries(every_panel_data: DashboardData) -> None:
    said = words(draw_dashboard(every_panel_data, Style(LIGHT, CLOCK)))
    # Title, variable, mapped states, a number with its unit, a legend's calculation, a table's sum, a repeated title.
    for expected in (
        "Specimen of every panel",
        "All",
        "open",
        "27.6",
        "°C",
        "27.4 req/s",
        "48 K",
        "In kitchen",
        "AlwaysOn",
    ):
        assert expected in said
    assert "2026-01-15 11:00:00 to 2026-01-15 12:00:00 UTC" in said


def test_the_same_data_give_the_same_bytes(queries: QueryOptions, every_panel: Dashboard) -> None:
    pictures = []
    for _ in range(2):
        file = io.BytesIO()
        draw_dashboard(queries.load(every_panel), Style(DARK, CLOCK), width=1200).save(file, "png", 48)
        pictures.append(file.getvalue())
    assert pictures[0] == pictures[1]


def test_a_panel_that_fails_is_named_and_does_not_stop_the_others(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = write(
        tmp_path,
        panel(1, "timeseries", "Good", "temperature_celsius"),
        panel(2, "timeseries", "Bad", "sum("),
        panel(3, "nodeGraph", "Strange", "up"),
        panel(4, "logs", "Other", '{app="x"}', datasource={"type": "loki", "uid": "l"}),
        panel(5, "stat", "Twisted", "temperature_celsius", options={"reduceOptions": {"fields": "/(/"}}),
    )
    arguments = ["render", str(page), *range_of(store), "--out", str(tmp_path / "out"), "--dpi", "48"]
    assert main(arguments) == 0
    output = capsys.readouterr().out.splitlines()
    assert output[0] == f"{tmp_path}/out/page.png  (5 panels, 2 not supported, 2 failed)"
    assert output[1:3] == [
        "  not supported: panel 3 (Strange): panels of type nodeGraph are not drawn here",
        "  not supported: panel 4 (Other): it reads a data source of type loki; only Prometheus is asked here",
    ]
    # Prometheus's own words, which differ a little between versions.
    assert re.fullmatch(r"  failed: panel 2 \(Bad\): query A: .*1:5: parse error: unclosed left parenthesis", output[3])
    assert output[4].startswith("  failed: panel 5 (Twisted): cannot be drawn: RenderError: the regular expression /(/")
    assert main([*arguments, "--strict"]) == 1


@pytest.mark.parametrize("dpi", [96, 144])
def test_letters_are_as_wide_as_they_are_measured_in_any_resolution(dpi: int) -> None:
    canvas = Canvas(400, 40, Style(LIGHT, CLOCK))
    measured = canvas.text(10, 20, "Routes and latency distribution", size=15, weight=BOLD)
    file = io.BytesIO()
    canvas.save(file, "png", dpi)
    # Where the picture is not as its upper left corner.
    pixels = np.asarray(Image.open(file).convert("L")).astype(int)
    columns = np.nonzero((abs(pixels - pixels[0, 0]) > 20).any(axis=0))[0]
    assert (columns[-1] - columns[0]) * 96 / dpi == pytest.approx(measured, abs=4)


def loki(number: int, title: str, **place: int) -> dict[str, Any]:
    link = {"title": "How", "url": "https://example.org/how"}
    one = panel(number, "logs", title, "{}", datasource={"type": "loki", "uid": "l"}, links=[link])
    return one | {"gridPos": {"x": 0, "y": 0, "w": 24, "h": 8} | place}


def test_neighbours_whose_source_is_not_asked_are_one_sentence(
    queries: QueryOptions, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    below = panel(3, "stat", "Below", "temperature_celsius") | {"gridPos": {"x": 0, "y": 16, "w": 24, "h": 4}}
    page = write(tmp_path, loki(1, "Lines"), loki(2, "Errors", y=8), below)
    data = queries.load(load_dashboard(page))
    note, moved = with_notes(data.panels)
    assert note.panel.options["content"] == (
        "**Lines** and **Errors** read a data source of type loki; only Prometheus is asked here. "
        "How: <https://example.org/how>"
    )
    assert (note.panel.grid.y, note.panel.grid.h, moved.panel.grid.y) == (0, 2, 2)
    assert main(["render", str(page), *range_of(store), "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith("page.png  (3 panels, 2 not supported)")


def test_a_panel_beside_them_keeps_their_boxes(queries: QueryOptions, tmp_path: Path) -> None:
    beside = panel(3, "stat", "Beside", "temperature_celsius") | {"gridPos": {"x": 12, "y": 8, "w": 12, "h": 8}}
    page = write(tmp_path, loki(1, "Lines"), loki(2, "Errors", y=8, w=12), beside)
    data = queries.load(load_dashboard(page))
    assert list(with_notes(data.panels)) == list(data.panels)


def test_a_hole_in_the_data_is_a_hole_in_the_line(queries: QueryOptions, tmp_path: Path) -> None:
    page = load_dashboard(write(tmp_path, panel(1, "timeseries", "T", 'temperature_celsius{room="attic"}')))
    canvas = draw_dashboard(queries.load(page), Style(LIGHT, CLOCK))
    drawn = [np.asarray(line.get_ydata(), dtype=float) for axes in canvas.figure.axes for line in axes.lines]
    (values,) = [line for line in drawn if len(line) > 100]
    assert np.isnan(values).sum() == 1


@pytest.mark.parametrize(
    ("form", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml"), ("html", b"<!doctype")]
)
def test_formats(store: Store, tmp_path: Path, form: str, magic: bytes) -> None:
    page = write(
        tmp_path, panel(1, "timeseries", "T", "temperature_celsius"), panel(2, "stat", "S", "temperature_celsius")
    )
    assert main(["render", str(page), *range_of(store), "--format", form, "--out", str(tmp_path)]) == 0
    assert (tmp_path / f"page.{form}").read_bytes().startswith(magic)


def test_resolution(store: Store, tmp_path: Path) -> None:
    page = write(tmp_path, panel(1, "stat", "S", "temperature_celsius"))
    assert main(["render", str(page), *range_of(store), "--dpi", "300", "--width", "800", "--out", str(tmp_path)]) == 0
    with Image.open(tmp_path / "page.png") as picture:
        assert picture.width == 2500
        assert round(picture.info["dpi"][0]) == 300


def folded(path: Path) -> None:
    page = json.loads(path.read_text("utf-8"))
    hidden, *shown = page["panels"]
    row = {"id": 9, "type": "row", "title": "Details", "collapsed": True, "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1}}
    for one in shown:
        one["gridPos"]["y"] = 1
    page["panels"] = [{**row, "panels": [hidden]}, *shown]
    path.write_text(json.dumps(page), encoding="utf-8")


def test_a_folded_row_is_its_heading_only_and_what_follows_moves_up(store: Store, tmp_path: Path) -> None:
    page = write(tmp_path, panel(1, "stat", "Hidden", "door_open"), panel(2, "stat", "Shown", "temperature_celsius"))
    folded(page)
    drawn = {}
    for more in ([], ["--all-rows"]):
        command = ["render", str(page), *range_of(store), "--dpi", "96", *more, "--out", str(tmp_path), "--format"]
        assert main([*command, "svg"]) == 0
        svg = (tmp_path / "page.svg").read_text("utf-8")
        drawn[len(more)] = [word in svg for word in ("Hidden", "Shown", "Details", "(1 panel)")], len(svg)
        assert main([*command, "png"]) == 0
        with Image.open(tmp_path / "page.png") as picture:
            drawn[len(more)] = drawn[len(more)][0], picture.height
    assert drawn[0] == ([False, True, True, True], 386)
    assert drawn[1] == ([True, True, True, False], 690)


def test_a_panel_of_a_folded_row_can_be_drawn_alone(store: Store, tmp_path: Path) -> None:
    page = write(tmp_path, panel(1, "stat", "Hidden", "door_open"), panel(2, "stat", "Shown", "temperature_celsius"))
    folded(page)
    assert main(["render", str(page), *range_of(store), "--panel", "Hidden", "--out", str(tmp_path)]) == 0
    assert [path.name for path in tmp_path.glob("*.png")] == ["page-hidden.png"]


def test_minus_zero_is_zero_and_has_its_words(store: Store, tmp_path: Path) -> None:
    words_of_zero = [{"type": "value", "options": {"0": {"text": "Keep the baseline", "index": 0}}}]
    code = panel(1, "stat", "Code", "-1 * (temperature_celsius - temperature_celsius)")
    share = panel(2, "stat", "Share", "-1 * (temperature_celsius - temperature_celsius)")
    share["fieldConfig"] = {"defaults": {"unit": "locale"}}
    code["fieldConfig"] = {"defaults": {"mappings": words_of_zero}}
    page = write(tmp_path, code, share)
    assert main(["render", str(page), *range_of(store), "--format", "svg", "--out", str(tmp_path)]) == 0
    svg = (tmp_path / "page.svg").read_text("utf-8")
    assert "Keep the baseline" in svg
    assert ">-0<" not in svg


def test_one_panel_alone(store: Store, tmp_path: Path) -> None:
    page = write(
        tmp_path, panel(1, "stat", "First", "door_open"), panel(2, "stat", "Room's heat", "temperature_celsius")
    )
    assert main(["render", str(page), *range_of(store), "--panel", "Room's heat", "--out", str(tmp_path)]) == 0
    assert [path.name for path in tmp_path.glob("*.png")] == ["page-room-s-heat.png"]
    # As `data` takes it.
    assert main(["render", f"{page}/First", *range_of(store), "--out", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.glob("*.png")} == {"page-room-s-heat.png", "page-first.png"}


def test_the_interactive_page_needs_no_network_and_runs_no_text_of_the_dashboard(store: Store, tmp_path: Path) -> None:
    evil = "<!--<script></script><script>alert(1)</script>"
    page = write(
        tmp_path,
        panel(1, "timeseries", evil, "temperature_celsius"),
        panel(
            2,
            "text",
            "T",
            options={"mode": "markdown", "content": f"{evil} [x](javascript:alert(1)) <img src=x onerror=alert(1)>"},
        ),
        panel(3, "table", "N", "names", targets=[{"refId": "A", "expr": "names", "format": "table", "instant": True}]),
        title=evil,
    )
    assert main(["render", str(page), *range_of(store), "--format", "html", "--out", str(tmp_path)]) == 0
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert re.findall(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=", text) == []
    assert "<script>alert" not in text
    assert re.findall(r"""href=["']javascript""", text) == []
    assert 'with "quotes"' in text.replace("&quot;", '"')


def test_the_legend_of_the_interactive_page_is_sorted_as_that_of_a_picture(store: Store, tmp_path: Path) -> None:
    legend = {"showLegend": True, "displayMode": "table", "calcs": ["last", "max"], "sortBy": "Last", "sortDesc": True}
    targets = [{"refId": "A", "expr": "temperature_celsius", "legendFormat": "{{room}}"}]
    page = write(tmp_path, panel(1, "timeseries", "T", "", targets=targets, options={"legend": legend}))
    assert main(["render", str(page), *range_of(store), "--format", "html", "--out", str(tmp_path)]) == 0
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    rows = re.findall(r"<tr data-trace='[^']*'>.*?</i>(\w+)</button></td><td>([\d.]+)</td>", text)
    assert [name for name, _ in rows] == ["attic", "office", "kitchen"]
    assert [float(value) for _, value in rows] == sorted((float(value) for _, value in rows), reverse=True)


def test_what_cannot_be_read_is_said(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    (tmp_path / "other.json").write_text("[1]", encoding="utf-8")
    good = write(tmp_path, panel(1, "stat", "S", "up"))
    for arguments, message in (
        ([str(tmp_path / "bad.json")], "bad.json: cannot be read as JSON"),
        ([str(tmp_path / "other.json")], "other.json: is no dashboard"),
        (["nowhere"], "no dashboard 'nowhere': neither a file nor a known uid; there are: "),
        ([str(good), "--var", "x=1"], "--var x: none of the dashboards has it"),
        ([str(good), "--panel", "Z"], "page has no panel 'Z'; it has 1 (S)"),
        ([str(good), "--prometheus", "http://127.0.0.1:1"], "http://127.0.0.1:1 cannot be reached"),
    ):
        assert main(["render", *range_of(store), *arguments, "--out", str(tmp_path)]) == 1
        assert message in capsys.readouterr().err
    for arguments, message in (
        (["--from", "soon"], "error: --from: 'soon' is no time"),
        (["--to", "later"], "error: --to: 'later' is no time"),
        (["--var", "x"], "error: --var x: write it as NAME=VALUE"),
        (["--timeout", "5"], ""),
        (["--timeout", "5x"], "argument --timeout: '5x': not a duration"),
    ):
        try:
            status = main(["render", *range_of(store), str(good), *arguments, "--out", str(tmp_path)])
        except SystemExit as ended:
            status = int(str(ended.code))
        assert status == (2 if message else 0)
        assert message in capsys.readouterr().err
