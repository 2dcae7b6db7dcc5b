"""`alerts maintenance`: silence the alerts of the stack's teams for a while."""

from __future__ import annotations

import argparse
from urllib.parse import urlsplit

from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.commands.arguments import add_alertmanager, label
from ml_monitoring.alerting.operate import maintenance
from ml_monitoring.alerting.operate.alertmanager_client import AlertmanagerClient
from ml_monitoring.exporter import command_line

HELP = "silence all alerts of the stack's teams but the Watchdog for a while"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    own.add_settings(parser)
    add_alertmanager(parser)
    parser.add_argument("--duration", type=command_line.duration, required=True, metavar="DURATION", help="such as 2h")
    parser.add_argument("--reason", required=True, help="why, for those who see the silence")
    parser.add_argument(
        "--label",
        action="append",
        type=label,
        default=[],
        metavar="NAME=VALUE",
        dest="labels",
        help="only alerts that have this label; repeat for several (default: all of the teams)",
    )
    parser.add_argument(
        "--everything",
        action="store_true",
        help="silence the alerts of all who use this Alertmanager, not those of the teams of the settings only",
    )


def run(options: argparse.Namespace) -> int:
    """Begin the maintenance and return the exit status."""
    teams: tuple[str, ...] = ()
    labels = options.labels
    if not options.everything:
        thresholds, _layers = own.load(options)
        teams, labels = thresholds.teams, [*labels, *thresholds.alert_labels.items()]
    client = AlertmanagerClient(options.alertmanager)
    silence = maintenance.begin(client, options.duration, options.reason, labels, teams)
    whose = f"alerts of {', '.join(teams)}" if teams else "alerts of everybody who uses this Alertmanager"
    those = f" with {', '.join(f'{name}={value}' for name, value in options.labels)}" if options.labels else ""
    until = f"{silence.ends.astimezone():%Y-%m-%d %H:%M %Z}"
    print(f"Silenced until {until}: {options.reason} ({silence.id}): {whose}{those}")
    if not teams:
        print("This includes alerts that are not of this stack.")
    print(f"The Watchdog is still sent. End it early{_end(options.alertmanager)}")
    return 0


def _end(url: str) -> str:
    """Return how it is ended; a password is not printed, so that the address must be given again."""
    if "@" in urlsplit(url).netloc:
        return f", with the same --alertmanager, with: {command_line.spelled('alerts', 'maintenance-end')}"
    return f" with: {command_line.spelled('alerts', 'maintenance-end', '--alertmanager', url)}"
