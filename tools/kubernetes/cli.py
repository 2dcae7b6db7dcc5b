"""The command line: `python -m tools.kubernetes generate`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.operate.promtool import refuse_broken
from ml_monitoring.dashboards.commands.generate import write_pages
from ml_monitoring.exporter.errors import MonitorError
from tools.kubernetes.write import BASE, DASHBOARDS, NAMESPACE, files, in_cluster, write


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.kubernetes", description="Manifests for Kubernetes.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "generate",
        help="write the manifests",
        description="Write manifests of the exporter, the alert log, rules, notifications and dashboards. GRAFANA_URL, "
        "RUNBOOKS_URL and LOGS_URL say where the links in alerts lead.",
    )
    command.add_argument("--output-dir", type=Path, default=BASE, metavar="DIR", help="where to (default: k8s/base)")
    command.add_argument("--namespace", default=NAMESPACE, help=f"where all of it lives (default: {NAMESPACE})")
    command.add_argument(
        "--dashboards",
        metavar="PATH",
        help="a folder, as seen from the output folder, whose kustomization.yaml `dashboards generate` wrote (default: "
        f"{DASHBOARDS} for k8s/base; else they are written into the output folder)",
    )
    own.add_settings(command)
    options = parser.parse_args(argv)
    try:
        own.refuse_committed(options, BASE)
        thresholds = in_cluster(options.namespace, own.load(options)[0])
        refuse_broken(thresholds)
        dashboards = options.dashboards
        if dashboards is None and options.output_dir.resolve() == BASE:
            dashboards = DASHBOARDS
        write(files(options.namespace, thresholds, dashboards=dashboards or "dashboards"), options.output_dir)
        if dashboards is None:
            write_pages(options.output_dir / "dashboards", thresholds)
    except (MonitorError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0
