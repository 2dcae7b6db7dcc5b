"""Texts of stats fit their tiles, however long they are and however narrow the page: measured in a real browser."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from ml_monitoring.dashboards.commands import OUTPUT_DIR
from ml_monitoring.dashboards.render.colours import LIGHT
from ml_monitoring.dashboards.render.display import Style
from ml_monitoring.dashboards.render.engine import DashboardData, PanelData
from ml_monitoring.dashboards.render.fields import configured
from ml_monitoring.dashboards.render.frames import Field, FieldKind, Frame
from ml_monitoring.dashboards.render.interactive import Surroundings, fragment_of
from ml_monitoring.dashboards.render.intervals import TimeRange
from ml_monitoring.dashboards.render.model import Dashboard, DashboardPanel, find_dashboards
from ml_monitoring.dashboards.render.variables import Variables
from ml_monitoring.dashboards.viewer import pages
from tests.support.browser import Tab, browser, find_chromium

Json = dict[str, Any]
STYLE = Style(LIGHT)
SPAN = TimeRange(0.0, 600.0)
WIDTHS = (500, 1400, 1920)
# How many values, and whether they are texts.
CASES = ((1, True), (2, True), (2, False), (30, False))
NAMES = ("MLflow", "since", "99% within 500 ms demo-inference", "fraud-detection-" * 2)
# What the panels say at their longest: an age, a ratio beyond its end, a rate with its unit, a sentence.
TEXTS = {1.0: "critical", 2.0: "59 minutes ago", 3.0: "< -100 %", 4.0: "not enough data yet to decide"}
MAPPED = [{"type": "value", "options": {str(int(value)): {"text": text} for value, text in TEXTS.items()}}]
# Of a text that is drawn: its own box, not that of the element which may be cut.
MEASURE = """JSON.stringify([...document.querySelectorAll('.stat')].map((stat) => {
  const box = ({ left, top, right, bottom }) => [left, top, right, bottom];
  const text = (one) => {
    const range = document.createRange();
    range.selectNodeContents(one);
    return box(range.getBoundingClientRect());
  };
  return {
    name: stat.closest('.panel').dataset.key,
    scrolls: stat.scrollHeight > stat.clientHeight || stat.scrollWidth > stat.clientWidth,
    panel: box(stat.getBoundingClientRect()),
    sizes: [...new Set([...stat.querySelectorAll('b')].map((one) => getComputedStyle(one).fontSize))],
    tiles: [...stat.children].map((tile) => ({
      box: box(tile.getBoundingClientRect()), texts: [...tile.querySelectorAll('b, small')].map(text),
    })),
  };
}))"""


def stats() -> list[tuple[Dashboard, DashboardPanel]]:
    """Return the stats of the generated pages; one of those that are alike in all that decides on the sizes."""
    found: dict[tuple[object, ...], tuple[Dashboard, DashboardPanel]] = {}
    for dashboard in find_dashboards([], OUTPUT_DIR):
        for panel in dashboard.panels:
            if panel.type == "stat":
                alike = (panel.grid.w, panel.grid.h, panel.defaults.get("unit"), json.dumps(panel.options))
                found.setdefault(alike, (dashboard, panel))
    return list(found.values())


def filled(panel: DashboardPanel, count: int, *, mapped: bool) -> PanelData:
    """Return a panel with so many long values, as texts or as numbers with its own unit."""
    raw = json.loads(json.dumps(panel.raw))
    config = raw.setdefault("fieldConfig", {})
    if mapped:
        config.setdefault("defaults", {})["mappings"] = MAPPED
        config["overrides"] = []
    frames = []
    for place in range(count):
        value = list(TEXTS)[(place + panel.id) % len(TEXTS)] if mapped else -1234.567 * (place + 1)
        times = Field("Time", FieldKind.TIME, [0.0, 60_000.0])
        name = NAMES[place % len(NAMES)]
        frames.append(Frame([times, Field("Value", FieldKind.NUMBER, [value, value], given_name=name)], "A", name))
    panel = replace(panel, raw=raw)
    return PanelData(panel, panel.title, SPAN, Variables(), configured(frames, config, Variables(), "stat"))


def page_of(count: int, *, mapped: bool) -> str:
    """Return a page of all stats in the viewer's grid."""
    sections = []
    top = 1
    for dashboard, panel in stats():
        data = filled(panel, count, mapped=mapped)
        around = Surroundings(DashboardData(dashboard, SPAN, Variables(), (data,)), STYLE)
        drawn, fragment = fragment_of(data, around)
        assert not drawn.error, drawn.error
        grid = panel.grid
        place = f"grid-column: 1 / span {grid.w}; grid-row: {top} / span {grid.h}; --height: {grid.h}"
        top += grid.h
        name = f"{dashboard.uid}/{panel.title}"
        sections.append(
            f"<section class='panel type-stat' data-key='{name}' style='{place}'>"
            f"<header><h3>{panel.title}</h3></header>{fragment.html}</section>"
        )
    return f"<main id='main'><div class='grid'>{''.join(sections)}</div></main>"


