"""The configuration of Alertmanager: which team is notified of what, how often, and when not.

Channels are in `channels.py`, what mutes what in `inhibition.py`, texts in `templates/`.
To add a team, add its name to `notifications.yml`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.generate.channels import AlertLogChannel, Channel, Configs, Configured, Receiver, Webhook
from ml_monitoring.alerting.generate.inhibition import INHIBITIONS
from ml_monitoring.alerting.model.notifications import Address, Notifications
from ml_monitoring.alerting.model.thresholds import SEVERITIES, Thresholds, Timing

__all__ = ["ESCALATION", "TEMPLATES", "UNROUTED", "WATCHDOG", "Channel", "Receiver", "Webhook", "build"]

# Told of alerts that no route matches: with the generated rules that is none, so it means a foreign or broken rule.
UNROUTED: Final = "unrouted"
WATCHDOG: Final = "watchdog"
# Label of a test alert that no other has: each is a group of its own, which no earlier one delays.
TEST_FIRE: Final = "test_fire"
# Notified of the alert that a deployment is tried with: the alert log alone, at once, so that nobody is called.
DEPLOYMENT_TEST: Final = "deployment-test"
DEPLOYMENT_TEST_ALERT: Final = "DeploymentTest"
ESCALATION: Final = "escalation"
_ACTION: Final = "action"

TEMPLATES_DIRECTORY: Final = Path(__file__).with_name("templates")
TEMPLATES: Final = tuple(sorted(path.name for path in TEMPLATES_DIRECTORY.glob("*.tmpl")))

# Each alert on its own, instead of together with others of its name.
_UNGROUPED = ["..."]
_AT_ONCE = Timing(group_wait="0s", group_interval="10s", repeat_interval="1h")


def build(
    webhook_url: str | None = None,
    *,
    thresholds: Thresholds | None = None,
    timing: Timing | None = None,
    channels: Iterable[Channel] = (),
    alert_log_url: str | None = None,
    alert_log_token_file: str | None = None,
) -> dict[str, Any]:
    """Return the configuration.

    Args:
        webhook_url: Where every receiver posts to; by default what `notifications.yml` says, which may be nowhere.
        thresholds: Teams, channels and times; by default the project's own.
        timing: Times for every receiver but the escalation in place of those, for people and tests that look on.
        channels: Further channels.
        alert_log_url: Where the alert log listens, instead of what `notifications.yml` says; empty for nowhere.
        alert_log_token_file: File with the token of the log at this address, as Alertmanager sees it.
    """
    chosen = thresholds or load_thresholds()
    settings = chosen.notifications
    log_url = settings.alert_log if alert_log_url is None else alert_log_url
    # A log of its own, as a test's or the demo's, has no token unless one is named.
    own_token = settings.alert_log_token_file if alert_log_url is None else alert_log_token_file
    ca_file = settings.alert_log_ca_file if alert_log_url is None else None
    alert_log = [AlertLogChannel(log_url, own_token, ca_file)] if log_url else []
    webhook = webhook_url or settings.webhook
    everywhere: list[Channel] = [*([Webhook(webhook)] if webhook else []), *alert_log]
    told_by = [*everywhere, *map(Configured, settings.channels.values()), _Heartbeat(settings.heartbeat), *channels]
    teams = {team: [Receiver(f"{team}-{severity}", team, severity) for severity in SEVERITIES] for team in chosen.teams}
    outside = [Receiver(UNROUTED), Receiver(WATCHDOG), Receiver(ESCALATION, escalation=True)]
    # What the routes with these match goes on to its team's; without one nobody else would be notified.
    ours = chosen.ours
    intervals = {
        "time_intervals": [
            {"name": name, "time_intervals": [interval.setting for interval in mute.intervals]}
            for name, mute in settings.mute_times.items()
        ]
    }
    return {
        # Beside this file; `ml-monitoring alerts generate` puts them there.
        "templates": list(TEMPLATES),
        **(intervals if settings.mute_times else {}),
        "route": {
            "receiver": UNROUTED,
            # One notification an alert name, however many experiments or sources it is about.
            "group_by": ["alertname", TEST_FIRE],
            **_times(timing or settings.warning),
            "routes": [
                {
                    "matchers": [f'alertname="{DEPLOYMENT_TEST_ALERT}"'],
                    "receiver": DEPLOYMENT_TEST,
                    "group_by": _UNGROUPED,
                    **_times(_AT_ONCE),
                },
                {
                    "matchers": ['alertname="MlMonitoringWatchdog"'],
                    "receiver": WATCHDOG,
                    **_times(timing or settings.watchdog),
                },
                {
                    # Who silences an alert has taken it up, and what ends by itself needs nobody: neither is sent after
                    # the wait. A restart does not begin it again: alerts older than it are sent at once.
                    "matchers": [*ours, 'severity="critical"'],
                    "receiver": ESCALATION,
                    "group_by": _UNGROUPED,
                    "continue": True,
                    **_times(settings.escalation),
                },
                *(
                    {
                        "matchers": [*ours, f'severity=~"{"|".join(SEVERITIES)}"', f'action="{name}"'],
                        "receiver": f"{_ACTION}-{name}",
                        "group_by": _UNGROUPED,
                        "continue": True,
                        **_times(settings.action),
                    }
                    for name in settings.actions
                ),
                *(_team_route(team, of_team, chosen, timing) for team, of_team in teams.items()),
            ],
        },
        "inhibit_rules": [inhibition.rule(ours) for inhibition in INHIBITIONS],
        "receivers": [
            _receiver(Receiver(DEPLOYMENT_TEST), alert_log),
            *(_receiver(receiver, told_by) for receiver in outside),
            *(_action_receiver(name, settings, everywhere) for name in settings.actions),
            *(_receiver(receiver, told_by) for of_team in teams.values() for receiver in of_team),
        ],
    }


def without_channel(config: Mapping[str, Any]) -> set[str]:
    """Return the names of the receivers of a configuration that notify nobody."""
    return {one["name"] for one in config["receivers"] if not any(key.endswith("_configs") for key in one)}


@dataclass(frozen=True, slots=True)
class _Heartbeat:
    """Posts the Watchdog to the service that raises an alarm when it stops."""

    address: Address | None

    def configs(self, receiver: Receiver) -> Configs:
        if self.address is None or receiver.name != WATCHDOG:
            return {}
        return {"webhook_configs": [self.address.setting | {"send_resolved": False}]}


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
                **_muted(receiver, thresholds.notifications),
            }
            for receiver in receivers
            if receiver.severity is not None
        ],
    }


def _muted(receiver: Receiver, settings: Notifications) -> dict[str, list[str]]:
    names = [
        name
        for name, mute in settings.mute_times.items()
        if receiver.severity in mute.severities and (not mute.teams or receiver.team in mute.teams)
    ]
    return {"mute_time_intervals": names} if names else {}


def _receiver(receiver: Receiver, channels: Iterable[Channel]) -> dict[str, Any]:
    config: dict[str, Any] = {"name": receiver.name}
    for channel in channels:
        for kind, entries in channel.configs(receiver).items():
            config.setdefault(kind, []).extend(dict(entry) for entry in entries)
    return config


def _action_receiver(name: str, settings: Notifications, channels: Iterable[Channel]) -> dict[str, Any]:
    config = _receiver(Receiver(f"{_ACTION}-{name}"), channels)
    # The end of an alert is no reason to act again.
    post = settings.actions[name].setting | {"send_resolved": False}
    return config | {"webhook_configs": [post, *config.get("webhook_configs", [])]}
