"""`alerts generate`: write the files that Prometheus and Alertmanager read."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.generate import files, mimir
from ml_monitoring.alerting.operate.promtool import refuse_broken
from ml_monitoring.alerting.services.adapter import uncounted
from ml_monitoring.alerting.services.adapters import ADAPTERS
from ml_monitoring.exporter.errors import ConfigError
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
    parser.add_argument(
        "--format",
        choices=("prometheus", "mimir"),
        default="prometheus",
        help="files of Prometheus and Alertmanager (the default), or the rules alone for `mimirtool rules sync`",
    )
    parser.add_argument(
        "--rules-per-group",
        type=_number,
        metavar="N",
        help="with --format mimir: split groups with more rules, where the ruler allows no more (default: as they are)",
    )
    parser.add_argument("--webhook-url", metavar="URL", help="post notifications here, whatever the settings say")
    parser.add_argument("--exporter-ca", default="", metavar="FILE", help="scrape the exporter by TLS, and trust this")


def run(options: argparse.Namespace) -> int:
    """Write the files and return the exit status.

    Raises:
        ConfigError: Options do not fit each other, or the settings cannot be used.
    """
    is_mimir = options.format == "mimir"
    if is_mimir and options.output_dir.resolve() == files.DEFAULT_DIRECTORY.resolve():
        raise ConfigError(["--format mimir: give --output-dir, as the default folder is of Prometheus's files"])
    if options.rules_per_group is not None and not is_mimir:
        raise ConfigError(["--rules-per-group: add --format mimir; Prometheus takes groups of any size"])
    own.refuse_committed(options, files.DEFAULT_DIRECTORY)
    thresholds, _layers = own.load(options, webhook=options.webhook_url)
    refuse_broken(thresholds)
    for sentence in uncounted(thresholds.services, ADAPTERS):
        print(f"note: {sentence}", file=sys.stderr)
    if is_mimir:
        files.write({mimir.FILE: mimir.text(thresholds, most_rules=options.rules_per_group)}, options.output_dir)
        return 0
    files.write(files.files(thresholds, exporter_ca=options.exporter_ca), options.output_dir)
    return 0


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)