def overlap(one: list[float], other: list[float]) -> bool:
    return min(one[2], other[2]) - max(one[0], other[0]) > 0.5 and min(one[3], other[3]) - max(one[1], other[1]) > 0.5


def inside(one: list[float], other: list[float]) -> bool:
    return one[0] > other[0] - 0.5 and one[1] > other[1] - 0.5 and one[2] < other[2] + 0.5 and one[3] < other[3] + 0.5


def faults(stat: Json) -> Iterator[str]:
    """Yield what is wrong with one stat as it stands in the browser."""
    if len(stat["sizes"]) > 1:
        yield f"letters of several sizes: {stat['sizes']}"
    tiles = stat["tiles"]
    for place, tile in enumerate(tiles):
        if not stat["scrolls"] and not inside(tile["box"], stat["panel"]):
            yield f"tile {place} leaves the panel"
        for text in tile["texts"]:
            if not inside(text, tile["box"]):
                yield f"text leaves tile {place}: {text} {tile['box']}"
        if len(tile["texts"]) == 2 and overlap(*tile["texts"]):
            yield f"name and value of tile {place} overlap"
        if any(overlap(tile["box"], other["box"]) for other in tiles[:place]):
            yield f"tile {place} overlaps another"


def test_texts_of_stats_neither_leave_their_tiles_nor_overlap() -> None:
    program = find_chromium()
    files = pages.assets()
    bodies = {(count, mapped): page_of(count, mapped=mapped) for count, mapped in CASES}

    async def serve(request: web.Request) -> web.Response:
        if found := next((one for one in files.values() if one.address == request.path), None):
            return web.Response(body=found.body, content_type=found.kind)
        case = (int(request.query["count"]), request.query["mapped"] == "True")
        return web.Response(text=pages.frame("Stats", bodies[case], files, "light"), content_type="text/html")

    async def measured(tab: Tab) -> list[Json]:
        # Sizes are chosen before a frame is drawn.
        await tab.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
        return list(json.loads(await tab.run(MEASURE)))

    async def run() -> None:
        application = web.Application()
        application.router.add_get("/{path:.*}", serve)
        wrong = []
        async with TestServer(application) as server, browser(program) as tab:
            for count, mapped in CASES:
                await tab.resize(WIDTHS[0])
                await tab.open(str(server.make_url(f"/?count={count}&mapped={mapped}")))
                await tab.run("Panels.dress(document); document.fonts.ready.then(() => true)")
                for width in WIDTHS:
                    await tab.resize(width)
                    found = await measured(tab)
                    assert len(found) > 40
                    case = f"{count} values at {width} px"
                    wrong += [f"{case}: {one['name']}: {fault}" for one in found for fault in faults(one)]
                    if count <= 2:
                        wrong += [f"{case}: {one['name']} scrolls" for one in found if one["scrolls"]]
            assert not wrong, "\n".join(wrong[:40])
            assert tab.complaints == []

    asyncio.run(run())
