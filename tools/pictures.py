"""The README's pictures, made from the demo: `make pictures`.

Starts the demo on free ports, lets it run until there is something to see, and draws the top of each page in both
themes. The pictures are small (palette PNG), so that a clone stays quick.

`--state quiet` and `--state incident` draw each page as it opens instead, after half an hour in which nothing goes
wrong, or while something does that the page is for.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image

from ml_monitoring.alerting.model.signal import UID_PREFIX
from ml_monitoring.dashboards.commands import OUTPUT_DIR
from ml_monitoring.dashboards.render.colours import THEMES
from ml_monitoring.dashboards.render.display import Style
from ml_monitoring.dashboards.render.errors import RenderError
from ml_monitoring.dashboards.render.model import Dashboard, find_dashboards
from ml_monitoring.dashboards.render.page import draw_dashboard
from ml_monitoring.dashboards.render.prometheus import Prometheus
from ml_monitoring.dashboards.render.query_options import QueryOptions
from ml_monitoring.dashboards.render.units import Clock
from ml_monitoring.exporter.command_line import address
from ml_monitoring.exporter.command_parser import CommandParser
from tools import log_story, serving_story
from tools.demo import ports as demo_ports
from tools.demo.cli import DIRECTORY
from tools.demo.parts import PARTS
from tools.demo.parts.base import PortUse
from tools.incidents import RunningDemo, stage
from tools.stack import ROOT

OUTPUT = ROOT / "docs" / "pictures"
SCRAPE_SECONDS = 5.0
# Lines of the grid: what one looks at first.
LINES = 32
WIDTH = 1440
# Finer than a page shows a picture, so that it stays sharp on good screens.
DPI = 106
LARGEST_BYTES = 300_000
_READY = "Ctrl-C stops everything."
STATES = ("quiet", "incident")
_HALF_AN_HOUR = 1800.0
# One dot for each pixel of the page.
_PLAIN_DPI = 96


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the pictures and return the exit status."""
    parser = CommandParser(prog="python -m tools.pictures", description="Make the README's pictures.")
    parser.add_argument("--prometheus", type=address, metavar="URL", help="of a demo that runs (default: start one)")
    parser.add_argument(
        "--warm-up", type=float, default=420.0, help="seconds that a new demo runs first (default: 420)"
    )
    parser.add_argument("--minutes", type=float, default=6.0, help="time range of the pictures (default: 6)")
    parser.add_argument("--out", type=Path, default=OUTPUT, help="where to (default: docs/pictures)")
    parser.add_argument("--state", choices=STATES, help="draw whole pages in this state, over half an hour, into --out")
    parser.add_argument("--port-base", type=int, metavar="N", help="for --state: of a demo that runs")
    options = parser.parse_args(arguments)
    try:
        return _run(parser, options)
    except RenderError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _run(parser: CommandParser, options: argparse.Namespace) -> int:
    running: RunningDemo | None
    if options.state:
        if options.out == OUTPUT:
            parser.error("--state needs --out: docs/pictures is for the documentation")
        calm = options.state == "quiet"
        with nullcontext(_at(options.port_base)) if options.port_base else demo(_HALF_AN_HOUR, calm=calm) as running:
            _reach(running.url("prometheus"))
            return draw_state(running, calm, options.out)
    if options.prometheus:
        _reach(options.prometheus)
    with serving_story.served(failing=True) as story:
        with nullcontext() if options.prometheus else demo(options.warm_up) as running:
            url = running.url("prometheus") if running else options.prometheus
            too_large = _draw_all(url, options.out, options.minutes, leave=serving_story.PAGES)
        story.wait()
        too_large += _draw_all(story.url, options.out, options.minutes, only=serving_story.PAGES)
    for path in too_large:
        print(f"error: {path} is larger than {LARGEST_BYTES // 1000} kB", file=sys.stderr)
    return 1 if too_large else 0


def _reach(url: str) -> None:
    """Ask a Prometheus for its version, before anything is written.

    Raises:
        QueryError: It does not answer.
    """
    with Prometheus(url) as prometheus:
        prometheus.version()


def _uses() -> list[PortUse]:
    return [*demo_ports.STACK_PORTS, *(use for part in PARTS for use in part.ports)]


def _at(port_base: int) -> RunningDemo:
    return RunningDemo(demo_ports.assign(_uses(), port_base), DIRECTORY / str(port_base))


