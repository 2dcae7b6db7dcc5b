"""The README's pictures, made from the demo: `make pictures`.

Starts the demo on free ports, lets it run until there is something to see, and draws the top of each page in both
themes. The pictures are small (palette PNG), so that a clone stays quick.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from ml_monitoring.alerting.model.signal import UID_PREFIX
from ml_monitoring.dashboards.commands import OUTPUT_DIR
from ml_monitoring.dashboards.render.colours import THEMES
from ml_monitoring.dashboards.render.display import Style
from ml_monitoring.dashboards.render.model import Dashboard, find_dashboards
from ml_monitoring.dashboards.render.page import draw_dashboard
from ml_monitoring.dashboards.render.prometheus import Prometheus
from ml_monitoring.dashboards.render.query_options import QueryOptions
from ml_monitoring.dashboards.render.units import Clock
from tools.demo import ports as demo_ports
from tools.demo.parts import PARTS
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the pictures and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.pictures", description="Make the README's pictures.")
    parser.add_argument("--prometheus", metavar="URL", help="of a demo that runs (default: start one)")
    parser.add_argument(
        "--warm-up", type=float, default=420.0, help="seconds that a new demo runs first (default: 420)"
    )
    parser.add_argument("--minutes", type=float, default=6.0, help="time range of the pictures (default: 6)")
    parser.add_argument("--out", type=Path, default=OUTPUT, help="where to (default: docs/pictures)")
    options = parser.parse_args(arguments)
    if options.prometheus:
        return _draw_all(options.prometheus, options.out, options.minutes)
    with demo(options.warm_up) as url:
        return _draw_all(url, options.out, options.minutes)


@contextmanager
def demo(warm_up: float) -> Iterator[str]:
    """Run the demo for so many seconds, then give its Prometheus's address; stop it in the end."""
    base = demo_ports.propose([*demo_ports.STACK_PORTS, *(use for part in PARTS for use in part.ports)])
    if base is None:
        raise SystemExit("no free ports for the demo")
    command = [sys.executable, "-m", "tools.demo", "--port-base", str(base)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            if not any(line.startswith(_READY) for line in process.stdout or ()):
                raise SystemExit("the demo did not start; run `make demo` to see why")
            print(f">> letting the demo run for {warm_up:.0f} s")
            time.sleep(warm_up)
            yield f"http://127.0.0.1:{base + 1}"
        finally:
            process.terminate()
            process.communicate()


def _draw_all(url: str, folder: Path, minutes: float) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    too_large = []
    with Prometheus(url) as prometheus:
        queries = QueryOptions(prometheus, f"now-{minutes * 60:.0f}s", "now", {}, SCRAPE_SECONDS, time.time())
        for dashboard in find_dashboards([], OUTPUT_DIR):
            for path in draw(dashboard.as_it_opens(), queries, folder):
                size = path.stat().st_size
                print(f"{path}  {size / 1000:.0f} kB")
                if size > LARGEST_BYTES:
                    too_large.append(path)
    for path in too_large:
        print(f"error: {path} is larger than {LARGEST_BYTES // 1000} kB", file=sys.stderr)
    return 1 if too_large else 0


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
