"""Mail with reports attached, sent as Alertmanager sends its own."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from ml_monitoring.alerting.model.notifications import Email
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.regular_files import read_text
from ml_monitoring.exporter.yaml_files import read_yaml


@dataclass(frozen=True, slots=True)
class Mail:
    """How mail leaves: Alertmanager's SMTP settings."""

    host: str
    port: int
    sender: str
    user: str
    password: str
    encrypted: bool


def read_mail(path: Path) -> Mail:
    """Return the SMTP settings of an Alertmanager configuration.

    Raises:
        ConfigError: If it has none.
    """
    settings: dict[str, Any] = read_yaml(path).get("global") or {}
    if not settings.get("smtp_smarthost") or not settings.get("smtp_from"):
        raise ConfigError(
            [f"--smtp-from: {path}: has no smtp_smarthost and smtp_from under global, so mail cannot be sent"]
        )
    host, _, port = str(settings["smtp_smarthost"]).rpartition(":")
    password = str(settings.get("smtp_auth_password") or "")
    if file := settings.get("smtp_auth_password_file"):
        try:
            password = read_text(Path(str(file))).strip()
        except OSError as error:
            raise ConfigError([f"{path}: smtp_auth_password_file: {error}"]) from error
    return Mail(
        host.strip("[]"),
        int(port or 25),
        str(settings["smtp_from"]),
        str(settings.get("smtp_auth_username") or ""),
        password,
        # Alertmanager's YAML is an older one, in which this is not a text.
        settings.get("smtp_require_tls", True) not in (False, "no", "off"),
    )


def of_channel(channel: Email) -> Mail:
    """Return how mail of a channel leaves.

    Raises:
        OSError: The file of its password cannot be read.
    """
    host, _, port = channel.smarthost.rpartition(":")
    password = read_text(Path(channel.password_file)).strip() if channel.password_file else ""
    return Mail(host.strip("[]"), int(port), channel.from_, channel.username or "", password, channel.require_tls)


def send(mail: Mail, recipients: Sequence[str], files: Sequence[tuple[str, Path]]) -> None:
    """Send the files as attachments of one mail."""
    message = EmailMessage()
    message["Subject"] = ", ".join(title for title, _ in files)
    message["From"], message["To"] = mail.sender, ", ".join(recipients)
    lines = [f"{title}: {path.name}" for title, path in files]
    message.set_content("Attached:\n" + "\n".join(lines) + "\n")
    for _, path in files:
        kind, form = ("text", "html") if path.suffix == ".html" else ("application", "pdf")
        message.add_attachment(path.read_bytes(), maintype=kind, subtype=form, filename=path.name)
    with smtplib.SMTP(mail.host, mail.port, timeout=30) as server:
        if mail.encrypted:
            server.starttls(context=ssl.create_default_context())
        if mail.user:
            server.login(mail.user, mail.password)
        server.send_message(message)
