"""The viewer in a real browser: panels are drawn, nothing is complained about, and all can be done by keyboard."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp.test_utils import BaseTestServer, TestServer

from ml_monitoring.dashboards.viewer.server import Viewer
from tests.support.browser import Tab, browser, find_chromium
from tests.support.house import RANGE
from tests.support.panel_store import SPECIMEN

Scenario = Callable[[Tab, str, BaseTestServer], Awaitable[None]]
LOADED = "document.querySelector('#main').getAttribute('aria-busy') === 'false'"


def browse(viewer: Viewer, scenario: Scenario) -> None:
    """Run a scenario with a browser, the viewer's address, and its server."""
    program = find_chromium()

    async def run() -> None:
        async with TestServer(viewer.application()) as server, browser(program) as tab:
            await tab.resize(1366)
            await scenario(tab, str(server.make_url("")).rstrip("/"), server)

    asyncio.run(run())


async def focused(tab: Tab) -> str:
    """Return what has the focus, as its name or text."""
    name = "one.getAttribute('aria-label') || one.name || one.id || one.textContent.trim()"
    return str(await tab.run(f"(one => {name})(document.activeElement)"))


def test_every_kind_of_panel_is_drawn_without_a_complaint_or_a_request_elsewhere(viewer: Viewer, house: Path) -> None:
    shutil.copy(SPECIMEN, house / "Home" / "specimen.json")

    async def scenario(tab: Tab, url: str, _: BaseTestServer) -> None:
        pages = [("/", "light"), ("/d/house", "light"), ("/d/specimen", "light"), ("/d/specimen", "dark")]
        for path, theme in pages:
            await tab.prefer(theme)
            await tab.open(f"{url}{path}?{RANGE}")
            if path == "/":
                continue
            await tab.until(LOADED)
            # What is out of sight is not drawn yet.
            await tab.resize(1366, await tab.run("document.documentElement.scrollHeight"))
            await tab.until("[...document.querySelectorAll('.chart')].every((one) => one.querySelector('svg'))")
            states = json.loads(
                await tab.run(
                    "JSON.stringify([...document.querySelectorAll('.panel')].map((one) => one.dataset.state))"
                )
            )
            expected = ["ok"] * 3 + ["failed", "unsupported", "empty", "ok"] if path == "/d/house" else ["ok"] * 20
            assert states == expected
            background = await tab.run("getComputedStyle(document.body).backgroundColor")
            assert background == ("rgb(17, 18, 23)" if theme == "dark" else "rgb(244, 245, 245)")
            await tab.resize(1366)
        assert tab.complaints == []
        assert tab.failed == []
        assert [one for one in tab.requested if not one.startswith((f"{url}/", "data:"))] == []

    browse(viewer, scenario)


def test_states_are_named_in_their_bands_where_that_fits_and_in_the_legend(viewer: Viewer, house: Path) -> None:
    shutil.copy(SPECIMEN, house / "Home" / "specimen.json")
    panels = json.loads(SPECIMEN.read_text(encoding="utf-8"))["panels"]
    (timeline,) = (one["id"] for one in panels if one["type"] == "state-timeline")

    async def scenario(tab: Tab, url: str, _: BaseTestServer) -> None:
        await tab.open(f"{url}/d/specimen?{RANGE}&viewPanel={timeline}")
        await tab.until(LOADED)
        await tab.until("document.querySelector('.chart svg .bars')")
        chart = "document.querySelector('.chart')"
        bands = json.loads(
            await tab.run(
                f"JSON.stringify([...{chart}.querySelectorAll('.point')].map((one) => {{"
                " const text = one.querySelector('text'), inside = text?.getBoundingClientRect(),"
                " band = one.querySelector('path').getBoundingClientRect();"
                " return [text?.textContent ?? '', band.width, inside?.width ?? 0]; }))"
            )
        )
        named = [(text, band, inside) for text, band, inside in bands if text and inside]
        assert named
        assert all(inside <= band for _, band, inside in named)
        # What is wide enough has its name.
        assert all(text for text, band, _ in bands if band > 150)
        legend = json.loads(
            await tab.run(
                "JSON.stringify([...document.querySelectorAll('.legend button')].map((one) => one.textContent.trim()))"
            )
        )
        states = json.loads(await tab.run(f"JSON.stringify([...new Set({chart}.data.flatMap((one) => one.text))])"))
        assert sorted(legend) == sorted(states)
        assert tab.complaints == []

    browse(viewer, scenario)