@contextmanager
def demo(warm_up: float, *, calm: bool = False) -> Iterator[RunningDemo]:
    """Run the demo for so many seconds, then give it; stop it in the end."""
    base = demo_ports.propose(_uses())
    if base is None:
        raise SystemExit("no free ports for the demo")
    command = [sys.executable, "-m", "tools.demo", "--port-base", str(base), *(["--calm"] if calm else [])]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            if not any(line.startswith(_READY) for line in process.stdout or ()):
                raise SystemExit("the demo did not start; run `make demo` to see why")
            print(f">> letting the demo run for {warm_up:.0f} s")
            time.sleep(warm_up)
            yield _at(base)
        finally:
            process.terminate()
            process.communicate()


def draw_state(running: RunningDemo, quiet: bool, folder: Path) -> int:
    """Draw each page once, as it opens, while nothing goes wrong or in an incident that it is for."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {page.uid.removeprefix(UID_PREFIX): page.as_it_opens() for page in find_dashboards([], OUTPUT_DIR)}
    # It needs a while: it begins before the first page, and its pages are the last.
    serving = pages.keys() & set(serving_story.PAGES)
    story = serving_story.served(failing=not quiet) if serving else nullcontext()

    def draw_pages(names: Iterable[str], going: serving_story.Story | None) -> None:
        for name in names:
            path = folder / f"{name}.png"
            if name in serving and going:
                going.wait()
            now = time.time()
            if name in serving and going:
                draw_whole(pages[name], going.url, path, now)
            elif name == "logs":
                page = replace(pages[name], raw=log_story.answered(pages[name].raw)).as_it_opens()
                with log_story.served(now=now, failing=not quiet) as url:
                    draw_whole(page, url, path, now)
            else:
                draw_whole(pages[name], running.url("prometheus"), path, now)
            print(f"{datetime.now(UTC):%H:%M:%S} {name}", flush=True)

    with story as going:
        if quiet:
            draw_pages(sorted(pages, key=serving.__contains__), going)
        else:
            stage(running, lambda names: draw_pages(names, going))
    return 0


def draw_whole(page: Dashboard, url: str, path: Path, now: float) -> None:
    """Draw all of a page over the last half hour, or over its own range where that is shorter."""
    with Prometheus(url) as prometheus:
        queries = QueryOptions(prometheus, f"now-{_HALF_AN_HOUR:.0f}s", "now", {}, SCRAPE_SECONDS, now)
        own = replace(queries, start=None)
        span = own.span(page)
        data = (own if span.end - span.start < _HALF_AN_HOUR else queries).load(page)
    with path.open("wb") as file:
        draw_dashboard(data, Style(THEMES["light"], Clock(page.timezone, now))).save(file, "png", _PLAIN_DPI)


def _draw_all(
    url: str, folder: Path, minutes: float, *, leave: Collection[str] = (), only: Collection[str] = ()
) -> list[Path]:
    """Draw the pages that a Prometheus has the data of; return the files that are too large."""
    folder.mkdir(parents=True, exist_ok=True)
    too_large = []
    with Prometheus(url) as prometheus:
        queries = QueryOptions(prometheus, f"now-{minutes * 60:.0f}s", "now", {}, SCRAPE_SECONDS, time.time())
        for dashboard in find_dashboards([], OUTPUT_DIR):
            name = dashboard.uid.removeprefix(UID_PREFIX)
            if name in leave or (only and name not in only):
                continue
            for path in draw(dashboard.as_it_opens(), queries, folder):
                size = path.stat().st_size
                print(f"{path}  {size / 1000:.0f} kB")
                if size > LARGEST_BYTES:
                    too_large.append(path)
    return too_large


def draw(dashboard: Dashboard, queries: QueryOptions, folder: Path) -> Iterator[Path]:
    """Draw a dashboard's top in both themes and yield the files."""
    data = queries.load(dashboard, width=WIDTH)
    panels = [one for one in data.panels if one.panel.type != "row"]
    if sum(one.empty or bool(one.error) for one in panels) > len(panels) / 2:
        print(f"{dashboard.uid}: no picture, most of its panels have no data in the demo")
        return
    for name, theme in THEMES.items():
        style = Style(theme, Clock(dashboard.timezone, queries.now))
        raw = io.BytesIO()
        draw_dashboard(data, style, width=WIDTH, until=LINES).save(raw, "png", DPI)
        path = folder / f"{dashboard.uid.removeprefix(UID_PREFIX)}-{name}.png"
        with Image.open(raw) as picture:
            # Panels have few colours; a palette of 256 holds them and a third of the bytes.
            picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
        yield path


if __name__ == "__main__":
    sys.exit(main())
