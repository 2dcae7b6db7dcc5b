"""`ml-monitoring kubernetes`: write the Helm chart, or the manifests for kustomize."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.model.generated import refuse_others
from ml_monitoring.exporter import command_line
from ml_monitoring.exporter.version import CHECKOUT
from ml_monitoring.k8s.places import BASE, CHART, DASHBOARDS, NAMESPACE

# As Kubernetes takes it.
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LINKS = "GRAFANA_URL, RUNBOOKS_URL and LOGS_URL say where the links in alerts lead."


def main(arguments: Sequence[str] | None = None, *, prog: str = "ml-monitoring kubernetes") -> int:
    """Run a command and return the exit code (see `ml_monitoring.exporter.command_line`)."""
    parser = command_line.new_parser(prog, "The Helm chart, and manifests for kustomize.")
    add_commands(command_line.add_subparsers(parser))
    return command_line.run(parser, arguments)


def add_commands(commands: command_line.Commands) -> None:
    """Add the commands to a parser's subparsers."""
    purpose = "write the Helm chart with your rules, alerts, numbers, channels and pages in it"
    chart = commands.add_parser(
        "chart",
        help=purpose,
        description="Write the whole chart, made with your settings: rules, alerts, runbooks, notifications, pages, "
        "the schema of its values and their table. `helm install` takes the folder as it is.",
    )
    _add_output(chart, CHART, "k8s/chart/ml-monitoring")
    chart.set_defaults(command=_chart)
    manifests = commands.add_parser(
        "manifests",
        help="write manifests for kustomize: a base with your rules, alerts, numbers, channels and pages",
        description="Write manifests of the exporter, the alert log, rules, notifications and dashboards, and the "
        f"kustomization.yaml that lists them. {_LINKS}",
    )
    _add_output(manifests, BASE, "k8s/base")
    manifests.add_argument(
        "--namespace", type=_namespace, default=NAMESPACE, help=f"where all of it lives (default: {NAMESPACE})"
    )
    manifests.add_argument(
        "--dashboards",
        metavar="PATH",
        help="a folder, as seen from the output folder, whose kustomization.yaml `dashboards generate` wrote (default: "
        f"{DASHBOARDS} for k8s/base of a checkout; else they are written into the output folder)",
    )
    manifests.set_defaults(command=_manifests)


def _add_output(parser: argparse.ArgumentParser, committed: Path, name: str) -> None:
    own.add_settings(parser)
    parser.add_argument(
        "--output-dir",
        type=command_line.path,
        default=committed,
        required=CHECKOUT is None,
        metavar="DIR",
        help=f"where to (default in a checkout: {name})",
    )


def _namespace(text: str) -> str:
    if not _NAMESPACE.fullmatch(text):
        raise argparse.ArgumentTypeError(
            "a namespace has at most 63 small letters, digits and dashes, with no dash at its ends"
        )
    return text


def _chart(options: argparse.Namespace) -> int:
    # Only here, as in the other command: they bring grafanalib.
    from ml_monitoring.k8s import queries  # noqa: PLC0415
    from ml_monitoring.k8s.chart import files  # noqa: PLC0415

    thresholds = own.load_to_write(options, CHART)
    files.write(files.files(thresholds), options.output_dir)
    folder = options.output_dir
    _say_written(folder, "a chart", f"helm template ml-monitoring {folder} --kube-version 1.30")
    if given := queries.values(thresholds):
        print(f"Queries are settings of the exporter, and so values, beside Secrets with their addresses:\n\n{given}")
    return 0


def _manifests(options: argparse.Namespace) -> int:
    from ml_monitoring.dashboards.commands.generate import write_pages  # noqa: PLC0415
    from ml_monitoring.k8s import queries  # noqa: PLC0415
    from ml_monitoring.k8s.manifests import write  # noqa: PLC0415

    thresholds = write.in_cluster(options.namespace, own.load_to_write(options, BASE))
    is_committed = options.output_dir.resolve() == BASE.resolve()
    dashboards = options.dashboards or (DASHBOARDS if is_committed else None)
    files = write.files(options.namespace, thresholds, dashboards=dashboards or "dashboards")
    refuse_others(options.output_dir / name for name in files)
    # First, so that nothing is written where a package is missing or a page cannot be made.
    if dashboards is None:
        write_pages(options.output_dir / "dashboards", thresholds)
    write.write(files, options.output_dir)
    _say_written(options.output_dir, "a base", f"kubectl kustomize {options.output_dir}")
    if options.dashboards and not (listing := options.output_dir / options.dashboards / "kustomization.yaml").is_file():
        print(f"note: --dashboards: there is no {listing} yet; `dashboards generate` writes it", file=sys.stderr)
    if given := queries.settings(thresholds):
        print(f"Queries are settings of the exporter; add them to those of your overlay:\n\n{given}")
    return 0


def _say_written(folder: Path, what: str, command: str) -> None:
    print(f"{folder}: {what}; look at it with: {command} | less")
