"""The command line: `python -m alerting generate | document`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from alerting import document, generate, thresholds
from alerting.alerts import ALERTS
from exporter.errors import MonitorError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except (MonitorError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m alerting", description="Recording rules, alerts and routing.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("generate", help="write the files that Prometheus and Alertmanager read")
    command.add_argument(
        "--thresholds",
        type=Path,
        default=thresholds.DEFAULT_PATH,
        metavar="FILE",
        help="the numbers (default: alerting/thresholds.yml)",
    )
    command.add_argument(
        "--output-dir",
        type=Path,
        default=generate.DEFAULT_DIRECTORY,
        metavar="DIR",
        help="where to write (default: alerting/generated)",
    )
    command.add_argument("--webhook-url", metavar="URL", help="post notifications here, whatever FILE says")
    command.set_defaults(run=_generate)
    command = commands.add_parser("document", help="write the tables of metrics and alerts into Markdown files")
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help="with <!-- generated:NAME --> markers")
    command.add_argument("--check", action="store_true", help="change nothing; fail when a table is old")
    command.set_defaults(run=_document)
    return parser


def _generate(arguments: argparse.Namespace) -> int:
    numbers = thresholds.read(ALERTS, arguments.thresholds).overridden(os.environ, webhook=arguments.webhook_url)
    generate.write(generate.files(numbers), arguments.output_dir)
    return 0


def _document(arguments: argparse.Namespace) -> int:
    old = []
    for path in arguments.files:
        text = path.read_text(encoding="utf-8")
        try:
            new = document.filled(text)
        except document.DocumentError as error:
            raise document.DocumentError(f"{path}:{error}") from None
        if new == text:
            continue
        old.append(path)
        if not arguments.check:
            path.write_text(new, encoding="utf-8", newline="\n")
    if arguments.check and old:
        print(f"Tables are old in {', '.join(map(str, old))}. Mend with: make generate", file=sys.stderr)
        return 1
    return 0
