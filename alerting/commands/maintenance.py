"""`alerts maintenance`: silence the alerts of the stack's teams for a while."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.commands.arguments import add_alertmanager, add_labels
from ml_monitoring.alerting.model.notifications import SEVERITIES
from ml_monitoring.alerting.operate import maintenance
from ml_monitoring.alerting.operate.alertmanager_client import AlertmanagerClient
from ml_monitoring.exporter import command_line
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.suggestions import suggestion_or_all

HELP = "silence all alerts of the stack's teams but the Watchdog for a while"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    own.add_settings(parser)
    add_alertmanager(parser)
    parser.add_argument("--duration", type=command_line.duration, required=True, metavar="DURATION", help="such as 2h")
    parser.add_argument("--reason", required=True, help="why, for those who see the silence")
    add_labels(parser, "only alerts that have this label; repeat for several (default: all of the teams)")
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
        _check_labels(options.labels, {"team": teams, "severity": SEVERITIES})
    client = AlertmanagerClient(options.alertmanager)
    silence = maintenance.begin(client, options.duration, options.reason, labels, teams)
    whose = f"alerts of {', '.join(teams)}" if teams else "alerts of everybody who uses this Alertmanager"
    those = f" with {', '.join(f'{name}={value}' for name, value in options.labels)}" if options.labels else ""
    until = f"{silence.ends.astimezone():%Y-%m-%d %H:%M %Z}"
    print(f"Silenced until {until}: {options.reason} ({silence.id}): {whose}{those}")
    if not teams:
        print("This includes alerts that are not of this stack.")
    count = client.silenced(silence)
    fires = "1 alert that fires" if count == 1 else f"{count or 'no'} alerts that fire"
    print(f"It silences {fires} now.")
    print(f"The Watchdog is still sent. End it early{_end(options.alertmanager, silence.id)}")
    return 0


def _check_labels(labels: Sequence[tuple[str, str]], known: Mapping[str, Sequence[str]]) -> None:
    """Refuse labels that no alert of the teams has, which would silence nothing.

    Raises:
        ConfigError: There is one.
    """
    problems = [
        f"--label {name}={value}: there is no {name} {value}{suggestion_or_all(value, known[name])}"
        for name, value in labels
        if value not in known.get(name, (value,))
    ]
    if problems:
        raise ConfigError(problems)


def _end(url: str, silence: str) -> str:
    """Return how it is ended; a password is not printed, so that the address must be given again."""
    if "@" in urlsplit(url).netloc:
        return f", with the same --alertmanager, with: {command_line.spelled('alerts', 'maintenance-end', silence)}"
    return f" with: {command_line.spelled('alerts', 'maintenance-end', silence, '--alertmanager', url)}"
