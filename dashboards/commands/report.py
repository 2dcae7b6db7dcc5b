"""`python -m dashboards report`: PDFs with a cover page, ready for cron and mail."""

from __future__ import annotations

import argparse
import re
import smtplib
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from ml_monitoring.dashboards.commands.render import summary
from ml_monitoring.dashboards.render.asking import GENERATED, Asking, Progress, complain, read_settings, say
from ml_monitoring.dashboards.render.colours import THEMES
from ml_monitoring.dashboards.render.dates import format_date
from ml_monitoring.dashboards.render.display import Style
from ml_monitoring.dashboards.render.engine import DashboardData
from ml_monitoring.dashboards.render.errors import QueryError, RenderError
from ml_monitoring.dashboards.render.model import find_dashboards
from ml_monitoring.dashboards.render.prometheus import Prometheus
from ml_monitoring.dashboards.render.sheets import Cover, write_pdf
from ml_monitoring.dashboards.render.text import to_fixed
from ml_monitoring.dashboards.render.units import Clock

REPORTS = Path(__file__).parent.parent / "reports.yml"
ALERTMANAGER = Path(__file__).parents[2] / "alerting" / "generated" / "alertmanager.yml"
_KEYS = {"title", "dashboards", "from", "to", "data_mode", "modes", "assumptions", "assumptions_panel", "variables"}


@dataclass(frozen=True, slots=True)
class Report:
    """One entry of the list of reports."""

    name: str
    title: str
    dashboards: tuple[str, ...]
    start: str
    end: str
    data_mode: str
    modes: Mapping[str, tuple[str, str]]
    assumptions: tuple[str, ...]
    assumptions_panel: str
    variables: Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Mail:
    """How mail leaves: Alertmanager's SMTP settings."""

    host: str
    port: int
    sender: str
    user: str
    password: str
    encrypted: bool


def run(options: argparse.Namespace) -> int:
    """Write the reports, send them where that is asked, and return the exit status."""
    try:
        reports = read_reports(options.reports or REPORTS)
        unknown = set(options.names) - {report.name for report in reports}
        if unknown:
            known = ", ".join(report.name for report in reports)
            raise RenderError(f"no report {', '.join(sorted(unknown))}; there are {known}")
        mail = read_mail(options.smtp_from or ALERTMANAGER) if options.mail_to else None
        wanted = [report for report in reports if not options.names or report.name in options.names]
        paths = [_make(report, options) for report in wanted]
        if mail is not None:
            send(mail, options.mail_to, [(report.title, path) for report, path in zip(wanted, paths, strict=True)])
            say(f"sent to {', '.join(options.mail_to)}")
    except (RenderError, OSError, smtplib.SMTPException) as error:
        complain(f"error: {error}")
        return 1
    return 0


def read_reports(path: Path) -> list[Report]:
    """Return the reports of a file.

    Raises:
        RenderError: If it cannot be read, or an entry says something that is not known.
    """
    reports = []
    for name, entry in read_settings(path).items():
        if not isinstance(entry, dict):
            raise RenderError(f"{path}: {name}: must hold settings like `title: text`")
        unknown = set(entry) - _KEYS
        if unknown or not entry.get("dashboards"):
            what = f"unknown: {', '.join(sorted(unknown))}" if unknown else "needs a list of dashboards"
            raise RenderError(f"{path}: {name}: {what}")
        reports.append(
            Report(
                name=str(name),
                title=str(entry.get("title") or name),
                dashboards=tuple(str(one) for one in entry["dashboards"]),
                start=str(entry.get("from") or "now-24h"),
                end=str(entry.get("to") or "now"),
                data_mode=str(entry.get("data_mode") or ""),
                modes={
                    str(value): (str(mode.get("name")), str(mode.get("means") or ""))
                    for value, mode in (entry.get("modes") or {}).items()
                },
                assumptions_panel=str(entry.get("assumptions_panel") or ""),
                assumptions=tuple(str(one) for one in entry.get("assumptions") or []),
                variables={
                    str(key): [str(one) for one in (value if isinstance(value, list) else [value])]
                    for key, value in (entry.get("variables") or {}).items()
                },
            )
        )
    return reports


