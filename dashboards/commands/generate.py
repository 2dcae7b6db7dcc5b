"""`dashboards generate`: write every page as Grafana's JSON."""

from __future__ import annotations

import argparse
from pathlib import Path

from ml_monitoring.alerting import options as own
from ml_monitoring.dashboards.commands import OUTPUT_DIR
from ml_monitoring.exporter.version import CHECKOUT

HELP = "write the dashboards' JSON"
DESCRIPTION = "Write the JSON."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    own.add_settings(parser)
    parser.add_argument(
        "--output-dir",
        type=Path,
        default=OUTPUT_DIR,
        required=CHECKOUT is None,
        metavar="DIR",
        help="where to (default in a checkout: dashboards/generated)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the pages, remove those that no longer exist, and return the exit status."""
    # Only here, as they bring grafanalib.
    from ml_monitoring.dashboards.lib.context import PageContext  # noqa: PLC0415
    from ml_monitoring.dashboards.pages import build_all  # noqa: PLC0415
    from ml_monitoring.dashboards.publish.files import write  # noqa: PLC0415

    own.refuse_committed(options, OUTPUT_DIR)
    context = PageContext.of(own.load(options)[0])
    pages = [
        (
            page.folder,
            page.to_json(context.alerts, context.selectors, cluster_variables=context.cluster_variables),
        )
        for page in build_all(context)
    ]
    written = write(options.output_dir, pages)
    for path in written:
        print(path)
    for path in options.output_dir.glob("*/*.json"):
        if path not in written:
            path.unlink()
    return 0
