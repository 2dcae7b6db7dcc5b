"""`alerts maintenance`: silence the alerts of the stack's teams for a while."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.commands.arguments import add_alertmanager, add_labels
from ml_monitoring.alerting.domains import load_alerts
from ml_monitoring.alerting.model.notifications import SEVERITIES
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.alerting.operate import maintenance
from ml_monitoring.alerting.operate.alertmanager_client import AlertmanagerClient, Silence
from ml_monitoring.alerting.operate.labels import alert_names, label_names
from ml_monitoring.exporter import command_line, durations
from ml_monitoring.exporter.errors import UsageError
from ml_monitoring.exporter.sources import SOURCES
from ml_monitoring.exporter.suggestions import suggestion, suggestion_or_all

HELP = "silence all alerts of the stack's teams but the Watchdog for a while"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    own.add_settings(parser)
    add_alertmanager(parser)
    parser.add_argument(
        "--start",
        type=command_line.coming_moment,
        metavar="TIME",
        help="when it begins: 22:00 for the next one, or 2026-12-01T22:00, by the clock of this machine unless a zone "
        "follows, such as Z (default: now)",
    )
    parser.add_argument(
        "--duration",
        type=command_line.within_a_year,
        required=True,
        metavar="DURATION",
        help="how long from its start, such as 2h; a year at most",
    )
    parser.add_argument("--reason", required=True, type=_reason, help="why, for those who see the silence")
    add_labels(
        parser,
        "only alerts that have this label; repeat for several labels, of which they must have all, or for several "
        "values of one, of which they must have any (default: all of the teams)",
    )
    parser.add_argument(
        "--everything",
        action="store_true",
        help="silence the alerts of all who use this Alertmanager, not those of the teams of the settings only",
    )


def _reason(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty")
    return text


def run(options: argparse.Namespace) -> int:
    """Begin the maintenance and return the exit status."""
    client = AlertmanagerClient(options.alertmanager)
    teams: tuple[str, ...] = ()
    labels = options.labels
    if not options.everything:
        thresholds, _layers = own.load(options)
        teams, labels = thresholds.teams, [*labels, *thresholds.alert_labels.items()]
        if problems := list(_problems(options.labels, thresholds, client, own.named(options))):
            raise UsageError(problems)
    silence = maintenance.begin(client, options.duration, options.reason, labels, teams, starts=options.start)
    begins = f" from {command_line.moment_text(silence.starts)}" if options.start else ""
    until = command_line.moment_text(silence.ends)
    print(f"Silenced{begins} until {until}: {options.reason} ({silence.id}): {maintenance.whose(silence)}")
    if not teams:
        print("This includes alerts that are not of this stack.")
    names = client.silenced()[silence.id]
    print(_what_it_does(silence, names))
    if not names:
        for line in _unseen(options.labels, client):
            print(line)
    if teams and not options.labels:
        _note_others(options, teams, client)
    # Ended alone, it would leave those that it prolongs.
    older = [one.id for one in maintenance.alike(client, silence) if one.id != silence.id]
    which = "them" if older else "it"
    print(f"The Watchdog is still sent. End {which} early{_end(options.alertmanager, silence.id, *older)}")
    return 0


def _what_it_does(silence: Silence, names: Sequence[str]) -> str:
    if silence.is_pending:
        # Whole minutes, and one that is not over yet.
        wait = -((datetime.now(UTC) - silence.starts).total_seconds() // 60) * 60
        return f"It begins in {durations.format_seconds(wait)}; nothing is silenced yet."
    if not names:
        return "It silences no alerts that fire now."
    fires = "1 alert that fires" if len(names) == 1 else f"{len(names)} alerts that fire"
    # All of them: afterwards it is compared which of them ended meanwhile.
    return f"It silences {fires} now: {', '.join(maintenance.counted(names))}."


def _note_others(options: argparse.Namespace, teams: Sequence[str], client: AlertmanagerClient) -> None:
    """Say which teams stay loud: they may be the user's own, where the settings that have them are not named."""
    known = client.routed_teams() | {alert["team"] for alert in client.labels() if alert.get("team")}
    if others := sorted(known - set(teams)):
        print(
            f"note: alerts of {', '.join(others)} are still sent: not among the teams of {own.named(options)}; "
            "--settings names another file, --everything silences the alerts of all",
            file=sys.stderr,
        )