def _make(report: Report, options: argparse.Namespace) -> Path:
    dashboards = find_dashboards(list(report.dashboards), GENERATED)
    span = {"start": options.start or report.start, "end": options.end or report.end}
    asking = Asking.of(argparse.Namespace(**{**vars(options), **span}))
    asking.choices.update({name: values for name, values in report.variables.items() if name not in asking.choices})
    with asking.prometheus, Progress(2 * sum(len(one.panels) for one in dashboards)) as progress:
        loaded = [asking.load(one, on_panel=lambda data: progress.step(data.title)) for one in dashboards]
        cover = _cover(report, asking, loaded)
        style = Style(THEMES[options.theme], Clock(dashboards[0].timezone, asking.now))
        options.out.mkdir(parents=True, exist_ok=True)
        path: Path = options.out / f"{report.name}-{format_date(asking.now * 1000, 'YYYY-MM-DD')}.pdf"
        write_pdf(loaded, style, path, cover=cover, on_panel=lambda data: progress.step(data.title))
    for data in loaded:
        say("\n".join(summary(data, path)))
    return path


def _cover(report: Report, asking: Asking, loaded: Sequence[DashboardData]) -> Cover:
    prometheus = asking.prometheus
    end = loaded[0].span.end if loaded else time.time()
    mode, means = "", ""
    if report.data_mode:
        series = prometheus.instant(report.data_mode, end).result().series
        value = to_fixed(series[0].points[0][1]) if series else ""
        mode, means = report.modes.get(value, ("UNKNOWN", "where the data come from cannot be told"))
    assumptions = [filled(one, prometheus, end) for one in report.assumptions]
    if report.assumptions_panel:
        assumptions += panel_lines(report.assumptions_panel, loaded)
    return Cover(
        report.title,
        prometheus.address,
        prometheus.version(),
        asking.now,
        mode,
        means,
        tuple(assumptions),
    )


def panel_lines(title: str, loaded: Sequence[DashboardData]) -> list[str]:
    """Return the lines of a text panel; a row of a table becomes `name: value`.

    Raises:
        RenderError: If no page has such a panel.
    """
    found = [one for data in loaded for one in data.panels if one.panel.type == "text" and one.title == title]
    if not found:
        raise RenderError(f"no page of the report has a text panel called {title!r}")
    content = found[0].variables.title(str(found[0].panel.options.get("content") or ""))
    lines: list[str] = []
    paragraph = ""
    for line in [*content.replace("*", "").splitlines(), ""]:
        if line.startswith("|") or not line.strip():
            lines += [paragraph] if paragraph else []
            paragraph = ""
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            lines += [": ".join(cells)] if any(cell.strip("-: ") for cell in cells) else []
        else:
            paragraph = f"{paragraph} {line.strip()}".strip()
    return lines


def filled(text: str, prometheus: Prometheus, moment: float) -> str:
    """Return a text with each `{{ expr }}` replaced by the value of the PromQL expression, `no data` without one."""

    def value(found: re.Match[str]) -> str:
        try:
            series = prometheus.instant(found[1].strip(), moment).result().series
        except QueryError as error:
            raise QueryError(f"assumption {text!r}: {error}") from error
        return to_fixed(series[0].points[0][1]) if series else "no data"

    return re.sub(r"\{\{(.+?)\}\}", value, text)


def read_mail(path: Path) -> Mail:
    """Return the SMTP settings of an Alertmanager configuration.

    Raises:
        RenderError: If it has none.
    """
    settings: dict[str, Any] = read_settings(path).get("global") or {}
    if not settings.get("smtp_smarthost") or not settings.get("smtp_from"):
        raise RenderError(f"{path}: has no smtp_smarthost and smtp_from under global, so mail cannot be sent")
    host, _, port = str(settings["smtp_smarthost"]).rpartition(":")
    password = str(settings.get("smtp_auth_password") or "")
    if file := settings.get("smtp_auth_password_file"):
        try:
            password = Path(str(file)).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise RenderError(f"{path}: smtp_auth_password_file: {error}") from error
    return Mail(
        host.strip("[]"),
        int(port or 25),
        str(settings["smtp_from"]),
        str(settings.get("smtp_auth_username") or ""),
        password,
        bool(settings.get("smtp_require_tls", True)),
    )


def send(mail: Mail, recipients: Sequence[str], files: Sequence[tuple[str, Path]]) -> None:
    """Send the PDFs as attachments of one mail."""
    message = EmailMessage()
    message["Subject"] = ", ".join(title for title, _ in files)
    message["From"], message["To"] = mail.sender, ", ".join(recipients)
    lines = [f"{title}: {path.name}" for title, path in files]
    message.set_content("Attached:\n" + "\n".join(lines) + "\n")
    for _, path in files:
        message.add_attachment(path.read_bytes(), maintype="application", subtype="pdf", filename=path.name)
    with smtplib.SMTP(mail.host, mail.port, timeout=30) as server:
        if mail.encrypted:
            server.starttls(context=ssl.create_default_context())
        if mail.user:
            server.login(mail.user, mail.password)
        server.send_message(message)
