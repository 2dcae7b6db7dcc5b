"""What a page shows now, as JSON: only the pieces that the browser does not have yet."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from html import escape
from typing import Any
from urllib.parse import urlencode, urlsplit

from ml_monitoring.dashboards.render.colours import THEMES
from ml_monitoring.dashboards.render.display import Style
from ml_monitoring.dashboards.render.engine import DashboardData, PanelData
from ml_monitoring.dashboards.render.interactive import Fragment, Surroundings, fragment_of
from ml_monitoring.dashboards.render.links import all_variables, links_of, resolved
from ml_monitoring.dashboards.render.model import COLUMNS, Dashboard
from ml_monitoring.dashboards.render.notes import with_notes
from ml_monitoring.dashboards.render.query_options import QueryOptions
from ml_monitoring.dashboards.render.traces import moment
from ml_monitoring.dashboards.render.units import Clock
from ml_monitoring.dashboards.render.variables import ALL, Value
from ml_monitoring.dashboards.viewer.library import Shelf

Json = dict[str, Any]

# Of a page without a width: a laptop's.
WIDTH = 1366
_WIDTHS = (300, 4000)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a browser asks for.

    Attributes:
        start: Begin of the time range as Grafana writes it; empty takes the dashboard's.
        end: Its end.
        selected: Values of variables.
        theme: `light` or `dark`.
        width: Of the page in pixels.
        panel: Show the panel with this id alone; empty for all.
        known: Hashes of the pieces that the browser has.
    """

    start: str = ""
    end: str = ""
    selected: Mapping[str, list[str]] | None = None
    theme: str = "light"
    width: int = WIDTH
    panel: str = ""
    known: Collection[str] = ()

    @classmethod
    def of(cls, query: Sequence[tuple[str, str]], known: Collection[str] = ()) -> Wish:
        """Read the query of an address."""
        given: dict[str, str] = {}
        selected: dict[str, list[str]] = {}
        for name, value in query:
            if name.startswith("var-"):
                selected.setdefault(name.removeprefix("var-"), []).append(value)
            else:
                given[name] = value
        width = given.get("width", "")
        return cls(
            given.get("from", ""),
            given.get("to", ""),
            # As the browser says that nothing is chosen.
            {name: values for name, values in selected.items() if values != [""]},
            given["theme"] if given.get("theme") in THEMES else "light",
            max(_WIDTHS[0], min(int(width), _WIDTHS[1])) if width.isascii() and width.isdigit() else WIDTH,
            given.get("viewPanel", ""),
            known,
        )


def answer(dashboard: Dashboard, shelf: Shelf, queries: QueryOptions, wish: Wish) -> Json:
    """Return what the page shows.

    Raises:
        RenderError: The time range is none, there is no such panel, or a variable cannot be read. What goes wrong
            with a panel is written in it.
    """
    queries = replace(queries, start=wish.start or None, end=wish.end or None, selected=wish.selected or {})
    only, width = None, wish.width
    if wish.panel:
        only = dashboard.panel(wish.panel.removeprefix("panel-"))
        # It gets the whole width, and as many points.
        width = width * COLUMNS // only.grid.w
    data = queries.load(dashboard, width=width, only=only)
    style = Style(THEMES[wish.theme], Clock(dashboard.timezone, queries.now))
    around = Surroundings(data, style, leads=lambda url: _leads(url, shelf))
    panels = [_piece(key, one, around, wish) for key, one in _keyed(data)]
    return {
        "title": dashboard.title,
        "time": {"from": queries.start or dashboard.time[0], "to": queries.end or dashboard.time[1]},
        "span": data.span.describe(dashboard.timezone),
        # Charts have no ends of their own, or each would be another one at each refresh.
        "range": [moment(data.span.start * 1000), moment(data.span.end * 1000)],
        "variables": _hashed({"html": variables_form(data)}, wish.known),
        "links": _hashed({"html": _dashboard_links(dashboard, shelf, data)}, wish.known),
        "problems": list(data.problems),
        "panels": panels,
        "failed": sum(one["state"] == "failed" for one in panels),
    }


