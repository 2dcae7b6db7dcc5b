"""The command line: generate, document, log, and the tools of whoever is on call."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from ml_monitoring.alerting.domains import ALERTS, load_alerts
from ml_monitoring.alerting.generate import alertmanager, document
from ml_monitoring.alerting.generate import files as generate
from ml_monitoring.alerting.model import thresholds
from ml_monitoring.alerting.model.notifications import base_url
from ml_monitoring.alerting.operate import maintenance as operate
from ml_monitoring.alerting.operate.backtest import backtest
from ml_monitoring.alerting.operate.explain import UnknownAlertError, explain
from ml_monitoring.alerting.operate.routing import stops
from ml_monitoring.exporter import command_line, logs
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.version import CHECKOUT


def main(arguments: Sequence[str] | None = None, *, prog: str = "ml-monitoring alerts") -> int:
    """Run a command and return the exit code (see `ml_monitoring.exporter.command_line`)."""
    parser = command_line.new_parser(prog, "Recording rules, alerts and routing.")
    add_commands(command_line.add_subparsers(parser))
    return command_line.run(parser, arguments)


def add_commands(commands: command_line.Commands) -> None:
    """Add the commands to a parser's subparsers."""
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
        required=CHECKOUT is None,
        metavar="DIR",
        help="where to write (default in a checkout: alerting/generated)",
    )
    command.add_argument("--webhook-url", metavar="URL", help="post notifications here, whatever FILE says")
    command.add_argument("--exporter-ca", default="", metavar="FILE", help="scrape the exporter by TLS, and trust this")
    command.set_defaults(command=_generate)
    command = commands.add_parser("document", help="write the tables of metrics and alerts into Markdown files")
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help="with <!-- generated:NAME --> markers")
    command.add_argument("--check", action="store_true", help="change nothing; fail when a table is old")
    command.set_defaults(command=_document)
    command = commands.add_parser("log", help="run the alert log, which keeps what Alertmanager sends")
    command.add_argument("--listen", default="127.0.0.1:9848", metavar="HOST:PORT", help="default: 127.0.0.1:9848")
    command.add_argument("--directory", type=Path, default=Path("alert-log"), metavar="DIR", help="where it keeps them")
    command.add_argument(
        "--retention",
        type=command_line.duration,
        default="90d",
        metavar="DURATION",
        help="how long it keeps them (default: 90d)",
    )
    command.add_argument(
        "--duplicate-window",
        type=command_line.duration,
        default="2m",
        metavar="DURATION",
        help="the same notification within this time is one that was sent again for want of an answer (default: 2m); "
        "keep it below the shortest repeat_interval",
    )
    command.add_argument("--log-format", choices=["logfmt", "json"], default="logfmt", help="default: logfmt")
    command.set_defaults(command=_log)
    _add_tools(commands)


def _add_tools(commands: command_line.Commands) -> None:
    """Add the commands of whoever is on call."""
    numbers = argparse.ArgumentParser(add_help=False)
    numbers.add_argument("--thresholds", type=Path, default=thresholds.DEFAULT_PATH, metavar="FILE", help="the numbers")
    server = argparse.ArgumentParser(add_help=False)
    server.add_argument(
        "--alertmanager",
        type=_url,
        default=os.environ.get("ALERTMANAGER_URL", "http://127.0.0.1:9093"),
        metavar="URL",
        help="default: $ALERTMANAGER_URL or http://127.0.0.1:9093",
    )

    command = commands.add_parser("explain", parents=[numbers], help="say everything about an alert")
    command.add_argument("name", metavar="ALERT")
    command.set_defaults(command=_explain)

    command = commands.add_parser("route", parents=[numbers], help="say who is notified of an alert with these labels")
    command.add_argument("--label", action="append", type=_label, required=True, metavar="NAME=VALUE", dest="labels")
    command.set_defaults(command=_route)

    command = commands.add_parser(
        "test-fire", parents=[numbers, server], help="send a test alert through Alertmanager and say what came of it"
    )
    command.add_argument("--team", default="platform")
    command.add_argument("--severity", choices=thresholds.SEVERITIES, default="warning")
    command.add_argument("--channel", metavar="NAME", help="a channel of the thresholds file; picks whom it reaches")
    command.add_argument("--wait", type=float, default=90, metavar="SECONDS", help="for the delivery (default: 90)")
    command.set_defaults(command=_test_fire)

    command = commands.add_parser("maintenance", parents=[server], help="silence all alerts for a while")
    command.add_argument("--duration", type=command_line.duration, required=True, metavar="DURATION", help="such as 2h")
    command.add_argument("--reason", required=True)
    command.add_argument("--label", action="append", type=_label, default=[], metavar="NAME=VALUE", dest="labels")
    command.set_defaults(command=_maintenance)

    command = commands.add_parser("maintenance-end", parents=[server], help="end every maintenance now")
    command.set_defaults(command=_maintenance_end)

    command = commands.add_parser("backtest", parents=[numbers], help="say when alerts would have fired in the past")
    command.add_argument("names", nargs="*", metavar="ALERT", help="default: all")
    command.add_argument("--days", type=float, default=7)
    command.add_argument("--step", type=command_line.duration, default=60.0, metavar="DURATION", help="default: 1m")
    command.add_argument(
        "--prometheus",
        type=_url,
        default=os.environ.get("PROMETHEUS_URL", "http://127.0.0.1:9090"),
        metavar="URL",
        help="default: $PROMETHEUS_URL or http://127.0.0.1:9090",
    )
    command.set_defaults(command=_backtest)


