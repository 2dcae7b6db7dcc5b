"""The HTML around the panels: the list of pages, the frame of a page, and the styles and scripts that they load."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from html import escape
from pathlib import Path
from typing import Final

from plotly.offline import get_plotlyjs

from ml_monitoring.alerting.overview.signals import PAGE as OVERVIEW
from ml_monitoring.dashboards.render.colours import THEMES
from ml_monitoring.dashboards.render.interactive import ASSETS, FONTS, theme_css
from ml_monitoring.dashboards.render.model import Dashboard
from ml_monitoring.dashboards.viewer.library import Shelf

_OWN: Final = Path(__file__).parent
# Those of Grafana that make sense for Prometheus.
RANGES: Final = (
    ("now-5m", "Last 5 minutes"),
    ("now-15m", "Last 15 minutes"),
    ("now-30m", "Last 30 minutes"),
    ("now-1h", "Last hour"),
    ("now-3h", "Last 3 hours"),
    ("now-6h", "Last 6 hours"),
    ("now-12h", "Last 12 hours"),
    ("now-24h", "Last 24 hours"),
    ("now-2d", "Last 2 days"),
    ("now-7d", "Last 7 days"),
    ("now-30d", "Last 30 days"),
    ("now-90d", "Last 90 days"),
)
REFRESHES: Final = ("5s", "10s", "15s", "30s", "1m", "5m", "15m", "1h")
_STYLES: Final = re.compile(r'getElementById\("([0-9a-f]{64})"\)')
_THEMES: Final = (("", "System"), ("light", "Light"), ("dark", "Dark"))


@dataclass(frozen=True, slots=True)
class Asset:
    """A file for browsers, which keep it for ever: its address changes with its content."""

    kind: str
    body: bytes
    address: str


def assets() -> dict[str, Asset]:
    """Return all files by name."""
    light, dark = (theme_css(THEMES[name]) for name in ("light", "dark"))
    themes = (
        f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root:not([data-theme]) {{ {dark} }} }}\n"
        f":root[data-theme=dark] {{ {dark} }}\n"
    )
    faces = {400: "Inter-Regular.ttf", 500: "Inter-Medium.ttf", 600: "Inter-SemiBold.ttf"}
    fonts = {name: _asset(name, "font/ttf", (FONTS / name).read_bytes()) for name in faces.values()}
    typefaces = "".join(
        f"@font-face {{ font-family: Inter; font-weight: {weight}; src: url({fonts[name].address}); }}\n"
        for weight, name in faces.items()
    )
    styles = typefaces + themes + _text(ASSETS / "panels.css") + _text(_OWN / "viewer.css")
    scripts = _text(ASSETS / "panels.js") + _text(_OWN / "viewer.js")
    return {
        **fonts,
        "viewer.css": _asset("viewer.css", "text/css", styles.encode()),
        "viewer.js": _asset("viewer.js", "text/javascript", scripts.encode()),
        "plotly.js": _asset("plotly.js", "text/javascript", get_plotlyjs().encode()),
        "icon.svg": _asset("icon.svg", "image/svg+xml", (_OWN / "icon.svg").read_bytes()),
    }


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _asset(name: str, kind: str, body: bytes) -> Asset:
    return Asset(kind, body, f"/assets/{blake2b(body, digest_size=8).hexdigest()}/{name}")


def frame(title: str, body: str, files: dict[str, Asset], theme: str, *, script: bool = True) -> str:
    """Return a whole page.

    Args:
        title: What tabs and history call it.
        body: HTML.
        files: What it loads.
        theme: `light`, `dark`, or empty for what the system prefers.
        script: Whether it needs one.
    """
    chosen = f" data-theme='{theme}'" if theme in THEMES else ""
    run = f"<script defer src='{files['viewer.js'].address}'></script>" if script else ""
    return (
        f"<!doctype html>\n<html lang='en'{chosen}>\n<head>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        f"<title>{escape(title)}</title>\n<link rel='icon' href='{files['icon.svg'].address}'>\n"
        f"<link rel='stylesheet' href='{files['viewer.css'].address}'>\n{run}\n</head>\n<body>\n"
        f"<a class='skip' href='#main'>Skip to content</a>\n{body}\n</body>\n</html>\n"
    )


def contents(shelf: Shelf, prometheus: str, problem: str, files: dict[str, Asset], theme: str) -> str:
    """Return the list of pages.

    Args:
        shelf: The pages.
        prometheus: Address of Prometheus.
        problem: Why it does not answer; empty when it does.
        files: What the page loads.
        theme: Of the page.
    """
    state = f"<p class='problem' role='alert'>{escape(problem)}</p>" if problem else ""
    problems = "".join(f"<p class='problem'>{escape(text)}</p>" for text in shelf.problems)
    lists = "".join(
        f"<section aria-labelledby='folder-{place}'><h2 id='folder-{place}'>{escape(folder)}</h2><ul>"
        + "".join(_entry(one) for one in dashboards)
        + "</ul></section>"
        for place, (folder, dashboards) in enumerate(shelf.folders.items())
    )
    first = next((one for dashboards in shelf.folders.values() for one in dashboards if one.uid == OVERVIEW), None)
    start = f"<section><h2>Start here</h2><ul>{_entry(first)}</ul></section>" if first else ""
    body = (
        f"<header class='bar'><h1>Dashboards</h1><p class='from'>from {escape(prometheus)}</p>{_theme(theme)}"
        "</header>\n"
        f"<main id='main' class='contents' tabindex='-1'>{state}{problems}{start}{lists}</main>"
    )
    return frame("Dashboards", body, files, theme)


def _entry(one: Dashboard) -> str:
    about = str(one.raw.get("description") or "")
    text = f"<span>{escape(about)}</span>" if about else ""
    return f"<li><a href='/d/{escape(one.uid, quote=True)}'>{escape(one.title)}</a>{text}</li>"


def page(folder: str, dashboard: Dashboard, shelf: Shelf, files: dict[str, Asset], theme: str) -> str:
    """Return the frame of a page, which its script fills."""
    menu = "".join(
        f"<li>{escape(name)}<ul>{''.join(_menu_item(one, dashboard) for one in dashboards)}</ul></li>"
        for name, dashboards in shelf.folders.items()
    )
    ranges = "".join(
        f"<li><button type='button' data-from='{start}'>{escape(text)}</button></li>" for start, text in RANGES
    )
    own = str(dashboard.raw.get("refresh") or "")
    refreshes = [*REFRESHES] if own in REFRESHES or not own else [own, *REFRESHES]
    options = "<option value='off'>Off</option>" + "".join(f"<option>{escape(one)}</option>" for one in refreshes)
    body = (
        "<header class='bar'>\n"
        "<nav aria-label='Pages'>"
        f"<details class='menu' id='pages'><summary aria-label='Pages'>☰</summary><ul>{menu}</ul></details>"
        f"<a href='/'>Dashboards</a><span aria-hidden='true'>/</span><span>{escape(folder)}</span></nav>\n"
        f"<h1>{escape(dashboard.title)}</h1>\n"
        "<div class='controls' id='tools'><div id='links'></div>"
        "<details class='menu' id='time'><summary aria-label='Time range'>…</summary><form>"
        f"<ul>{ranges}</ul>"
        "<label>From <input name='from' required autocomplete='off'></label>"
        "<label>To <input name='to' required autocomplete='off'></label>"
        "<p>now-6h, now/d or 2026-11-21T10:00 (UTC)</p><button>Apply</button></form></details>"
        "<button type='button' id='out' title='Twice the time'>Zoom out</button>"
        "<button type='button' id='again'>Refresh</button>"
        f"<label class='quiet'>every <select id='refresh'>{options}</select></label>"
        f"{_theme(theme)}</div>\n"
        "<form id='variables' class='controls'></form>\n"
        "</header>\n"
        "<p id='problem' class='problem' role='alert' hidden></p>\n"
        "<main id='main' tabindex='-1' aria-busy='true'></main>\n"
        "<p id='status' role='status'></p>\n"
        "<noscript><p class='problem'>Panels are drawn by a script of this page, which your browser does not run.</p>"
        "</noscript>"
    )
    text = frame(f"{dashboard.title} - {folder}", body, files, theme)
    plotly = files["plotly.js"]
    # Where an element with its name exists, the library of maps inside Plotly adds no style of its own.
    present = "".join(f"<template id='{name}'></template>" for name in _styles_of(plotly))
    tag = f"<body data-plotly='{plotly.address}' data-refresh='{escape(own, quote=True)}'>{present}"
    return text.replace("<body>", tag, 1)


@cache
def _styles_of(plotly: Asset) -> tuple[str, ...]:
    return tuple(_STYLES.findall(plotly.body.decode()))


def _menu_item(one: Dashboard, current: Dashboard) -> str:
    here = " aria-current='page'" if one.uid == current.uid else ""
    # The script adds the time range that is chosen.
    return f"<li><a href='/d/{escape(one.uid, quote=True)}' data-time{here}>{escape(one.title)}</a></li>"


def _theme(theme: str) -> str:
    options = "".join(
        f"<option value='{name}'{' selected' if name == theme else ''}>{text}</option>" for name, text in _THEMES
    )
    return f"<label class='quiet'>Theme <select id='theme'>{options}</select></label>"


def refusal(title: str, text: str, files: dict[str, Asset], theme: str) -> str:
    """Return a page that says why there is nothing else."""
    body = (
        f"<header class='bar'><nav aria-label='Pages'><a href='/'>Dashboards</a></nav><h1>{escape(title)}</h1></header>"
        f"<main id='main' tabindex='-1'><p class='problem'>{escape(text)}</p></main>"
    )
    return frame(title, body, files, theme, script=False)