def test_variables_time_and_themes_are_chosen_by_keyboard(viewer: Viewer) -> None:
    async def scenario(tab: Tab, url: str, _: BaseTestServer) -> None:
        await tab.open(f"{url}/d/house?{RANGE}")
        await tab.until(LOADED)
        order = []
        for _number in range(14):
            await tab.press("Tab")
            order.append(await focused(tab))
        assert order == [
            "Skip to content", "Pages", "Dashboards", "More", "Manual", "Time range", "out", "again", "refresh",
            "theme", "Room All", "var-door", "var-text", "Now",
        ]  # fmt: skip
        # The list opens, its second choice is taken, and Escape closes and applies it.
        await tab.run("document.querySelector('#variables summary').focus()")
        await tab.press("Enter")
        for key in ("Tab", "Tab", " ", "Escape"):
            await tab.press(key)
        await tab.until("new URLSearchParams(location.search).getAll('var-room').join() === 'attic'")
        await tab.until(LOADED)
        await tab.until("document.querySelector('#variables summary').textContent === 'Room attic'")
        assert await tab.run("document.activeElement.textContent") == "Room attic"
        await tab.until("document.querySelector('[data-key=\"3\"] .chart')?.data?.length === 1")
        # A time range, and the way back.
        await tab.run("document.querySelector('#time summary').focus()")
        for key in ("Enter", "Tab", "Enter"):
            await tab.press(key)
        await tab.until("location.search.includes('from=now-5m&to=now')")
        await tab.until("document.querySelector('#time summary').textContent === 'Last 5 minutes'")
        await tab.run("history.back()")
        await tab.until("location.search.includes('var-room=attic') && !location.search.includes('now-5m')")
        await tab.until(LOADED)
        await tab.run(
            "(one => { one.value = 'dark'; one.dispatchEvent(new Event('change', {bubbles: true})); })"
            "(document.querySelector('#theme'))"
        )
        await tab.until(LOADED)
        await tab.open(f"{url}/d/rooms?{RANGE}")
        assert await tab.run("document.documentElement.dataset.theme") == "dark"
        assert tab.complaints == []

    browse(viewer, scenario)


def test_links_and_panels_lead_on_and_back(viewer: Viewer) -> None:
    async def scenario(tab: Tab, url: str, _: BaseTestServer) -> None:
        await tab.open(f"{url}/d/house?{RANGE}")
        await tab.until("document.querySelector('[data-key=\"2\"] td a')")
        # A panel alone, by keyboard, and back.
        await tab.run("document.querySelector('[data-key=\"3\"] h3 a').focus()")
        await tab.press("Enter")
        await tab.until("document.querySelectorAll('.panel').length === 1 && document.querySelector('.chart svg')")
        assert await focused(tab) == "← All panels"
        await tab.press("Escape")
        await tab.until("document.querySelectorAll('.panel').length === 7")
        # A row folds and opens again.
        await tab.run("document.querySelector('.group h2 button').focus()")
        await tab.press(" ")
        assert await tab.run("document.querySelector('[data-key=\"1\"]').checkVisibility()") is False
        await tab.press(" ")
        assert await tab.run("document.querySelector('[data-key=\"1\"]').checkVisibility()") is True
        # A stretch of time that is chosen in a chart is the page's.
        await tab.until("document.querySelector('[data-key=\"3\"] .chart svg')")
        await tab.run(
            "Plotly.relayout(document.querySelector('.chart'), "
            "{'xaxis.range[0]': '2026-01-15 11:10:00', 'xaxis.range[1]': '2026-01-15 11:20:00'}).then(() => true)"
        )
        await tab.until("location.search.includes('from=1768475400000&to=1768476000000')")
        await tab.until(LOADED)
        await tab.click("[data-key='2'] td a")
        await tab.until("location.pathname === '/d/rooms' && document.querySelector('.chart svg')")
        query = await tab.run("location.search")
        assert query == "?var-room=attic&var-instance=%24__all&from=1768475400000&to=1768476000000"
        assert tab.complaints == []

    browse(viewer, scenario)


