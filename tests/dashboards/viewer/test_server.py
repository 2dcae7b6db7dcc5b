"""Pages and their panels over HTTP: what is sent, what is sent again, and who is refused."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp.test_utils import TestClient, TestServer

from ml_monitoring.dashboards.render.prometheus import Prometheus
from ml_monitoring.dashboards.render.query_options import QueryOptions
from ml_monitoring.dashboards.viewer.library import Library
from ml_monitoring.dashboards.viewer.server import HEADERS, Viewer
from tests.support.house import EVIL, RANGE
from tests.support.panel_store import Store
from tools.processes import free_port

Json = dict[str, Any]
Client = TestClient[Any, Any]
T = TypeVar("T")


def asked(viewer: Viewer, *paths: str, headers: dict[str, str] | None = None) -> list[tuple[int, str]]:
    """Return status and text of each path, asked one after the other."""

    async def scenario(client: Client) -> list[tuple[int, str]]:
        found = []
        for path in paths:
            async with client.get(path, headers=headers) as answer:
                found.append((answer.status, await answer.text()))
        return found

    return with_client(viewer, scenario)


def with_client(viewer: Viewer, scenario: Callable[[Client], Awaitable[T]]) -> T:
    async def run() -> T:
        async with TestClient(TestServer(viewer.application())) as client:
            return await scenario(client)

    return asyncio.run(run())


def page_of(viewer: Viewer, query: str = RANGE, uid: str = "house", known: str = "") -> Json:
    async def scenario(client: Client) -> Json:
        async with client.get(f"/d/{uid}/panels.json?{query}", headers={"X-Known": known}) as answer:
            content: Json = await answer.json()
            return content

    return with_client(viewer, scenario)


def piece(page: Json, number: int) -> Json:
    (found,) = [one for one in page["panels"] if one["key"] == str(number)]
    return dict(found)


def links(html: str) -> list[tuple[str, str]]:
    return [(url.replace("&amp;", "&"), title) for url, title in re.findall(r"<a href='([^']+)' title='([^']*)'", html)]


def test_pages_are_listed_by_folder_and_files_that_are_none_are_named(viewer: Viewer, house: Path) -> None:
    (house / "broken.json").write_text("{", encoding="utf-8")
    (house / "Home" / "twin.json").write_text((house / "Home" / "rooms.json").read_text(), encoding="utf-8")
    ((status, text),) = asked(viewer, "/")
    assert status == 200
    assert re.findall(r"<h2[^>]*>(.*?)</h2>|<li><a href='(/d/[^']+)'>(.*?)</a>", text) == [
        ("Home", "", ""),
        ("", "/d/house", "House"),
        ("", "/d/rooms", "Rooms"),
    ]
    assert "Is somebody in?" in text
    assert re.findall(r"<p class='problem'[^>]*>[^<]*/(\S+): (.{0,24})", text) == [
        ("twin.json", "has the uid rooms, as " + str(house)[:2]),
        ("broken.json", "cannot be read as JSON: "),
    ]


def test_each_panel_says_how_it_is_and_one_that_failed_says_why(viewer: Viewer) -> None:
    page = page_of(viewer)
    assert [(one["key"], one["state"]) for one in page["panels"]] == [
        ("100", "open"), ("1", "ok"), ("2", "ok"), ("3", "ok"),
        ("101", "open"), ("4", "failed"), ("5", "unsupported"), ("6", "empty"),
        ("102", "collapsed"), ("7", "ok"),
    ]  # fmt: skip
    assert page["failed"] == 1
    assert re.search(r"class='message failed'.*query A: .*unclosed left parenthesis", piece(page, 4)["html"])
    assert "reads a data source of type loki" in piece(page, 5)["html"]
    assert page["span"] == "2026-01-15 11:00:00 to 2026-01-15 12:00:00 UTC"


def test_what_pages_say_is_text_wherever_it_stands(viewer: Viewer) -> None:
    page = page_of(viewer)
    for number in (6, 7):
        html = piece(page, number)["html"]
        assert "<script" not in html
        assert "<b style" not in html
        assert "&lt;script&gt;alert(1)" in html
    evil = f"{RANGE}&var-room={EVIL}&var-text={EVIL}&viewPanel=1"
    assert "<script" not in str(page_of(viewer, evil))


def test_links_lead_to_other_pages_with_variables_and_time(viewer: Viewer) -> None:
    page = page_of(viewer, f"{RANGE}&var-room=attic&var-room=office")
    every = "var-datasource=prometheus&var-room=attic&var-room=office&var-door=front&var-instance=%24__all&var-text="
    assert links(piece(page, 1)["html"]) == [(f"/d/rooms?{every}", "Rooms")]
    assert links(piece(page, 2)["html"]) == [
        (f"/d/rooms?var-room={room}&var-instance=%24__all&{RANGE}", f"Open {room}") for room in ("attic", "office")
    ]
    # Not to a page that is not there.
    assert links(piece(page, 3)["html"]) == [(f"/d/rooms?{RANGE}", "All rooms")]
    found = page["links"]["html"].replace("&amp;", "&")
    assert re.findall(r"<summary>(.*?)<|<a href='(.*?)'[^>]*>(.*?)<", found) == [
        ("More", "", ""),
        ("", f"/d/rooms?{every}&{RANGE}", "Rooms"),
        ("", "https://example.org/manual", "Manual"),
    ]
    # And each panel to itself alone.
    alone = f"?{RANGE}&var-room=attic&var-room=office&viewPanel=3"
    assert f"<a href='{alone}' data-view>Temperature</a>" in piece(page, 3)["html"].replace("&amp;", "&")


def test_variables_can_be_chosen(viewer: Viewer) -> None:
    page = page_of(viewer, f"{RANGE}&var-room=attic&var-door=back&var-text=a&var-gone=1")
    html = page["variables"]["html"]
    assert re.findall(r"type='checkbox' name='(.*?)' value='(.*?)'( checked)?", html) == [
        ("var-room", "$__all", ""), ("var-room", "attic", " checked"),
        ("var-room", "kitchen", ""), ("var-room", "office", ""),
    ]  # fmt: skip
    assert re.findall(r"<select name='(.*?)'|<option value='(.*?)'( selected)?>", html) == [
        ("var-door", "", ""), ("", "back", " selected"), ("", "front", ""),
    ]  # fmt: skip
    assert "<summary>Room <b>attic</b></summary>" in html
    assert "name='var-text' value='a'" in html
    assert "var-instance" not in html
    # What is chosen is what is asked.
    assert [trace["name"] for trace in piece(page, 3)["chart"]["traces"]] == ['temperature_celsius{room="attic"}']
    everything = page_of(viewer, f"{RANGE}&var-room=$__all")
    assert len(piece(everything, 3)["chart"]["traces"]) == 3
    assert "value='$__all' checked" in everything["variables"]["html"]
    # A value that is gone stays chosen, so that it can be seen why there are no data.
    gone = page_of(viewer, f"{RANGE}&var-room=cellar&var-door=trap")
    assert "value='cellar' checked" in gone["variables"]["html"]
    assert "<option value='trap' selected>" in gone["variables"]["html"]
    assert piece(gone, 3)["state"] == "empty"


def test_a_refresh_sends_what_changed_and_nothing_else(viewer: Viewer) -> None:
    page = page_of(viewer)
    known = " ".join(one["hash"] for one in (page["variables"], page["links"], *page["panels"]))
    again = page_of(viewer, known=known)
    assert [one["key"] for one in again["panels"] if "html" in one] == []
    assert again["variables"].keys() == again["links"].keys() == {"hash"}
    other = page_of(viewer, f"{RANGE}&theme=dark&var-door=back", known=known)
    # Colours and links to the panel alone are others in each.
    assert {one["key"] for one in other["panels"] if "html" in one} >= {"1", "2", "3", "6"}
    # A minute later, what shows no course is the same, and the chart begins a minute later.
    later = page_of(viewer, f"from={1768474860000}&to={1768478460000}", known=known)
    assert later["range"] == ["2026-01-15 11:01:00.000", "2026-01-15 12:01:00.000"]


def test_the_time_axis_is_the_page_s_where_the_panel_has_no_time_of_its_own(viewer: Viewer) -> None:
    chart = piece(page_of(viewer), 3)["chart"]
    assert chart["time"]
    assert "range" not in chart["layout"]["xaxis"]


def test_one_panel_alone_has_the_whole_width_and_shows_its_queries(viewer: Viewer) -> None:
    page = page_of(viewer, f"{RANGE}&viewPanel=panel-3&width=1200")
    (only,) = page["panels"]
    assert only["key"] == "3"
    assert "temperature_celsius{room=~&quot;(attic|kitchen|office)&quot;}" in only["html"]


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("from=soon", 400, "'soon' is no time"),
        ("from=now&to=now-1h", 400, "the end must be after the start"),
        ("viewPanel=99", 400, "house has no panel '99'; it has 1 (Doors)"),
    ],
)
def test_what_cannot_be_shown_is_said(viewer: Viewer, query: str, status: int, words: str) -> None:
    ((found, text),) = asked(viewer, f"/d/house/panels.json?{query}")
    assert found == status
    assert words in text


@pytest.mark.parametrize("path", ["/d/nowhere", "/d/nowhere/panels.json", "/assets/0/viewer.js", "/favicon.ico"])
def test_what_is_not_there_is_said(viewer: Viewer, path: str) -> None:
    ((status, text),) = asked(viewer, path)
    assert status == 404
    assert path in text or "Not Found" in text


def test_a_prometheus_that_is_away_is_named_on_the_list_and_in_place_of_panels(house: Path) -> None:
    url = f"http://user:secret@127.0.0.1:{free_port()}"
    with Prometheus(url) as away:
        viewer = Viewer(Library([str(house)], house), QueryOptions(away, None, None, {}, 15.0, 0.0))
        (_, contents), (status, page) = asked(viewer, "/", "/d/house/panels.json")
    assert "cannot be reached" in contents
    assert status == 502
    assert "house: variable room: http://127.0.0.1:" in page
    assert "secret" not in contents + page


def test_a_prometheus_that_goes_away_leaves_no_panel_without_a_word(house: Path, store: Store) -> None:
    @dataclass(slots=True)
    class Leaving(Prometheus):
        def get(self, path: str, arguments: Json) -> Json:
            url = self.url if path.startswith("label") else f"http://127.0.0.1:{port}"
            return Prometheus(url).get(path, arguments)

    port = free_port()
    with Leaving(store.url) as leaving:
        viewer = Viewer(Library([str(house)], house), QueryOptions(leaving, None, None, {}, 15.0, 0.0))
        page = page_of(viewer)
    asking = [one for one in page["panels"] if one["key"] in "12346"]
    assert {one["state"] for one in asking} == {"failed"}
    assert all("cannot be reached" in one["html"] for one in asking)


def test_those_who_ask_at_the_same_time_share_the_answers(house: Path, store: Store) -> None:
    @dataclass(slots=True)
    class Counting(Prometheus):
        seen: Counter[str] = field(default_factory=Counter)

        def get(self, path: str, arguments: Json) -> Json:
            self.seen[f"{path} {arguments.get('query')}"] += 1
            # Other slots of the base class make its own `super()` another one's.
            return Prometheus.get(self, path, arguments)

    with Counting(store.url) as counting:
        viewer = Viewer(Library([str(house)], house), QueryOptions(counting, None, None, {}, 15.0, 0.0))

        async def scenario(client: Client) -> None:
            # All in one of the stretches of time for which answers are shared.
            viewer.shared = 1e9
            await asyncio.gather(*(client.get(f"/d/house/panels.json?{RANGE}") for _ in range(5)))

        with_client(viewer, scenario)
    assert {number for asked, number in counting.seen.items() if asked.startswith("query")} == {1}


def test_files_are_read_again_when_they_change(viewer: Viewer, house: Path) -> None:
    path = house / "Home" / "rooms.json"
    text = path.read_text(encoding="utf-8")
    assert "Rooms</h1>" in asked(viewer, "/d/rooms")[0][1]
    path.write_text(text.replace('"title": "Rooms"', '"title": "All rooms"'), encoding="utf-8")
    assert "All rooms</h1>" in asked(viewer, "/d/rooms")[0][1]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200), ("localhost:9849", 200), ("127.0.0.1:9849", 200), ("[::1]:9849", 200), ("10.1.2.3", 200),
        ("dashboards.example", 200), ("DASHBOARDS.example:443", 200),
        ("evil.example", 403), ("localhost.evil.example:9849", 403), ("127.0.0.1.evil.example", 403), ("", 403),
        ("[::1", 403), ("evil.example#localhost", 403), ("localhost@evil.example", 403),
    ],
)  # fmt: skip
def test_names_of_others_are_refused(viewer: Viewer, host: str, status: int) -> None:
    for path in ("/", "/d/house", f"/d/house/panels.json?{RANGE}"):
        ((found, _),) = asked(viewer, path, headers={"Host": host})
        assert (path, found) == (path, status)


@pytest.mark.parametrize(("site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 200)])
def test_other_sites_cannot_make_prometheus_work(viewer: Viewer, site: str, status: int) -> None:
    (panels, page) = asked(viewer, f"/d/house/panels.json?{RANGE}", "/d/house", headers={"Sec-Fetch-Site": site})
    assert panels[0] == status
    # A link from a mail or from Alertmanager leads to the page all the same.
    assert page[0] == 200


def test_pages_load_nothing_from_elsewhere_and_run_nothing_that_stands_in_them(viewer: Viewer) -> None:
    async def scenario(client: Client) -> None:
        for path in ("/", "/d/house", "/d/house/any-title", "/d/nowhere", f"/d/house/panels.json?{RANGE}"):
            async with client.get(path) as answer:
                assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
                # Without the tags that are texts.
                text = re.sub(r"&lt;.*?&gt;", "", await answer.text())
                assert re.findall(r"""\s(?:style|on\w+)=""", text) == []
                loaded = re.findall(r"""<(?:script|link|img|iframe)[^>]*?(?:src|href)='([^']*)'""", text)
                assert [url for url in loaded if not url.startswith("/assets/")] == []
                assert re.findall(r"<script[^>]*>[^<]", text) == []
                for url in loaded:
                    async with client.get(url) as asset:
                        assert asset.status == 200
                        assert "immutable" in asset.headers["Cache-Control"]

    with_client(viewer, scenario)
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_nothing_can_be_written(viewer: Viewer) -> None:
    async def scenario(client: Client) -> list[int]:
        found = []
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            async with client.request(method, "/d/house") as answer:
                found.append(answer.status)
        return found

    assert with_client(viewer, scenario) == [405] * 4


def test_a_theme_that_was_chosen_is_the_first_that_is_seen(viewer: Viewer) -> None:
    found = asked(viewer, "/d/house", headers={"Cookie": "theme=dark"})[0][1]
    assert "<html lang='en' data-theme='dark'>" in found
    found = asked(viewer, "/d/house", headers={"Cookie": "theme=x' onload='alert(1)"})[0][1]
    assert "<html lang='en'>" in found
