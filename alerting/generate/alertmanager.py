"""The configuration of Alertmanager: which team is notified of what, how often, and when not.

Channels are in `channels.py`, what mutes what in `inhibition.py`, texts in `templates/`.
To add a team, add its name to `notifications.yml`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    alert_log = _alert_log(settings)
    if alert_log_url is not None:
        # A log of its own, as a test's or the demo's, has no token unless one is named.
        alert_log = [AlertLogChannel(alert_log_url, alert_log_token_file)] if alert_log_url else []
    webhooks = [Webhook(webhook_url)] if webhook_url else _webhooks(settings)
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
                *(_team_route(team, _receivers_of(team), chosen, timing) for team in chosen.teams),
            ],
        },
        "inhibit_rules": [inhibition.rule(ours) for inhibition in INHIBITIONS],
        "receivers": [
            _receiver(receiver, notified_by)
            for receiver, notified_by in _receivers(chosen, alert_log, [*webhooks, *alert_log], channels)
        ],
    }


def channels_of(thresholds: Thresholds) -> dict[str, tuple[str, ...]]:
    """Return the channels through which each receiver is notified, by its name, as the settings call them."""
    settings = thresholds.notifications
    alert_log = _alert_log(settings)
    return {
        receiver.name: tuple(channel.label for channel in notified_by if channel.configs(receiver))
        for receiver, notified_by in _receivers(thresholds, alert_log, [*_webhooks(settings), *alert_log])
    }


def without_channel(config: Mapping[str, Any]) -> set[str]:
    """Return the names of the receivers of a configuration that notify nobody."""
    return {one["name"] for one in config["receivers"] if not any(key.endswith("_configs") for key in one)}


@dataclass(frozen=True, slots=True)
class _Post:
    """Posts the beginning of alerts, for one receiver.

    The end of an alert is no reason to act again, and that of the Watchdog none to go on waiting for it.
    """

    address: Address
    label: str

    def configs(self, receiver: Receiver) -> Configs:
        del receiver
        return {"webhook_configs": [self.address.setting | {"send_resolved": False}]}


def _webhooks(settings: Notifications) -> list[Channel]:
    return [Webhook(settings.webhook)] if settings.webhook else []


def _alert_log(settings: Notifications) -> list[AlertLogChannel]:
    if not settings.alert_log:
        return []
    return [AlertLogChannel(settings.alert_log, settings.alert_log_token_file, settings.alert_log_ca_file)]


def _receivers_of(team: str) -> list[Receiver]:
    return [Receiver(f"{team}-{severity}", team, severity) for severity in SEVERITIES]


def _receivers(
    thresholds: Thresholds,
    alert_log: Sequence[Channel],
    everywhere: Sequence[Channel],
    more: Iterable[Channel] = (),
) -> Iterator[tuple[Receiver, Sequence[Channel]]]:
    """Yield each receiver, and the channels that may notify it.

    Args:
        thresholds: Teams and channels.
        alert_log: The alert log, if there is one.
        everywhere: What notifies every receiver, the alert log among them.
        more: Channels beside those of the settings.
    """
    settings = thresholds.notifications
    configured = [Configured(name, channel) for name, channel in settings.channels.items()]
    notified_by = [*everywhere, *configured, *more]
    heartbeat = [_Post(settings.heartbeat, "webhook (heartbeat)")] if settings.heartbeat else []
    yield Receiver(DEPLOYMENT_TEST), alert_log
    yield Receiver(UNROUTED), notified_by
    yield Receiver(WATCHDOG), [*notified_by, *heartbeat]
    yield Receiver(ESCALATION, escalation=True), notified_by
    for name, address in settings.actions.items():
        yield Receiver(f"{_ACTION}-{name}"), [_Post(address, f"webhook (action {name})"), *everywhere]
    for team in thresholds.teams:
        for receiver in _receivers_of(team):
            yield receiver, notified_by


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