def _leads(url: str, shelf: Shelf) -> bool:
    parts = urlsplit(url).path.split("/")
    return len(parts) > 2 and parts[1] == "d" and shelf.find(parts[2]) is not None


def _keyed(data: DashboardData) -> Iterator[tuple[str, PanelData]]:
    """Yield the panels with a name for each that lasts from one refresh to the next."""
    used: dict[str, int] = {}
    for one in with_notes(data.panels):
        base = "-".join([str(one.panel.id or one.panel.type), *(f"{name}-{value}" for name, value in one.panel.scope)])
        used[base] = used.get(base, 0) + 1
        yield (base if used[base] == 1 else f"{base}-{used[base]}"), one


def _piece(key: str, one: PanelData, around: Surroundings, wish: Wish) -> Json:
    grid = one.panel.grid
    place = [grid.x, grid.y, grid.w, grid.h]
    if one.panel.type == "row":
        state = "collapsed" if one.panel.raw.get("collapsed") else "open"
        return {"key": key, "type": "row", "title": one.title, "place": place, "state": state, "hash": ""}
    one, fragment = fragment_of(one, around)
    state = (
        "unsupported"
        if one.unsupported or one.instead_of
        else "failed"
        if one.error
        else "empty"
        if one.empty
        else "ok"
    )
    chart = fragment.chart
    if chart and chart["time"] and one.span == around.data.span:
        axis = {name: value for name, value in chart["layout"]["xaxis"].items() if name != "range"}
        chart = {**chart, "layout": {**chart["layout"], "xaxis": axis}}
    content = {
        "html": _inside(key, one, fragment, around, wish),
        "chart": chart,
        "transparent": bool(one.panel.raw.get("transparent")),
    }
    return {
        "key": key,
        "type": one.panel.type,
        "place": place,
        "state": state,
        **_hashed(content, wish.known),
    }


def _hashed(content: Json, known: Collection[str]) -> Json:
    """Return content with its hash, or the hash alone where the browser has it."""
    text = json.dumps(content, sort_keys=True, default=str).encode()
    digest = blake2b(text, digest_size=8).hexdigest()
    return {"hash": digest} if digest in known else {"hash": digest, **content}


def _inside(key: str, one: PanelData, fragment: Fragment, around: Surroundings, wish: Wish) -> str:
    """Return the HTML inside a panel: its heading, which leads to the panel alone, and what it shows."""
    name = escape(key, quote=True)
    title = escape(one.title)
    if not wish.panel:
        title = f"<a href='{escape(view_address(wish, one.panel.id), quote=True)}' data-view>{title}</a>"
    head = f"<h3 id='title-{name}'>{title}</h3>" if one.title else ""
    hint = str(one.variables.title(str(one.panel.raw.get("description") or "")))
    if hint:
        head += (
            f"<span class='hint'><button type='button' aria-label='About this panel' aria-describedby='hint-{name}'>i"
            f"</button><span role='tooltip' id='hint-{name}'>{escape(hint)}</span></span>"
        )
    links = links_of(one.panel.raw.get("links"), one.variables, leads=around.leads)
    head += "".join(f"<span class='link'>{link.around('↗', named=True)}</span>" for link in links)
    warnings = "".join(f"<p class='warning'>{escape(text)}</p>" for text in dict.fromkeys(one.warnings))
    asked = ""
    if wish.panel and one.queries:
        queries = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in one.queries.items())
        asked = f"<details class='queries'><summary>Queries</summary><dl>{queries}</dl></details>"
    return f"<header>{head}</header>{fragment.html}{warnings}{asked}" if head else f"{fragment.html}{warnings}{asked}"


