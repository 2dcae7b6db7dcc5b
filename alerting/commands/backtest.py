"""`alerts backtest`: say when alerts would have fired in the past."""

from __future__ import annotations

import argparse
from datetime import datetime, timedelta

from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.commands.arguments import add_server
from ml_monitoring.alerting.domains import load_alerts
from ml_monitoring.alerting.generate.expanded import recorded_expressions
from ml_monitoring.alerting.operate.backtest import backtest
from ml_monitoring.alerting.operate.explain import UnknownAlertError
from ml_monitoring.exporter import command_line

HELP = "say when alerts would have fired in the past"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    own.add_settings(parser)
    parser.add_argument("names", nargs="*", metavar="ALERT", help="default: all")
    parser.add_argument("--days", type=float, default=7)
    parser.add_argument("--step", type=command_line.duration, default="1m", metavar="DURATION", help="default: 1m")
    add_server(parser, "prometheus", "http://127.0.0.1:9090")


def run(options: argparse.Namespace) -> int:
    """Print a line for each alert and return the exit status."""
    thresholds, _layers = own.load(options)
    alerts = [alert for alert in load_alerts(thresholds) if not options.names or alert.name in options.names]
    if unknown := sorted(set(options.names) - {alert.name for alert in alerts}):
        raise UnknownAlertError(f"no enabled alert is called {', '.join(unknown)}")
    print(f"{'Alert':34} {'Fired':>6} {'For':>10}  Last began")
    recorded = recorded_expressions(thresholds)
    for result in backtest(options.prometheus, alerts, recorded, days=options.days, step=options.step):
        last = datetime.fromtimestamp(result.firings[-1].begins).astimezone() if result.firings else None
        began = f"{last:%Y-%m-%d %H:%M %Z}" if last else ""
        total = str(timedelta(seconds=round(result.seconds)))
        print(f"{result.alert.name:34} {len(result.firings):6} {total:>10}  {began}")
    return 0
