"""`dashboards data`: what a panel shows, as CSV, JSON or Parquet."""

from __future__ import annotations

import argparse
import sys

from ml_monitoring.alerting import options as own
from ml_monitoring.dashboards.commands.options import add_source, find, query_options, split_panel
from ml_monitoring.exporter import command_line
from ml_monitoring.exporter.errors import MonitorError, UsageError

HELP = "write a panel's data as CSV, JSON or Parquet"
DESCRIPTION = "Run a panel's queries and transformations and write the resulting table."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("panel", metavar="UID/PANEL", help="dashboard (uid or file) and panel (id or title)")
    own.add_settings(parser)
    add_source(parser)
    parser.add_argument("--format", choices=("csv", "json", "parquet"), default="csv", help="default: csv")
    parser.add_argument(
        "--raw", action="store_true", help="write texts as they are, also where a spreadsheet takes them for formulas"
    )
    parser.add_argument("--out", type=command_line.path, metavar="FILE", help="where to (default: standard output)")
    parser.add_argument(
        "--width",
        type=command_line.whole(1, 11_000),
        default=1600,
        help="points a series, through the panel's width (default: 1600)",
    )


def run(options: argparse.Namespace) -> int:
    """Write a panel's data and return the exit status."""
    from ml_monitoring.dashboards.render.tabular import export  # noqa: PLC0415  # it brings pyarrow

    dashboard_name, panel_name = split_panel(options.panel)
    if not panel_name:
        raise UsageError([f"{options.panel}: write it as UID/PANEL, the panel by id or title"])
    dashboard = find(options, [dashboard_name])[0]
    panel = dashboard.panel(panel_name)
    queries = query_options(options)
    with queries.prometheus:
        loaded = queries.load(dashboard, width=options.width, only=panel).panels
    for one in loaded:
        if one.error:
            raise MonitorError(f"{dashboard.uid}: {one.panel.name}: {one.error}")
    if not any(field.values for one in loaded for frame in one.frames for field in frame.fields):
        print(f"note: {dashboard.uid}: {panel.title}: no data", file=sys.stderr)
    content = export(loaded, options.format, raw=options.raw)
    if options.out is not None:
        options.out.write_bytes(content)
    elif options.format == "parquet" and sys.stdout.isatty():
        raise UsageError(["Parquet is not for a terminal: give --out FILE"])
    else:
        sys.stdout.buffer.write(content)
    return 0