def _label(text: str) -> tuple[str, str]:
    name, equal, value = text.partition("=")
    if not equal or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _url(text: str) -> str:
    try:
        return base_url(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _explain(arguments: argparse.Namespace) -> int:
    numbers = thresholds.read(ALERTS, arguments.thresholds).overridden(os.environ)
    print(explain(arguments.name, numbers, arguments.thresholds, alertmanager.build(thresholds=numbers)), end="")
    return 0


def _route(arguments: argparse.Namespace) -> int:
    config = alertmanager.build(thresholds=thresholds.read(ALERTS, arguments.thresholds))
    for stop in stops(config, dict(arguments.labels)):
        through = ", ".join(stop.kinds) or "nothing"
        print(f"{stop.receiver}: after {stop.group_wait}, again every {stop.repeat_interval}; through {through}")
    return 0


def _test_fire(arguments: argparse.Namespace) -> int:
    numbers = thresholds.read(ALERTS, arguments.thresholds)
    team, severity = arguments.team, arguments.severity
    if arguments.channel:
        channel = numbers.notifications.channels.get(arguments.channel)
        if channel is None:
            known = ", ".join(numbers.notifications.channels) or "none"
            raise ConfigError([f"no channel {arguments.channel} in {arguments.thresholds}; there are: {known}"])
        team = next(iter(channel.teams), team)
        severity = next(iter(channel.severities), "critical")
    outcome = operate.test_fire(
        operate.AlertmanagerClient(arguments.alertmanager), team=team, severity=severity, wait=arguments.wait
    )
    print(f"{operate.TEST_ALERT} of team {team}, severity {severity}: routed to {', '.join(outcome.receivers)}")
    for kind in sorted(outcome.sent):
        print(f"  {kind}: {outcome.sent[kind]:.0f} sent, {outcome.failed.get(kind, 0):.0f} failed")
    if not outcome.sent:
        print(f"  nothing was sent within {arguments.wait:g} s: no channel is set up, or it waits longer (group_wait)")
    return 0 if outcome.sent and not any(outcome.failed.values()) else 1


def _maintenance(arguments: argparse.Namespace) -> int:
    client = operate.AlertmanagerClient(arguments.alertmanager)
    silence = client.begin_maintenance(arguments.duration, arguments.reason, arguments.labels)
    print(f"Silenced until {silence.ends.astimezone():%Y-%m-%d %H:%M %Z}: {arguments.reason} ({silence.id})")
    print("The Watchdog is told on. End it early with: make maintenance-end")
    return 0


def _maintenance_end(arguments: argparse.Namespace) -> int:
    client = operate.AlertmanagerClient(arguments.alertmanager)
    silences = client.maintenance()
    for silence in silences:
        client.end(silence)
        print(f"Ended: {silence.comment} ({silence.id})")
    if not silences:
        print("There is no maintenance to end.")
    return 0


def _backtest(arguments: argparse.Namespace) -> int:
    numbers = thresholds.read(ALERTS, arguments.thresholds)
    alerts = [alert for alert in load_alerts(numbers) if not arguments.names or alert.name in arguments.names]
    if unknown := sorted(set(arguments.names) - {alert.name for alert in alerts}):
        raise UnknownAlertError(f"no enabled alert is called {', '.join(unknown)}")
    print(f"{'Alert':34} {'Fired':>6} {'For':>10}  Last began")
    for result in backtest(arguments.prometheus, alerts, days=arguments.days, step=arguments.step):
        last = datetime.fromtimestamp(result.firings[-1].begins).astimezone() if result.firings else None
        began = f"{last:%Y-%m-%d %H:%M %Z}" if last else ""
        print(
            f"{result.alert.name:34} {len(result.firings):6} {timedelta(seconds=round(result.seconds))!s:>10}  {began}"
        )
    return 0


def _log(arguments: argparse.Namespace) -> int:
    # Here, as the other commands need no server.
    from ml_monitoring.alerting.log.server import serve  # noqa: PLC0415

    host, _, port = arguments.listen.rpartition(":")
    try:
        number = int(port)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    logs.setup("info", arguments.log_format)
    serve(
        arguments.directory,
        host.strip("[]"),
        number,
        retention=arguments.retention,
        duplicate_window=arguments.duplicate_window,
    )
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
            new = document.filled(text, path.parent)
        except document.DocumentError as error:
            raise document.DocumentError(f"{path}:{error}") from None
        if new == text:
            continue
        old.append(path)
        if not arguments.check:
            path.write_text(new, encoding="utf-8", newline="\n")
    if arguments.check and old:
        names = ", ".join(map(str, old))
        print(f"Tables are out of date in {names}. Regenerate them with: make generate", file=sys.stderr)
        return 1
    return 0
