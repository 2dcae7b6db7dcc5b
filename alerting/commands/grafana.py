"""`alerts grafana`: the alerts as files that Grafana evaluates itself, for teams without Alertmanager."""

from __future__ import annotations

import argparse

from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.generate import files, grafana
from ml_monitoring.exporter import command_line

HELP = "write the alerts for Grafana's own alerting, without Alertmanager"
DESCRIPTION = (
    "Write rules, contact points, policies, mute timings and messages as files for provisioning/alerting of Grafana. "
    "Recording rules stay with Prometheus (rules.yml of `generate`)."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    own.add_settings(parser)
    parser.add_argument("--output-dir", type=command_line.path, required=True, metavar="DIR", help="where to write")
    parser.add_argument(
        "--datasource",
        type=command_line.text,
        default="prometheus",
        metavar="UID",
        help="uid of Grafana's Prometheus (default: prometheus)",
    )
    parser.add_argument(
        "--folder",
        type=command_line.text,
        default=grafana.DEFAULT_FOLDER,
        metavar="TITLE",
        help=f"folder of the rules (default: {grafana.DEFAULT_FOLDER})",
    )
    parser.add_argument(
        "--org",
        type=command_line.whole(1, 2**31 - 1),
        default=1,
        metavar="ID",
        help="number of the organisation (default: 1)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the files and return the exit status."""
    thresholds = own.load_to_write(options)
    texts = grafana.files(thresholds, datasource=options.datasource, folder=options.folder, org=options.org)
    files.write(texts, options.output_dir)
    return 0