def _problems(
    labels: Sequence[tuple[str, str]], thresholds: Thresholds, client: AlertmanagerClient, settings: str
) -> Iterator[str]:
    """Yield labels that no alert of the teams has, which would silence nothing."""
    if not labels:
        return
    # Prometheus adds labels (`external_labels`), and teams may have alerts of others: what fires has them.
    firing = client.labels()
    names = (*label_names(thresholds), *(name for alert in firing for name in alert))
    values = {
        "team": thresholds.teams,
        "severity": SEVERITIES,
        "alertname": (*alert_names(thresholds), *(alert["alertname"] for alert in firing if "alertname" in alert)),
    }
    is_known = True
    for name, value in labels:
        if name not in names:
            is_known = False
            yield f"--label {name}={value}: no alert has a label {name}{suggestion_or_all(name, dict.fromkeys(names))}"
        elif value not in values.get(name, (value,)):
            known = dict.fromkeys(values[name])
            meant = suggestion(value, known) if name == "alertname" else suggestion_or_all(value, known)
            if name == "team":
                meant = suggestion(value, known) or "."
                meant += f" Teams of {settings}: {', '.join(known)}; --settings names another file"
            yield f"--label {name}={value}: there is no {name} {value}{meant}"
            is_known = False
    if is_known:
        yield from _contradiction(maintenance.by_name(labels), thresholds, firing)


def _contradiction(
    wanted: Mapping[str, Sequence[str]], thresholds: Thresholds, firing: Sequence[Mapping[str, str]]
) -> Iterator[str]:
    """Yield labels that alerts have, but none of those that are named: of each of ours it is known."""
    fixed = {name: values for name, values in wanted.items() if name in ("alertname", "team", "severity")}
    named = [
        {"alertname": alert.name, **alert.labels}
        for alert in load_alerts(thresholds)
        if alert.name in fixed.get("alertname", ())
    ]
    if not named or any(
        all(alert.get(name) in values for name, values in fixed.items()) for alert in (*named, *firing)
    ):
        return
    given = " ".join(f"--label {name}={value}" for name, values in fixed.items() for value in values)
    said = "; ".join(f"{one['alertname']} is {one['severity']}, of team {one['team']}" for one in named)
    yield f"{given}: no alert has all of these labels; {said}"


def _unseen(labels: Sequence[tuple[str, str]], client: AlertmanagerClient) -> Iterator[str]:
    """Yield what may be misspelt: values that none of the alerts that fire has."""
    firing = client.labels()
    for name, value in labels:
        known = [alert[name] for alert in firing if name in alert]
        # Of these, what there is not was refused.
        if name not in ("team", "severity", "alertname") and value not in known:
            meant = suggestion(value, (*known, *(source.name for source in SOURCES if name == "source")))
            yield f"None that fires has {name}={value}{meant or '.'}"


def how_to_end(url: str, silence: Silence) -> str:
    """Return how a silence is ended, whose it may be."""
    if maintenance.is_maintenance(silence):
        return _end(url, silence.id)
    return _with_address(url, f"amtool silence expire {silence.id}", "--alertmanager.url", "address")


def _end(url: str, *silences: str) -> str:
    command = command_line.spelled("alerts", "maintenance-end", *silences)
    return _with_address(url, command, "--alertmanager", "--alertmanager")


def _with_address(url: str, command: str, option: str, called: str) -> str:
    """Return a command for an address; a password is not printed, so that the address must be given again."""
    if "@" in urlsplit(url).netloc:
        return f", with the same {called}, with: {command}"
    return f" with: {command} {option} {shlex.quote(url)}"
