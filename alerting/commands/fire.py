"""`alerts test-fire`: send a test alert through Alertmanager."""

from __future__ import annotations

import argparse

from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.commands.arguments import add_alertmanager
from ml_monitoring.alerting.model.notifications import SEVERITIES
from ml_monitoring.alerting.operate.alertmanager_client import AlertmanagerClient
from ml_monitoring.alerting.operate.test_fire import TEST_ALERT, test_fire
from ml_monitoring.exporter import command_line, durations
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.suggestions import suggestion_or_all

HELP = "send a test alert through Alertmanager and say what came of it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    own.add_settings(parser)
    add_alertmanager(parser)
    parser.add_argument("--team", default="platform", help="whom it reaches (default: platform)")
    parser.add_argument("--severity", choices=SEVERITIES, default="warning", help="how loud (default: warning)")
    parser.add_argument("--channel", metavar="NAME", help="a channel of the settings; picks whom it reaches")
    parser.add_argument(
        "--wait", type=command_line.positive, default=90, metavar="SECONDS", help="for the delivery (default: 90)"
    )


def run(options: argparse.Namespace) -> int:
    """Send the alert, print what came of it, and return the exit status."""
    thresholds, _layers = own.load(options)
    team, severity = options.team, options.severity
    if options.channel:
        channel = thresholds.notifications.channels.get(options.channel)
        if channel is None:
            known = thresholds.notifications.channels
            raise ConfigError(
                [f"no channel {options.channel} in the settings{suggestion_or_all(options.channel, known)}"]
            )
        team = next(iter(channel.teams), team)
        severity = next(iter(channel.severities), "critical")
    if team not in thresholds.teams:
        raise ConfigError([f"--team {team}: there is no such team{suggestion_or_all(team, thresholds.teams)}"])
    client = AlertmanagerClient(options.alertmanager)
    outcome = test_fire(client, team=team, severity=severity, wait=options.wait, labels=thresholds.alert_labels)
    print(f"{TEST_ALERT} of team {team}, severity {severity}: routed to {', '.join(outcome.receivers)}")
    for kind in sorted(outcome.sent):
        others = ", ".join(sorted(outcome.others.get(kind, ())))
        # Alertmanager counts notifications by kind of channel, not by alert.
        whose = f"; by this alert or by {others}, which goes through {kind} too" if others else ""
        print(f"  {kind}: {outcome.sent[kind]:.0f} sent, {outcome.failed.get(kind, 0):.0f} failed{whose}")
    for receiver, seconds in outcome.late.items():
        print(f"  {receiver}: not within {options.wait:g} s: it waits {durations.format_seconds(seconds)} (group_wait)")
    if not outcome.sent:
        print(
            f"  nothing was sent within {options.wait:g} s: no channel is set up, or a test shortly before delays it "
            "(group_interval)"
        )
    elif not outcome.is_delivered and not any(outcome.failed.values()):
        print(f"  whether it arrived cannot be said from here: look for test={outcome.mark}, which only this alert has")
    return 0 if outcome.is_delivered else 1
