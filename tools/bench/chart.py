"""Draws the README's chart of speed from the figures of a benchmark: `python -m tools.bench.chart`.

Left, how long a scrape takes beside the neighbours and the floor; right, what a refresh costs the database as the store
grows. The figures are those of the last run that was kept, `docs/bench.json` (`make bench BENCH_ARGS="mlflow --json
docs/bench.json"`).
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from matplotlib import rc_context, rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from tools.stack import ROOT

FIGURES = ROOT / "docs" / "bench.json"
OUTPUT = ROOT / "docs" / "pictures"
_THEMES = {
    "light": {"paper": "#ffffff", "ink": "#24292f", "grid": "#d8dee4"},
    "dark": {"paper": "#0d1117", "ink": "#e6edf3", "grid": "#30363d"},
}
# Ours in the colour that stands out; all can be told apart by the colour-blind, and each bar has its name.
_COLOURS = {"floor": "#8b949e", "this exporter": "#0072B2", "sql_exporter": "#E69F00", "query-exporter": "#CC79A7"}
_NAMES = {"floor": "floor: a bare server, same bytes"}
_CELLS = {"gzip 1": "gzip, 1 client", "gzip 64": "gzip, 64 clients", "plain 1": "plain, 1 client"}
_REFRESHES = {
    "full": ("first read of everything", "#8b949e", "s"),
    "scan": ("finding out which runs changed", "#E69F00", "^"),
    "changed": ("reading 100 changed runs", "#0072B2", "o"),
    "idle": ("nothing changed", "#009E73", "D"),
}


def draw(figures: Mapping[str, Any], theme: str) -> Figure:
    """Draw the chart in a theme."""
    colours = _THEMES[theme]
    with rc_context():
        for part in ("text.color", "axes.labelcolor", "xtick.color", "ytick.color"):
            rcParams[part] = colours["ink"]
        rcParams["axes.edgecolor"] = colours["grid"]
        picture = Figure(figsize=(11, 4.2), facecolor=colours["paper"], layout="constrained")
        scrapes, refreshes = picture.subplots(1, 2, width_ratios=(1.15, 1))
        for axes in (scrapes, refreshes):
            axes.set_facecolor(colours["paper"])
            axes.grid(which="major", color=colours["grid"], linewidth=0.6)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
        _draw_scrapes(scrapes, figures)
        _draw_refreshes(refreshes, figures)
    return picture


def _draw_scrapes(axes: Axes, figures: Mapping[str, Any]) -> None:
    answers = figures["answers"]
    names = [name for name in _COLOURS if name in answers]
    shown = [cell for cell in _CELLS if cell in answers["floor"]]
    height = 0.8 / len(names)
    for number, name in enumerate(names):
        times = [1000 * median(answers[name][cell]["p95s"]) for cell in shown]
        places = [index + (number - (len(names) - 1) / 2) * height for index in range(len(shown))]
        bars = axes.barh(places, times, 0.9 * height, color=_COLOURS[name], label=_NAMES.get(name, name))
        axes.bar_label(bars, [_shown(time) for time in times], padding=3, fontsize=8)
    axes.set_yticks(range(len(shown)), [_CELLS[cell] for cell in shown])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(_plain)
    axes.set_xlabel("milliseconds, 95th percentile; each line is ten times the one before")
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.12)
    axes.set_title(f"A scrape, {figures['runs']:,} runs in the store", loc="left")
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.16), ncols=2, fontsize=8, frameon=False)


def _draw_refreshes(axes: Axes, figures: Mapping[str, Any]) -> None:
    sizes = sorted(map(int, figures["refreshes"]))
    for key, (name, colour, marker) in _REFRESHES.items():
        times = [1000 * figures["refreshes"][str(size)][key] for size in sizes]
        axes.plot(sizes, times, color=colour, marker=marker, label=name, linewidth=1.8, markersize=5)
        axes.annotate(_shown(times[-1]), (sizes[-1], times[-1]), (6, 0), textcoords="offset points", fontsize=8)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.yaxis.set_major_formatter(_plain)
    axes.minorticks_off()
    axes.margins(x=0.12)
    axes.set_xlabel("runs in the store")
    axes.set_ylabel("milliseconds of PostgreSQL's processor")
    axes.set_title("A refresh", loc="left")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize=8, frameon=False)


def _shown(value: float) -> str:
    """Return a number with three significant digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _plain(value: float, _place: float) -> str:
    return f"{value:,.10g}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw in both themes; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.chart", description="Draw the chart of speed.")
    parser.add_argument("--figures", type=Path, default=FIGURES, help="what `--json` wrote (default: docs/bench.json)")
    parser.add_argument("--out", type=Path, default=OUTPUT, help="where to (default: docs/pictures)")
    options = parser.parse_args(arguments)
    figures = json.loads(options.figures.read_text(encoding="utf-8"))
    for theme in _THEMES:
        raw = io.BytesIO()
        draw(figures, theme).savefig(raw, format="png", dpi=130)
        path = options.out / f"bench-{theme}.png"
        with Image.open(raw) as picture:
            picture.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
