"""What `notifications.yml` says: channels, times, escalation, heartbeat and times of silence.

To add a kind of channel, add its settings to `CHANNELS` in `alerting/generate/channels.py`.
"""

from __future__ import annotations

import re
from email.utils import getaddresses
from typing import Annotated, Final, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictStr,
    WithJsonSchema,
    model_validator,
)

from ml_monitoring.alerting.model.clock import Clock, Days, Months, Weekdays, Years, Zone, refuse_backwards
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.http_addresses import problem_of
from ml_monitoring.exporter.settings_hints import CHANNEL_PATTERN, SMARTHOST_PATTERN, TEAM_PATTERN

Severity = Literal["critical", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
# Of the Watchdog, which is no problem: kube-prometheus mutes alerts of severity info where nothing worse fires.
NO_SEVERITY: Final = "none"
AlertSeverity = Literal[Severity, "none"]

# The end of an address that is not to be guessed, as Slack, Healthchecks and their like give out.
_SECRET: Final = re.compile(r"(?i)^https://.+/(?=[a-z_-]*\d)[\w-]{16,}$")


def duration(text: str) -> str:
    """Return the text when it is a duration of Prometheus."""
    durations.parse(text)
    return text


def base_url(text: str) -> str:
    """Return an http(s) address without a slash at its end."""
    if problem := problem_of(text):
        raise ValueError(problem)
    return text.rstrip("/")


def link(text: str) -> str:
    """Return an http(s) address that notifications may show to everybody."""
    address = base_url(text)
    parts = urlsplit(address)
    if "@" in parts.netloc:
        raise ValueError("holds a user or a password, which every notification would show")
    if parts.query or parts.fragment:
        raise ValueError("leave out what stands from ? or # on: paths of pages are put behind the address")
    return address


def _absolute(text: str) -> str:
    if not text.startswith("/"):
        # Never the text: it may be the secret itself.
        given = "holds an address" if "://" in text else "does not begin with a slash"
        raise ValueError(f"{given}: give the path, as Alertmanager sees it, of a file that holds what is meant")
    return text


def _longer_than_nothing(text: str) -> str:
    durations.parse_positive(text)
    return text


Duration = Annotated[
    StrictStr,
    BeforeValidator(durations.refuse_number),
    AfterValidator(duration),
    WithJsonSchema({"type": "string", "pattern": durations.PATTERN}),
]
# Alertmanager takes 0 only where it waits.
PositiveDuration = Annotated[Duration, AfterValidator(_longer_than_nothing)]
Url = Annotated[StrictStr, AfterValidator(base_url)]
Link = Annotated[StrictStr, AfterValidator(link)]
Name = Annotated[str, Field(strict=True, pattern=TEAM_PATTERN)]
# May hold dashes: it is seen by people only.
Title = Annotated[str, Field(strict=True, pattern=CHANNEL_PATTERN)]
SecretFile = Annotated[StrictStr, AfterValidator(_absolute)]


def _addresses(text: str) -> str:
    # As Alertmanager reads them, which would fail when there is something to say.
    if not all("@" in address for _, address in getaddresses([text])):
        raise ValueError("must be an e-mail address such as oncall@example.org, or several with commas between them")
    return text


Recipients = Annotated[StrictStr, AfterValidator(_addresses)]


class StrictModel(BaseModel):
    """A part of the file: unknown keys are refused, and nothing changes it later."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Timing(StrictModel):
    """When a receiver is notified, as Alertmanager names it."""

    group_wait: Duration
    group_interval: PositiveDuration
    repeat_interval: PositiveDuration


class Address(StrictModel):
    """An address, or the file that holds it because it is a secret (Alertmanager 0.26 or newer)."""

    url: Url | None = Field(default=None, repr=False)
    url_file: SecretFile | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.url is None) is (self.url_file is None):
            raise ValueError("give either url or url_file")
        return self

    @property
    def setting(self) -> dict[str, str]:
        """Return the address as Alertmanager's webhook takes it."""
        return {"url": self.url} if self.url else {"url_file": str(self.url_file)}


class ChannelModel(StrictModel):
    """What every kind of channel has: whom it reaches."""

    teams: tuple[Name, ...] = ()
    severities: tuple[Severity, ...] = ("critical", "warning")
    escalations: bool = False

    @model_validator(mode="after")
    def _gets_alerts(self) -> Self:
        if not self.severities and not self.escalations:
            raise ValueError("severities: gets no alerts: name some, or leave the line out for critical and warning")
        return self


class Email(ChannelModel):
    """Messages over SMTP."""

    kind: Literal["email"]
    to: Recipients
    from_: Recipients = Field(alias="from")
    smarthost: Annotated[StrictStr, Field(pattern=SMARTHOST_PATTERN)]
    username: StrictStr | None = None
    password_file: SecretFile | None = None
    require_tls: bool = True

    @model_validator(mode="after")
    def _has_both_or_none(self) -> Self:
        if (self.username is None) is not (self.password_file is None):
            lacking = "username" if self.username is None else "password_file"
            raise ValueError(f"{lacking}: is missing: username and password_file belong together")
        return self


class Slack(ChannelModel):
    """A Slack channel, over an incoming webhook whose address is the secret."""

    kind: Literal["slack"]
    api_url_file: SecretFile
    channel: StrictStr


class PagerDuty(ChannelModel):
    """Incidents of PagerDuty, over an integration of the Events API v2."""

    kind: Literal["pagerduty"]
    routing_key_file: SecretFile
    url: Url | None = Field(default=None, repr=False)


class MsTeams(ChannelModel):
    """A channel of Microsoft Teams, over a workflow's address (Alertmanager 0.28 or newer)."""

    kind: Literal["msteams"]
    webhook_url_file: SecretFile


class PostedWebhook(ChannelModel):
    """Alertmanager's JSON, posted to an address."""

    kind: Literal["webhook"]
    url: Url | None = Field(default=None, repr=False)
    url_file: SecretFile | None = None
    credentials_file: SecretFile | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.url is None) is (self.url_file is None):
            raise ValueError("give either url or url_file")
        return self


