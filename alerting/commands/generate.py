"""`alerts generate`: write the files that Prometheus and Alertmanager read."""

from __future__ import annotations

import argparse
from pathlib import Path

from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.generate import files
from ml_monitoring.exporter.version import CHECKOUT

HELP = "write the files that Prometheus and Alertmanager read"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    own.add_settings(parser)
    parser.add_argument(
        "--output-dir",
        type=Path,
        default=files.DEFAULT_DIRECTORY,
        required=CHECKOUT is None,
        metavar="DIR",
        help="where to write (default in a checkout: alerting/generated)",
    )
    parser.add_argument("--webhook-url", metavar="URL", help="post notifications here, whatever the settings say")
    parser.add_argument("--exporter-ca", default="", metavar="FILE", help="scrape the exporter by TLS, and trust this")


def run(options: argparse.Namespace) -> int:
    """Write the files and return the exit status."""
    own.refuse_committed(options, files.DEFAULT_DIRECTORY)
    thresholds, _layers = own.load(options, webhook=options.webhook_url)
    files.write(files.files(thresholds, exporter_ca=options.exporter_ca), options.output_dir)
    return 0
