"""Who was notified of what, through which channel, and when."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from dataclasses import dataclass
from typing import Any, Self

from tools.processes import Server
from tools.sinks import SmtpSink
from tools.webhook import WebhookReceiver

_POLL = 0.05
_SUBJECT = re.compile(r"\[(\w+)[^\]]*\] (\w+)")
# Where Alertmanager posts what it sends to any receiver, so that no notification is unseen.
_EVERYONE = "/everyone"
_MAIL_DOMAIN = "example.org"
# Fires always and is sent again and again; it is no answer to a fault.
_ALWAYS = "MlMonitoringWatchdog"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One notification about one alert.

    Attributes:
        who: The receiver, as `platform-critical`, or the channel, as `mail to platform` or `webhook of mlops`.
        alert: Name of the alert.
        at: When it came, on the clock of `time.monotonic`.
    """

    who: str
    alert: str
    at: float


class Listeners(Server):
    """An SMTP server for one team, webhooks for the others, and a webhook that gets a copy of each notification."""

    def __init__(self, *, mail: str, webhooks: tuple[str, ...]) -> None:
        """Describe the channels.

        Args:
            mail: Team that is notified by e-mail.
            webhooks: Teams that are notified by webhook.
        """
        self._mail = mail
        self._teams = webhooks
        self._smtp = SmtpSink()
        self._hook = WebhookReceiver()
        self._servers = contextlib.ExitStack()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._channels: list[Delivery] = []
        self._receivers: list[Delivery] = []
        self._thread = threading.Thread(target=self._listen, name="listeners", daemon=True)

    @property
    def everyone(self) -> str:
        """Return the address for the notifications of every receiver."""
        return f"{self._hook.url}{_EVERYONE.lstrip('/')}"

    @property
    def channels(self) -> dict[str, dict[str, Any]]:
        """Return the channels as `notifications.channels` of `thresholds.yml` has them."""
        mail = {
            "kind": "email",
            "teams": [self._mail],
            "to": f"{self._mail}@{_MAIL_DOMAIN}",
            "from": f"alerts@{_MAIL_DOMAIN}",
            "smarthost": f"localhost:{self._smtp.port}",
            "require_tls": False,
        }
        hooks = {team: {"kind": "webhook", "teams": [team], "url": f"{self._hook.url}{team}"} for team in self._teams}
        return {"mail": mail, **hooks}

    def channel(self, team: str) -> str:
        """Return what `Delivery.who` calls the channel of a team."""
        return f"mail to {team}" if team == self._mail else f"webhook of {team}"

    def forget(self) -> None:
        """Forget what was sent."""
        with self._lock:
            self._channels.clear()
            self._receivers.clear()

    def by_channel(self) -> list[Delivery]:
        """Return what the channels brought since `forget`, oldest first."""
        with self._lock:
            return [*self._channels]

    def by_receiver(self) -> list[Delivery]:
        """Return what the receivers were sent since `forget`, oldest first."""
        with self._lock:
            return [*self._receivers]

    def start(self) -> Self:
        """Begin to listen."""
        self._servers.enter_context(self._smtp)
        self._servers.enter_context(self._hook)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening."""
        self._stop.set()
        self._thread.join()
        self._servers.close()

    def _listen(self) -> None:
        mails = posts = 0
        while not self._stop.wait(_POLL):
            now = time.monotonic()
            new_mails = self._smtp.mails[mails:]
            # In this order: a post is recorded together with its path.
            bodies = self._hook.notifications
            paths = self._hook.paths[: len(bodies)]
            with self._lock:
                for mail in new_mails:
                    state, alert = self._of_subject(str(mail.message["Subject"]))
                    if state != "RESOLVED":
                        who = f"mail to {mail.recipients[0].removesuffix('@' + _MAIL_DOMAIN)}"
                        self._channels.append(Delivery(who, alert, now))
                for path, body in zip(paths[posts:], bodies[posts:], strict=True):
                    for alert in sorted({a["labels"]["alertname"] for a in body["alerts"] if a["status"] == "firing"}):
                        if alert == _ALWAYS:
                            continue
                        if path == _EVERYONE:
                            self._receivers.append(Delivery(body["receiver"], alert, now))
                        else:
                            self._channels.append(Delivery(f"webhook of {path.lstrip('/')}", alert, now))
            mails += len(new_mails)
            posts = len(bodies)

    @staticmethod
    def _of_subject(subject: str) -> tuple[str, str]:
        found = _SUBJECT.match(subject)
        return (found[1], found[2]) if found else ("", subject)