def test_a_refresh_leaves_what_did_not_change_and_the_focus(viewer: Viewer) -> None:
    async def scenario(tab: Tab, url: str, _: BaseTestServer) -> None:
        await tab.open(f"{url}/d/house?{RANGE}")
        await tab.until("document.querySelector('.chart svg')")
        await tab.run(
            "(() => { const one = document.querySelector('[data-key=\"1\"] .stat a'); one.marked = true; one.focus();"
            "document.querySelector('[data-key=\"3\"] .legend button').click();"
            "document.querySelector('#again').click(); })()"
        )
        await tab.until("document.querySelector('#main').getAttribute('aria-busy') === 'false'")
        assert await tab.run("document.activeElement.marked") is True
        # Other colours make other pieces; what has the focus and what is hidden stay so.
        await tab.prefer("dark")
        await tab.until(LOADED)
        await tab.until("document.activeElement.tagName === 'A' && !document.activeElement.marked")
        await tab.until("document.querySelector('[data-key=\"3\"] .chart').data[0].visible === false")
        assert tab.complaints == []

    browse(viewer, scenario)


def test_when_nobody_answers_no_old_number_stays(viewer: Viewer) -> None:
    async def scenario(tab: Tab, url: str, server: BaseTestServer) -> None:
        await tab.open(f"{url}/d/house?{RANGE}")
        await tab.until("document.querySelector('[data-key=\"1\"] .stat')")
        # Prometheus first: the page says whose words these are.
        known, viewer.queries.prometheus.url = viewer.queries.prometheus.url, "http://127.0.0.1:1"
        viewer.queries.prometheus.forget()
        await tab.click("#again")
        await tab.until(
            "document.querySelector('#problem').textContent.includes('http://127.0.0.1:1 cannot be reached')"
        )
        assert await tab.run("document.querySelectorAll('.stat, .chart, td').length") == 0
        assert await tab.run("document.querySelectorAll('.panel .message.failed').length") == 7
        viewer.queries.prometheus.url = known
        await tab.click("#again")
        await tab.until("document.querySelector('[data-key=\"1\"] .stat') && document.querySelector('.chart svg')")
        assert await tab.run("document.querySelector('#problem').hidden") is True
        await server.close()
        await tab.click("#again")
        await tab.until("document.querySelector('#problem').textContent.includes('The viewer does not answer')")
        assert await tab.run("document.querySelectorAll('.stat, .chart, td').length") == 0

    browse(viewer, scenario)


def test_columns_of_a_table_are_as_wide_as_they_are_given_and_share_the_rest(viewer: Viewer, house: Path) -> None:
    page = json.loads(SPECIMEN.read_text(encoding="utf-8"))
    (table,) = [panel for panel in page["panels"] if panel["title"] == "Requests by instance"]
    (rate,) = [one for one in table["fieldConfig"]["overrides"] if one["matcher"]["options"] == "Rate"]
    rate["properties"].append({"id": "custom.width", "value": 90})
    (house / "Home" / "specimen.json").write_text(json.dumps(page), encoding="utf-8")

    async def scenario(tab: Tab, url: str, _: BaseTestServer) -> None:
        await tab.open(f"{url}/d/specimen?{RANGE}")
        panel = (
            "[...document.querySelectorAll('.panel')].find((one) => one.textContent.includes('Requests by instance'))"
        )
        await tab.until(f"{panel}?.querySelector('th')")
        heads = (
            f"[...{panel}.querySelectorAll('th')].map((one) => [one.textContent, one.getBoundingClientRect().width])"
        )
        widths = dict(json.loads(await tab.run(f"JSON.stringify({heads})")))
        assert widths.pop("Rate") == 90
        assert len(widths) == 3
        assert max(widths.values()) - min(widths.values()) < 1

    browse(viewer, scenario)


def test_on_a_phone_panels_stand_below_each_other(viewer: Viewer) -> None:
    async def scenario(tab: Tab, url: str, _: BaseTestServer) -> None:
        await tab.resize(390, 844)
        await tab.open(f"{url}/d/house?{RANGE}")
        await tab.until("document.querySelector('.chart svg')")
        assert await tab.run("document.documentElement.scrollWidth") == 390
        panels = "[...document.querySelectorAll('.panel')].filter((one) => one.checkVisibility())"
        boxes = f"{panels}.map((one) => one.getBoundingClientRect())"
        assert await tab.run(f"{boxes}.every((one) => one.width > 340 && one.height >= 100)")
        assert await tab.run(f"{boxes}.every((one, place, all) => !place || one.top >= all[place - 1].bottom)")
        assert tab.complaints == []

    browse(viewer, scenario)