ChannelSettings = Annotated[Email | Slack | PagerDuty | MsTeams | PostedWebhook, Field(discriminator="kind")]


class ClockRange(StrictModel):
    """A part of a day."""

    start_time: Clock
    end_time: Clock

    @model_validator(mode="after")
    def _is_forwards(self) -> Self:
        refuse_backwards(self.start_time, self.end_time)
        return self


class TimeInterval(StrictModel):
    """Times as Alertmanager describes them; what is left out does not narrow."""

    times: tuple[ClockRange, ...] = ()
    weekdays: tuple[Weekdays, ...] = ()
    days_of_month: tuple[Days, ...] = ()
    months: tuple[Months, ...] = ()
    years: tuple[Years, ...] = ()
    location: Zone | None = None

    @model_validator(mode="after")
    def _narrows(self) -> Self:
        if not any((self.times, self.weekdays, self.days_of_month, self.months, self.years)):
            raise ValueError("is all the time: give times, weekdays, days_of_month, months or years")
        return self

    @property
    def setting(self) -> dict[str, object]:
        """Return the interval as Alertmanager takes it."""
        return self.model_dump(exclude_defaults=True, mode="json")


class MuteTime(StrictModel):
    """Times in which receivers are not notified. Critical alerts cannot be named: nothing mutes them by the clock."""

    intervals: tuple[TimeInterval, ...] = Field(min_length=1)
    severities: tuple[Literal["warning", "info"], ...] = Field(min_length=1)
    teams: tuple[Name, ...] = ()


class Notifications(StrictModel):
    """How alerts are delivered."""

    webhook: Url | None = Field(default=None, repr=False)
    alert_log: Url | None = Field(default=None, repr=False)
    alert_log_token_file: SecretFile | None = None
    alert_log_ca_file: SecretFile | None = None
    heartbeat: Address | None = None
    critical: Timing
    warning: Timing
    info: Timing
    watchdog: Timing
    escalation: Timing
    action: Timing
    channels: dict[Title, ChannelSettings] = {}
    actions: dict[Name, Address] = {}
    mute_times: dict[Title, MuteTime] = {}

    @property
    def secret_addresses(self) -> dict[str, str]:
        """Return the settings of addresses that seem to hold a secret and are not given by a file, and what to do."""
        given: dict[str, object] = {"heartbeat": self.heartbeat}
        given |= {f"channels.{name}": channel for name, channel in self.channels.items()}
        given |= {f"actions.{name}": address for name, address in self.actions.items()}
        found = {
            f"notifications.{name}.url": (entry.url, "give it as url_file")
            for name, entry in given.items()
            if isinstance(entry, Address | PostedWebhook) and entry.url
        }
        if self.webhook:
            found["notifications.webhook"] = self.webhook, "give it as url_file of one of notifications.channels"
        if self.alert_log:
            found["notifications.alert_log"] = self.alert_log, "the alert log takes a token, alert_log_token_file"
        return {
            setting: advice
            for setting, (url, advice) in found.items()
            if _SECRET.search(url) or "@" in urlsplit(url).netloc
        }

    def timing(self, severity: AlertSeverity) -> Timing:
        """Return when notifications of a severity are sent."""
        times = {"critical": self.critical, "warning": self.warning, "info": self.info, NO_SEVERITY: self.watchdog}
        return times[severity]
