"""The configuration of Alertmanager: which team is told of what, how often, and what mutes what.

To add a channel, write a class with the method of `Channel` and give it to `build`. To add a team, add its name to
`thresholds.yml`. To let critical alerts of a new domain mute its warnings, add what they have in common to `_SUBJECTS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from alerting.alerts import load_thresholds
from alerting.thresholds import SEVERITIES, Severity, Thresholds, Timing
from alerting.yamltext import Commented

# Told of alerts that no route matches: with the generated rules that is none, so it means a foreign or broken rule.
UNROUTED: Final = "unrouted"
WATCHDOG: Final = "watchdog"

# Labels that together say what an alert is about; a critical alert about the same mutes warnings.
_SUBJECTS: tuple[tuple[str, ...], ...] = (
    ("job", "instance", "source"),
    ("job", "experiment"),
)


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who is told.

    Attributes:
        name: Name in the configuration.
        team: The team, or empty for the receivers outside of teams.
        severity: The severity, or None for the receivers outside of teams.
    """

    name: str
    team: str = ""
    severity: Severity | None = None


class Channel(Protocol):
    """A way of telling somebody."""

    def configs(self, receiver: Receiver) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Return what the channel adds to the receiver, such as `{"webhook_configs": [...]}`; nothing to stay out."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Posts every alert, and its end, as JSON."""

    url: str

    def configs(self, receiver: Receiver) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Return the webhook; it is the same for every receiver, whose name is in what is posted."""
        del receiver
        return {"webhook_configs": [{"url": self.url, "send_resolved": True}]}


def build(
    webhook_url: str | None = None,
    *,
    thresholds: Thresholds | None = None,
    timing: Timing | None = None,
    channels: Iterable[Channel] = (),
) -> dict[str, Any]:
    """Return the configuration.

    Args:
        webhook_url: Where every receiver posts to; by default what `thresholds.yml` says, which may be nowhere.
        thresholds: Teams and times; by default the project's own.
        timing: Times for every receiver in place of those, for tests that cannot wait.
        channels: Further channels.
    """
    chosen = thresholds or load_thresholds()
    url = webhook_url or chosen.notifications.webhook
    told_by = [*([Webhook(url)] if url else []), *channels]
    teams = {team: [Receiver(f"{team}-{severity}", team, severity) for severity in SEVERITIES] for team in chosen.teams}
    receivers = [
        Receiver(UNROUTED),
        Receiver(WATCHDOG),
        *(receiver for of_team in teams.values() for receiver in of_team),
    ]
    return {
        "route": {
            "receiver": UNROUTED,
            # One notification an alert name, however many experiments or sources it is about.
            "group_by": ["alertname"],
            **_times(timing or chosen.notifications.warning),
            "routes": [
                {
                    "matchers": ['alertname="Watchdog"'],
                    "receiver": WATCHDOG,
                    **_times(timing or chosen.notifications.watchdog),
                },
                *(_team_route(team, of_team, chosen, timing) for team, of_team in teams.items()),
            ],
        },
        "inhibit_rules": [*_source_inhibitions(), *map(_severity_inhibition, _SUBJECTS)],
        "receivers": [_receiver(receiver, told_by) for receiver in receivers],
    }


def _times(timing: Timing) -> dict[str, str]:
    return timing.model_dump()


def _team_route(
    team: str, receivers: Sequence[Receiver], thresholds: Thresholds, timing: Timing | None
) -> dict[str, Any]:
    return {
        "matchers": [f'team="{team}"'],
        "routes": [
            {
                "matchers": [f'severity="{receiver.severity}"'],
                "receiver": receiver.name,
                **_times(timing or thresholds.notifications.timing(receiver.severity)),
            }
            for receiver in receivers
            if receiver.severity is not None
        ],
    }


def _receiver(receiver: Receiver, channels: Iterable[Channel]) -> dict[str, Any]:
    config: dict[str, Any] = {"name": receiver.name}
    for channel in channels:
        for kind, entries in channel.configs(receiver).items():
            config.setdefault(kind, []).extend(dict(entry) for entry in entries)
    return config


def _source_inhibitions() -> Iterable[Commented]:
    return (
        _inhibition(
            "Without the exporter nothing that it says can be trusted, not even that a problem ended.",
            source=('alertname="ExporterDown"',),
            target=('alertname!="ExporterDown"',),
            equal=("job",),
        ),
        _inhibition(
            "What is derived from a source that cannot be read is old.",
            source=('alertname="ExporterSourceDown"',),
            target=('alertname!~"Exporter.+"',),
            equal=("job", "source"),
        ),
    )


def _severity_inhibition(subject: tuple[str, ...]) -> Commented:
    return _inhibition(
        f"A critical alert mutes warnings about the same {subject[-1]}.",
        source=('severity="critical"',),
        target=('severity=~"warning|info"',),
        equal=subject,
    )


def _inhibition(comment: str, *, source: Sequence[str], target: Sequence[str], equal: Sequence[str]) -> Commented:
    # Alertmanager takes a label that both alerts lack for equal, so alerts about nothing in common would mute each
    # other. Hence both must have every one of them.
    present = [f'{label}!=""' for label in equal]
    return Commented(
        comment,
        {"source_matchers": [*source, *present], "target_matchers": [*target, *present], "equal": list(equal)},
    )
