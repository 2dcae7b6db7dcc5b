"""The command line: `python -m alerting generate | document | log`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from alerting import document, generate, thresholds
from alerting.alerts import ALERTS
from alerting.durations import to_seconds
from exporter import logs
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
    command.add_argument("--exporter-ca", default="", metavar="FILE", help="scrape the exporter by TLS, and trust this")
    command.set_defaults(run=_generate)
    command = commands.add_parser("document", help="write the tables of metrics and alerts into Markdown files")
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help="with <!-- generated:NAME --> markers")
    command.add_argument("--check", action="store_true", help="change nothing; fail when a table is old")
    command.set_defaults(run=_document)
    command = commands.add_parser("log", help="run the alert log, which keeps what Alertmanager tells")
    command.add_argument("--listen", default="127.0.0.1:9848", metavar="HOST:PORT", help="default: 127.0.0.1:9848")
    command.add_argument("--directory", type=Path, default=Path("alert-log"), metavar="DIR", help="where it keeps them")
    command.add_argument("--retention", default="90d", metavar="DURATION", help="how long it keeps them (default: 90d)")
    command.add_argument(
        "--duplicate-window",
        default="2m",
        metavar="DURATION",
        help="the same notification within this time is one that was sent again for want of an answer (default: 2m); "
        "keep it below the shortest repeat_interval",
    )
    command.add_argument("--log-format", choices=["logfmt", "json"], default="logfmt", help="default: logfmt")
    command.set_defaults(run=_log)
    return parser


def _log(arguments: argparse.Namespace) -> int:
    # Here, as the other commands need no server.
    from alerting.log.server import serve  # noqa: PLC0415

    host, _, port = arguments.listen.rpartition(":")
    try:
        number = int(port)
        retention, window = to_seconds(arguments.retention), to_seconds(arguments.duplicate_window)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    logs.setup("info", arguments.log_format)
    serve(arguments.directory, host.strip("[]"), number, retention=retention, duplicate_window=window)
    return 0


def _generate(arguments: argparse.Namespace) -> int:
    numbers = thresholds.read(ALERTS, arguments.thresholds).overridden(os.environ, webhook=arguments.webhook_url)
    generate.write(generate.files(numbers, exporter_ca=arguments.exporter_ca), arguments.output_dir)
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