def view_address(wish: Wish, panel: int) -> str:
    """Return the address of a panel alone, with what is chosen."""
    query = [(name, value) for name, value in (("from", wish.start), ("to", wish.end)) if value]
    query += [(f"var-{name}", value) for name, values in (wish.selected or {}).items() for value in values]
    return "?" + urlencode([*query, ("viewPanel", str(panel))])


def _dashboard_links(dashboard: Dashboard, shelf: Shelf, data: DashboardData) -> str:
    """Return the dashboard's own links; a link to dashboards by tag is a list of them."""
    variables = data.variables
    found = []
    for one in dashboard.raw.get("links") or []:
        more = [all_variables(variables)] if one.get("includeVars") else []
        more += [variables.builtin["__url_time_range"]] if one.get("keepTime") else []
        title = escape(variables.title(str(one.get("title") or "")))
        if one.get("type") == "dashboards":
            pages = [page for page in shelf.tagged(one.get("tags") or []) if page.uid != dashboard.uid]
            items = [f"<a href='{_with(f'/d/{page.uid}', more)}'>{escape(page.title)}</a>" for page in pages]
            if one.get("asDropdown") and items:
                listed = "".join(f"<li>{item}</li>" for item in items)
                found.append(f"<details class='menu'><summary>{title}</summary><ul>{listed}</ul></details>")
            else:
                found += items
        else:
            url = resolved(str(one.get("url") or ""), variables)
            if url.startswith(("http://", "https://")) or _leads(url, shelf):
                found.append(f"<a href='{_with(url, more)}' rel='noopener noreferrer'>{title or escape(url)}</a>")
    return "".join(found)


def _with(url: str, more: Sequence[str]) -> str:
    given = "&".join(part for part in more if part)
    joined = f"{url}{'&' if '?' in url else '?'}{given}" if given else url
    return escape(joined, quote=True)


def variables_form(data: DashboardData) -> str:
    """Return the variables as what they are chosen with."""
    found = []
    for variable in data.dashboard.variables:
        name = str(variable.get("name"))
        value = data.variables.values.get(name)
        if value is None or variable.get("hide") == 2 or variable.get("type") in ("datasource", "constant"):
            continue
        label = escape(str(variable.get("label") or name))
        field = f"var-{escape(name, quote=True)}"
        if variable.get("type") == "textbox":
            text = escape(value.text, quote=True)
            found.append(f"<label class='variable'>{label} <input type='text' name='{field}' value='{text}'></label>")
        elif variable.get("multi"):
            found.append(_many(field, label, value, every=bool(variable.get("includeAll"))))
        else:
            found.append(_one(field, label, value, every=bool(variable.get("includeAll"))))
    return "".join(found)


def _choices(value: Value, *, every: bool) -> Iterator[tuple[str, str, bool]]:
    """Yield what can be chosen: value, text, and whether it is."""
    chosen = set() if value.is_all else set(value.values)
    if every:
        yield ALL, "All", value.is_all
    # What an address names need not exist any more, and is chosen all the same.
    gone = [(one, text) for one, text in zip(value.values, value.texts, strict=True) if one in chosen]
    for one, text in dict([*value.options, *gone]).items():
        yield one, text, one in chosen


def _one(field: str, label: str, value: Value, *, every: bool) -> str:
    options = "".join(
        f"<option value='{escape(one, quote=True)}'{' selected' if chosen else ''}>{escape(text)}</option>"
        for one, text, chosen in _choices(value, every=every)
    )
    return f"<label class='variable'>{label} <select name='{field}'>{options}</select></label>"


def _many(field: str, label: str, value: Value, *, every: bool) -> str:
    boxes = "".join(
        f"<label><input type='checkbox' name='{field}' value='{escape(one, quote=True)}'"
        f"{' checked' if chosen else ''}> {escape(text)}</label>"
        for one, text, chosen in _choices(value, every=every)
    )
    return (
        f"<details class='menu variable'><summary>{label} <b>{escape(value.text or 'none')}</b></summary>"
        f"<fieldset><legend>{label}</legend>{boxes}</fieldset></details>"
    )
