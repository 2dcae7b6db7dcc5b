"""`alerts test-fire`: send a test alert through Alertmanager."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.commands.arguments import add_alertmanager
from ml_monitoring.alerting.generate.alertmanager import ESCALATION, TEST_FIRE, build, channels_of
from ml_monitoring.alerting.generate.channels import integration
from ml_monitoring.alerting.model.notifications import SEVERITIES, ChannelSettings
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.alerting.operate.alertmanager_client import AlertmanagerClient
from ml_monitoring.alerting.operate.routing import stops
from ml_monitoring.alerting.operate.test_fire import TEST_ALERT, Outcome, test_fire
from ml_monitoring.exporter import command_line, durations
from ml_monitoring.exporter.errors import UsageError
from ml_monitoring.exporter.suggestions import suggestion_or_all

HELP = "send a test alert through Alertmanager and say what came of it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    own.add_settings(parser)
    add_alertmanager(parser)
    parser.add_argument("--team", help="whom it reaches (default: platform, or a team of the channel)")
    parser.add_argument(
        "--severity", choices=SEVERITIES, help="how loud (default: warning, or where the channel has none: critical)"
    )
    parser.add_argument("--channel", metavar="NAME", help="a channel of the settings; refuses what never reaches it")
    parser.add_argument(
        "--wait", type=command_line.seconds, default=90, metavar="TIME", help="for the delivery (default: 90s)"
    )


def run(options: argparse.Namespace) -> int:
    """Send the alert, print what came of it, and return the exit status."""
    thresholds, _layers = own.load(options)
    own.say_which(options)
    team, severity = options.team or "platform", options.severity or "warning"
    if options.channel:
        team, severity = _reached(options, thresholds.notifications.channels)
    if team not in thresholds.teams:
        raise UsageError([f"--team {team}: there is no such team{suggestion_or_all(team, thresholds.teams)}"])
    client = AlertmanagerClient(options.alertmanager)
    outcome = test_fire(client, team=team, severity=severity, wait=options.wait, labels=thresholds.alert_labels)
    print(f"{TEST_ALERT} of team {team}, severity {severity}: routed to {', '.join(outcome.receivers)}")
    asked = thresholds.notifications.channels.get(options.channel)
    first = integration(asked) if asked else ""
    missing = _missing(thresholds, options.channel, outcome, team, severity) if asked else ""
    if missing:
        print(missing)
    lines = dict(_lines(outcome, options.wait))
    for kind in sorted(lines, key=lambda kind: (kind != first, kind not in outcome.answered, kind)):
        print(f"  {kind}: {lines[kind]}")
    for receiver, seconds in outcome.late.items():
        wait, needed = map(durations.format_seconds, (options.wait, seconds))
        print(f"  {receiver}: not within {wait}: it waits {needed} (group_wait)")
    if missing:
        print(f"Not delivered through channel {options.channel}: this Alertmanager has not loaded it")
        return 1
    # Through what only escalations reach, nothing is sent before.
    later = [seconds for name, seconds in outcome.late.items() if name.endswith(ESCALATION)]
    if asked and severity not in asked.severities and later:
        needed = durations.format_seconds(max(later))
        print(f"Not known: only escalations reach channel {options.channel}; give --wait more than {needed}")
        return 1
    if not outcome.kinds and not outcome.late:
        print(f"Not delivered: {_why_nothing(thresholds, team, severity)}")
    else:
        print(_verdict(outcome))
    return 0 if outcome.is_delivered else 1


def _missing(thresholds: Thresholds, channel: str, outcome: Outcome, team: str, severity: str) -> str:
    """Return that the loaded configuration has fewer channels of one's kind than the settings make; empty if not."""
    kind = integration(thresholds.notifications.channels[channel])
    config = build(thresholds=thresholds)
    made = {receiver["name"]: receiver for receiver in config["receivers"]}
    due = sum(
        len(made[stop.receiver].get(f"{kind}_configs", ()))
        for stop in stops(config, _labels(thresholds, team, severity))
    )
    loaded = outcome.channels.get(kind, 0)
    if loaded >= due:
        return ""
    return (
        f"  channel {channel} is not in the configuration of this Alertmanager, which has {loaded} of {due} {kind} "
        "channels that the settings make for this alert; `alerts generate`, reload it, and test again"
    )


