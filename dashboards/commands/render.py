"""`dashboards render`: dashboards as pictures, PDF and interactive pages."""

from __future__ import annotations

import argparse
from pathlib import Path

from ml_monitoring.dashboards.commands.options import add_dashboards, add_source, find, query_options, split_panel
from ml_monitoring.dashboards.commands.progress import Progress
from ml_monitoring.exporter import command_line

HELP = "draw dashboards as PNG, PDF, SVG or HTML, without Grafana"
DESCRIPTION = "Run the queries of dashboards against Prometheus and draw them as Grafana would."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_dashboards(parser)
    add_source(parser)
    parser.add_argument("--format", choices=("png", "pdf", "svg", "html"), default="png", help="default: png")
    parser.add_argument("--theme", choices=("light", "dark"), default="light", help="default: light")
    parser.add_argument(
        "--dpi",
        type=command_line.whole(10, 1200),
        default=144,
        help="resolution of png; 96 is one pixel a pixel (default: 144)",
    )
    parser.add_argument(
        "--width",
        type=command_line.whole(200, 10_000),
        default=1600,
        help="width of the page in pixels (default: 1600)",
    )
    parser.add_argument(
        "--all-rows", action="store_true", help="draw folded rows open, not as Grafana opens the page; html always does"
    )
    parser.add_argument("--panel", metavar="ID|TITLE", help="draw this panel alone; UID/PANEL says the same")
    parser.add_argument("--cover", action="store_true", help="pdf: put a cover page before the panels")
    parser.add_argument(
        "--out", type=command_line.path, default=Path("pictures"), metavar="DIR", help="where to (default: pictures)"
    )
    parser.add_argument("--strict", action="store_true", help="exit 1 when a panel is not supported or failed")


def run(options: argparse.Namespace) -> int:
    """Draw the dashboards and return the exit status."""
    from ml_monitoring.dashboards.render.pictures import Form, draw, summary  # noqa: PLC0415  # it brings matplotlib

    names, only_panel = options.dashboards, options.panel
    if len(names) == 1 and not only_panel and not names[0].endswith(".json") and not Path(names[0]).exists():
        # As `data` takes it.
        name, only_panel = split_panel(names[0])
        names = [name]
    dashboards = find(options, names)
    queries = query_options(options, dashboards)
    if not (options.all_rows or only_panel or options.format == "html"):
        dashboards = [dashboard.as_it_opens() for dashboard in dashboards]
    options.out.mkdir(parents=True, exist_ok=True)
    form = Form(options.format, options.theme, options.width, options.dpi, cover=options.cover)
    bad = False
    with queries.prometheus:
        queries.prometheus.version()
        for dashboard in dashboards:
            # Each panel is loaded, and then drawn.
            with Progress(2 * sum(panel.type != "row" for panel in dashboard.panels)) as progress:
                only = dashboard.panel(only_panel) if only_panel else None
                path, data = draw(
                    dashboard, queries, form, options.out, only=only, on_panel=lambda one: progress.step(one.title)
                )
            print("\n".join(summary(data, path)))
            bad = bad or bool(data.unsupported or data.failed or data.problems)
    return 1 if bad and options.strict else 0
