"""`alerts log`: run the alert log."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ml_monitoring.alerting import options as own
from ml_monitoring.exporter import addresses, command_line, logs
from ml_monitoring.exporter.errors import ConfigError

HELP = "run the alert log, which keeps the notifications that Alertmanager sends"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    own.add_settings(parser)
    parser.add_argument(
        "--listen",
        type=addresses.argument,
        default="127.0.0.1:9848",
        metavar="ADDRESS",
        help="host:port, [::1]:port, or :port for all addresses (default: 127.0.0.1:9848)",
    )
    parser.add_argument(
        "--directory",
        type=command_line.path,
        default=Path("alert-log"),
        metavar="DIR",
        help="where it keeps them (default: alert-log)",
    )
    parser.add_argument(
        "--retention",
        type=command_line.duration,
        default="90d",
        metavar="DURATION",
        help="how long it keeps them (default: 90d)",
    )
    parser.add_argument(
        "--duplicate-window",
        type=command_line.duration,
        default="2m",
        metavar="DURATION",
        help="the same notification within this time is one that was sent again for want of an answer (default: 2m); "
        "keep it below the shortest repeat_interval",
    )
    parser.add_argument(
        "--token-file",
        type=command_line.path,
        metavar="FILE",
        help="file with the token that Alertmanager posts with (default: everybody may post)",
    )
    parser.add_argument(
        "--web.config.file",
        dest="web_config",
        type=command_line.path,
        metavar="FILE",
        help="TLS, basic authentication and rate limit, as for the exporter; with --token-file who posts needs the "
        "token and no password",
    )
    parser.add_argument(
        "--allowed-host",
        action="append",
        type=command_line.host_name,
        default=[],
        metavar="NAME",
        help="a name under which the log is reached, such as that of a proxy; addresses, names without a dot and those "
        "of a cluster need none (may be given several times)",
    )
    parser.add_argument("--log-format", choices=["logfmt", "json"], default="logfmt", help="default: logfmt")


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM."""
    # Here, as the other commands need no server.
    from ml_monitoring.alerting.domains import load_thresholds  # noqa: PLC0415
    from ml_monitoring.alerting.log.access import Access  # noqa: PLC0415
    from ml_monitoring.alerting.log.repeats import Repeats  # noqa: PLC0415
    from ml_monitoring.alerting.log.server import serve  # noqa: PLC0415

    access = Access(hosts=options.allowed_host, token_file=options.token_file)
    access.check()
    try:
        thresholds, _layers = own.load(options)
    except ConfigError as error:
        # What is found by itself is for other commands too; what is sent meanwhile must be kept.
        if options.settings is not None:
            raise
        print(f"note: by the default repeat intervals, as the settings cannot be used: {error}", file=sys.stderr)
        thresholds = load_thresholds()
    logs.setup("info", options.log_format)
    serve(
        options.directory,
        options.listen.host,
        options.listen.port,
        retention=options.retention,
        duplicate_window=options.duplicate_window,
        access=access,
        web_config=options.web_config,
        repeats=Repeats.of(thresholds.notifications),
        teams=thresholds.teams,
    )
    return 0
