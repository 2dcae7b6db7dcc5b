"""The command line of what looks at pages: render, prove, data, report, diff.

Light to import: what draws is loaded only when it is asked for, so that `generate` needs none of it.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

DEFAULT_URL = "http://127.0.0.1:9090"


def add_commands(commands: Any) -> None:
    """Add the commands to a parser's subparsers."""
    _add_render(commands)
    _add_prove(commands)
    _add_data(commands)
    _add_report(commands)
    _add_diff(commands)


def _add_render(commands: Any) -> None:
    parser = _add(
        commands,
        "render",
        "ml_monitoring.dashboards.commands.render",
        "draw dashboards as PNG, PDF, SVG or HTML, without Grafana",
        "Run the queries of dashboards against Prometheus and draw them as Grafana would.",
    )
    _add_dashboards(parser)
    _add_source(parser)
    parser.add_argument("--format", choices=("png", "pdf", "svg", "html"), default="png", help="default: png")
    parser.add_argument("--theme", choices=("light", "dark"), default="light", help="default: light")
    parser.add_argument(
        "--dpi", type=float, default=144, help="resolution of png; 96 is one pixel a pixel (default: 144)"
    )
    parser.add_argument("--width", type=int, default=1600, help="width of the page in pixels (default: 1600)")
    parser.add_argument("--panel", metavar="ID|TITLE", help="draw this panel alone")
    parser.add_argument("--cover", action="store_true", help="pdf: put a cover page before the panels")
    parser.add_argument(
        "--out", type=Path, default=Path("pictures"), metavar="DIR", help="where to (default: pictures)"
    )
    parser.add_argument("--strict", action="store_true", help="exit 1 when a panel is not supported or failed")


def _add_prove(commands: Any) -> None:
    parser = _add(
        commands,
        "prove",
        "ml_monitoring.dashboards.commands.prove",
        "show that every panel has data",
        "Run every query of every panel and say which panels are ok, empty, failed or slow.",
    )
    _add_dashboards(parser)
    _add_source(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--slow", default="500ms", metavar="TIME", help="call a panel slow from here (default: 500ms)")
    parser.add_argument("--wait", default="0s", metavar="TIME", help="try again for so long while panels are empty")
    parser.add_argument(
        "--allow", type=Path, metavar="FILE", help="YAML of panels that may be empty, with reasons (default: prove.yml)"
    )


def _add_data(commands: Any) -> None:
    parser = _add(
        commands,
        "data",
        "ml_monitoring.dashboards.commands.data",
        "write a panel's data as CSV, JSON or Parquet",
        "Run a panel's queries and transformations and write the resulting table.",
    )
    parser.add_argument("panel", metavar="UID/PANEL", help="dashboard (uid or file) and panel (id or title)")
    _add_source(parser)
    parser.add_argument("--format", choices=("csv", "json", "parquet"), default="csv", help="default: csv")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to (default: standard output)")
    parser.add_argument(
        "--width", type=int, default=1600, help="points a series, through the panel's width (default: 1600)"
    )


def _add_report(commands: Any) -> None:
    parser = _add(
        commands,
        "report",
        "ml_monitoring.dashboards.commands.report",
        "write reports as PDF, and mail them",
        "Write the reports of reports.yml as PDF with a cover page: time range, data mode, assumptions.",
    )
    parser.add_argument("names", nargs="*", metavar="REPORT", help="reports of the file (default: all)")
    parser.add_argument(
        "--reports", type=Path, metavar="FILE", help="the list of reports (default: dashboards/reports.yml)"
    )
    _add_source(parser)
    parser.add_argument("--theme", choices=("light", "dark"), default="light", help="default: light")
    parser.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="where to (default: reports)")
    parser.add_argument(
        "--mail-to", action="append", default=[], metavar="ADDRESS", help="send the PDFs there; may be repeated"
    )
    parser.add_argument(
        "--smtp-from",
        type=Path,
        metavar="FILE",
        help="Alertmanager configuration whose SMTP settings are taken (default: alerting/generated/alertmanager.yml)",
    )


def _add_diff(commands: Any) -> None:
    parser = _add(
        commands,
        "diff",
        "ml_monitoring.dashboards.commands.diff",
        "say what changed between two versions of dashboards",
        "Compare dashboards by meaning: panels, queries, units, thresholds, variables; as Markdown.",
    )
    parser.add_argument("old", metavar="OLD", help="file or folder, or REVISION:PATH of the git repository")
    parser.add_argument("new", metavar="NEW", help="the same")
    parser.add_argument("--exit-code", action="store_true", help="exit 1 when there are differences")


def _add(commands: Any, name: str, module: str, help: str, description: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help, description=description)

    def run(options: argparse.Namespace) -> int:
        return int(import_module(module).run(options))

    parser.set_defaults(command=run)
    return parser


def _add_dashboards(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "dashboards",
        nargs="*",
        metavar="UID|FILE|DIR",
        help="generated dashboards by uid, or files (default: all generated)",
    )


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prometheus", default=DEFAULT_URL, metavar="URL", help=f"default: {DEFAULT_URL}")
    parser.add_argument(
        "--from", dest="start", metavar="TIME", help="now-6h, 2026-11-21T10:00Z ... (default: the dashboard's)"
    )
    parser.add_argument("--to", dest="end", metavar="TIME", help="default: the dashboard's")
    parser.add_argument(
        "--var", action="append", default=[], metavar="NAME=VALUE", help="a variable; repeat for several values"
    )
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds for one query (default: 30)")
    parser.add_argument(
        "--scrape-interval", default="15s", metavar="TIME", help="of the data source in Grafana (default: 15s)"
    )