def _labels(thresholds: Thresholds, team: str, severity: str) -> dict[str, str]:
    return {**thresholds.alert_labels, "alertname": TEST_ALERT, "team": team, "severity": severity}


def _lines(outcome: Outcome, wait: float) -> Iterator[tuple[str, str]]:
    """Yield each kind of channel through which the alert was due, and what came of it."""
    for kind, due in outcome.kinds.items():
        sent, tried = outcome.sent.get(kind, 0), outcome.tried.get(kind, 0)
        if kind in outcome.answered:
            others = ", ".join(sorted(outcome.others.get(kind, ())))
            # Alertmanager counts notifications by kind of channel, not by alert.
            whose = f"; by this alert or by {others}, which goes through {kind} too" if others else ""
            missed = f" of {due}" if sent < due else ""
            dead = (
                f", {tried:.0f} attempts failed; Alertmanager's log says at which address" if missed and tried else ""
            )
            yield kind, f"{sent:.0f}{missed} sent, {outcome.failed.get(kind, 0):.0f} failed{dead}{whose}"
        elif tried:
            said = "Alertmanager tries on, and its log says why they fail"
            yield kind, f"nothing arrived, {tried:.0f} attempts failed; {said}"
        else:
            yield (
                kind,
                f"nothing was tried in {durations.format_seconds(wait)}: is it silenced, or its team in a mute time?",
            )


def _verdict(outcome: Outcome) -> str:
    if not outcome.kinds:
        needed = durations.format_seconds(min(outcome.late.values()))
        return f"Not known: nothing was due in this time; give --wait more than {needed}"
    mark = f"look for {TEST_FIRE}={outcome.mark}, which only this alert has"
    if outcome.silences:
        return f"Not delivered: it is silenced by {', '.join(outcome.silences)}"
    if outcome.doubtful and not outcome.missed:
        tried = sum(outcome.tried[kind] for kind in outcome.doubtful)
        kinds = ", ".join(sorted(outcome.doubtful))
        return f"Not known: {tried:.0f} attempts through {kinds} failed, of this alert or of others; {mark}"
    if not outcome.is_delivered:
        verdict = f"Not delivered through {', '.join(sorted(outcome.missed))}"
        return verdict if outcome.is_certain else f"{verdict}; to be sure of the others, {mark}"
    if outcome.is_certain:
        return "Delivered: each channel that was due took it"
    return f"Delivered, unless what was counted is of others: to be sure that it arrived, {mark}"


def _why_nothing(thresholds: Thresholds, team: str, severity: str) -> str:
    labels = _labels(thresholds, team, severity)
    channels = channels_of(thresholds)
    reached = [channels[stop.receiver] for stop in stops(build(thresholds=thresholds), labels)]
    meant = {channel for of_receiver in reached for channel in of_receiver}
    if not meant:
        return "no channel is set up for it"
    return (
        f"the settings have {', '.join(sorted(meant))} for it, and this Alertmanager does not; "
        "`alerts generate`, reload it, and test again"
    )


def _reached(options: argparse.Namespace, channels: Mapping[str, ChannelSettings]) -> tuple[str, str]:
    """Return a team and a severity of alerts that a channel gets: those of the command line, where they are given."""
    name = options.channel
    channel = channels.get(name)
    if channel is None:
        known = (
            suggestion_or_all(name, channels)
            if channels
            else ", which have none: add one under notifications.channels of the file that --settings names"
        )
        raise UsageError([f"--channel: no channel {name} in the settings{known}"])
    if options.team and channel.teams and options.team not in channel.teams:
        raise UsageError([f"--team {options.team}: channel {name} is for {', '.join(channel.teams)} only"])
    # Escalations are critical.
    severities = {*channel.severities, *(["critical"] if channel.escalations else [])}
    if options.severity and options.severity not in severities:
        raise UsageError([f"--severity {options.severity}: channel {name} is for {', '.join(sorted(severities))} only"])
    team = options.team or next(iter(channel.teams), "platform")
    # Critical pages people: only where the channel gets nothing else.
    return team, options.severity or next(each for each in ("warning", "info", "critical") if each in severities)
