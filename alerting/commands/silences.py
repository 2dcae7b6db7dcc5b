"""`alerts silences`: list what is silenced now or will be, by whom, until when, and how each is ended."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from ml_monitoring.alerting.commands.arguments import add_alertmanager
from ml_monitoring.alerting.commands.maintenance import how_to_end
from ml_monitoring.alerting.operate import maintenance
from ml_monitoring.alerting.operate.alertmanager_client import AlertmanagerClient, Silence
from ml_monitoring.exporter import command_line
from ml_monitoring.exporter.differences import few

# Names of alerts that a line has room for.
_SHOWN: Final = 20
HELP = "list what is silenced now or will be, by whom, until when, and how each is ended"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_alertmanager(parser)


def run(options: argparse.Namespace) -> int:
    """Print every silence and return the exit status."""
    client = AlertmanagerClient(options.alertmanager)
    silences = sorted(client.silences(), key=lambda one: (one.is_pending, one.starts))
    quiet = client.silenced()
    for silence in silences:
        begins, ends = (command_line.moment_text(moment) for moment in (silence.starts, silence.ends))
        state = "Planned" if silence.is_pending else f"In force ({_kept_quiet(quiet[silence.id])})"
        is_ours = maintenance.is_maintenance(silence)
        matched = maintenance.whose(silence) if is_ours else _matchers(silence)
        print(f"{state}: {maintenance.reason(silence)}, by {silence.author}: {matched}")
        print(f"  from {begins} until {ends}; end it{how_to_end(options.alertmanager, silence)}")
    if not silences:
        print("Nothing is silenced, and nothing is planned.")
    return 0


def _kept_quiet(names: Sequence[str]) -> str:
    """Return how many alerts fire and are not sent, and which."""
    if not names:
        return "no alert fires"
    return f"{len(names)} alert{'s' * (len(names) != 1)}: {', '.join(few(maintenance.counted(names), _SHOWN))}"


def _matchers(silence: Silence) -> str:
    return f"alerts with {', '.join(maintenance.matcher_text(matcher) for matcher in silence.matchers)}"
