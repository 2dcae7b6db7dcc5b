"""`alerts document`: write the tables of metrics and alerts into Markdown files."""

from __future__ import annotations

import argparse
import sys

from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.generate import document
from ml_monitoring.exporter import command_line

HELP = "write the tables of metrics and alerts into Markdown files"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    own.add_settings(parser)
    parser.add_argument(
        "files", nargs="+", type=command_line.path, metavar="FILE", help="with <!-- generated:NAME --> markers"
    )
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a table is old")


def run(options: argparse.Namespace) -> int:
    """Write or compare the tables and return the exit status."""
    thresholds, _layers = own.load(options)
    old = []
    for path in options.files:
        try:
            text = path.read_text(encoding="utf-8")
            new = document.filled(text, path.parent, thresholds)
        except UnicodeDecodeError:
            raise document.DocumentError(f"{path}: is not UTF-8, so no Markdown") from None
        except document.DocumentError as error:
            raise document.DocumentError(f"{path}:{error}") from None
        if new == text:
            continue
        old.append(path)
        if not options.check:
            path.write_text(new, encoding="utf-8", newline="\n")
    if options.check and old:
        paths = ", ".join(map(str, old))
        print(f"Tables are out of date in {paths}. Regenerate them with: make generate", file=sys.stderr)
        return 1
    return 0
