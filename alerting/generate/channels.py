"""The ways of telling somebody, as Alertmanager's receivers take them.

To add a kind of channel: its settings in `alerting/model/notifications.py`, a class with the members of `Channel`
here, and an entry in `CHANNELS`. What the messages say is in `templates/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Protocol

from ml_monitoring.alerting.model.notifications import (
    ChannelModel,
    ChannelSettings,
    Email,
    MsTeams,
    PagerDuty,
    PostedWebhook,
    Severity,
    Slack,
)

# A larger group would be refused as a whole; the log counts what is left out of one.
_LOGGED_AT_ONCE: Final = 2_000

Configs = Mapping[str, Sequence[Mapping[str, Any]]]


def _template(name: str) -> str:
    return f'{{{{ template "{name}" . }}}}'


# What messages say, by kind of channel.
MESSAGES: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "email_configs": {
            "headers": {"Subject": _template("ml.subject")},
            "text": _template("ml.text"),
            "html": _template("ml.html"),
        },
        "slack_configs": {
            "color": _template("ml.colour"),
            "fallback": _template("ml.slack.subject"),
            "title": _template("ml.slack.subject"),
            "title_link": _template("ml.alertmanager_url"),
            "text": _template("ml.slack"),
            # Not the text: an asterisk in a label is none of Slack's. Links are read all the same.
            "mrkdwn_in": ["pretext"],
        },
        "pagerduty_configs": {
            "description": _template("ml.subject"),
            "severity": _template("ml.pagerduty.severity"),
            "client": "ML monitoring",
            "client_url": _template("ml.alertmanager_url"),
            # In place of Alertmanager's own two, which hold all labels of all alerts, and are read as YAML.
            "details": {"firing": _template("ml.pagerduty.details"), "resolved": "{{ .Alerts.Resolved | len }}"},
        },
        "msteamsv2_configs": {"title": _template("ml.markdown.subject"), "text": _template("ml.markdown")},
    }
)


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who is notified.

    Attributes:
        name: Name in the configuration.
        team: The team, or empty for the receivers outside of teams.
        severity: The severity, or None for the receivers outside of teams.
        escalation: Whether it is notified of critical alerts that nobody resolved or silenced in time.
    """

    name: str
    team: str = ""
    severity: Severity | None = None
    escalation: bool = False


class Channel(Protocol):
    """A way of telling somebody."""

    @property
    def label(self) -> str:
        """Its kind, and what the settings call it."""

    def configs(self, receiver: Receiver) -> Configs:
        """Return what the channel adds to the receiver, such as `{"webhook_configs": [...]}`; nothing to stay out."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Posts every alert of every receiver, and its end, as JSON."""

    url: str
    label: str = "webhook (notifications.webhook)"

    def configs(self, receiver: Receiver) -> Configs:
        """Return the webhook; it is the same for every receiver, whose name is in what is posted."""
        del receiver
        return {"webhook_configs": [{"url": self.url, "send_resolved": True}]}


@dataclass(frozen=True, slots=True)
class AlertLogChannel:
    """Posts every alert of every receiver, and its end, to the alert log.

    Attributes:
        url: Where it listens.
        token_file: File with its token, as Alertmanager sees it; None without.
        ca_file: File of the authority that signed its certificate, in the same way.
    """

    url: str
    token_file: str | None = None
    ca_file: str | None = None
    label: str = "webhook (alert log)"

    def configs(self, receiver: Receiver) -> Configs:
        """Return the webhook, which is the same for every receiver."""
        del receiver
        entry: dict[str, Any] = {"url": self.url, "send_resolved": True, "max_alerts": _LOGGED_AT_ONCE}
        http: dict[str, Any] = {}
        if self.token_file is not None:
            http["authorization"] = {"credentials_file": self.token_file}
        if self.ca_file is not None:
            http["tls_config"] = {"ca_file": self.ca_file}
        return {"webhook_configs": [entry | ({"http_config": http} if http else {})]}


@dataclass(frozen=True, slots=True)
class Configured:
    """A channel of the settings: it reaches the teams and severities that its settings name."""

    name: str
    settings: ChannelSettings

    @property
    def label(self) -> str:
        """Return its kind and its name, such as `slack (chat)`."""
        return f"{self.settings.kind} ({self.name})"

    def configs(self, receiver: Receiver) -> Configs:
        """Return the channel's entry when its settings mean this receiver."""
        settings = self.settings
        meant = (
            settings.escalations
            if receiver.escalation
            else receiver.severity in settings.severities and (not settings.teams or receiver.team in settings.teams)
        )
        if not meant:
            return {}
        kind, entry = CHANNELS[type(settings)](settings)
        return {kind: [entry | {"send_resolved": True}]}


def integration(settings: ChannelSettings) -> str:
    """Return the kind of a channel as Alertmanager counts its notifications."""
    return CHANNELS[type(settings)](settings)[0].removesuffix("_configs")


def _email(settings: Any) -> tuple[str, dict[str, Any]]:
    entry: dict[str, Any] = {
        "to": settings.to,
        "from": settings.from_,
        "smarthost": settings.smarthost,
        "require_tls": settings.require_tls,
        **MESSAGES["email_configs"],
    }
    if settings.username is not None:
        entry["auth_username"] = settings.username
    if settings.password_file is not None:
        entry["auth_password_file"] = settings.password_file
    return "email_configs", entry


def _slack(settings: Any) -> tuple[str, dict[str, Any]]:
    return "slack_configs", {
        "api_url_file": settings.api_url_file,
        "channel": settings.channel,
        **MESSAGES["slack_configs"],
    }


def _pagerduty(settings: Any) -> tuple[str, dict[str, Any]]:
    entry: dict[str, Any] = {
        "routing_key_file": settings.routing_key_file,
        **MESSAGES["pagerduty_configs"],
    }
    return "pagerduty_configs", entry | ({"url": settings.url} if settings.url else {})


def _msteams(settings: Any) -> tuple[str, dict[str, Any]]:
    return "msteamsv2_configs", {
        "webhook_url_file": settings.webhook_url_file,
        **MESSAGES["msteamsv2_configs"],
    }


def _webhook(settings: Any) -> tuple[str, dict[str, Any]]:
    entry: dict[str, Any] = {"url": settings.url} if settings.url else {"url_file": settings.url_file}
    if settings.credentials_file is not None:
        entry["http_config"] = {"authorization": {"credentials_file": settings.credentials_file}}
    return "webhook_configs", entry


CHANNELS: Mapping[type[ChannelModel], Callable[[Any], tuple[str, dict[str, Any]]]] = MappingProxyType(
    {
        Email: _email,
        Slack: _slack,
        PagerDuty: _pagerduty,
        MsTeams: _msteams,
        PostedWebhook: _webhook,
    }
)
