"""`dashboards export`: dashboards for others, as Grafana's import dialog and grafana.com take them."""

from __future__ import annotations

import argparse
from pathlib import Path

from ml_monitoring.dashboards.commands.options import add_generated
from ml_monitoring.dashboards.publish import files, portable

HELP = "write the dashboards for Grafana's import dialog and grafana.com"
DESCRIPTION = "Write the dashboards for import: with data sources and plugins."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_generated(parser)
    parser.add_argument("--output-dir", type=Path, required=True, metavar="DIR", help="where to")


def run(options: argparse.Namespace) -> int:
    """Write every generated dashboard, one file each, and return the exit status."""
    options.output_dir.mkdir(parents=True, exist_ok=True)
    for _, dashboard in files.read(options.dashboards):
        path = options.output_dir / f"{dashboard['uid']}.json"
        path.write_text(files.as_text(portable.exportable(dashboard)), encoding="utf-8")
        print(path)
    return 0
