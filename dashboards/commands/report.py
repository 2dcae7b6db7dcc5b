"""`dashboards report`: PDFs or HTML with a cover page, ready for cron and mail."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.model.notifications import Email
from ml_monitoring.dashboards.commands.options import add_source, find, query_options
from ml_monitoring.dashboards.commands.progress import Progress
from ml_monitoring.exporter import command_line
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.regular_files import describe_read_error
from ml_monitoring.exporter.suggestions import suggestion_or_all

if TYPE_CHECKING:
    from ml_monitoring.dashboards.reports.mail import Mail

HELP = "write reports as PDF or HTML, and mail them"
DESCRIPTION = "Write the reports of reports.yml with a cover page: time range, data mode, verdicts, assumptions."

REPORTS = Path(__file__).parent.parent / "reports.yml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("names", nargs="*", metavar="REPORT", help="reports of the file (default: all)")
    parser.add_argument(
        "--reports",
        type=command_line.path,
        default=REPORTS,
        metavar="FILE",
        help="the list of reports (default: those that come with the stack)",
    )
    own.add_settings(parser)
    add_source(parser)
    parser.add_argument("--theme", choices=("light", "dark"), default="light", help="default: light")
    parser.add_argument(
        "--format", nargs="+", choices=("pdf", "html"), default=["pdf"], help="one or both (default: pdf)"
    )
    parser.add_argument(
        "--out", type=command_line.path, default=Path("reports"), metavar="DIR", help="where to (default: reports)"
    )
    parser.add_argument(
        "--mail-to", action="append", default=[], metavar="ADDRESS", help="send the files there; may be repeated"
    )
    parser.add_argument(
        "--smtp-from",
        type=command_line.path,
        metavar="FILE",
        help="Alertmanager configuration whose SMTP settings are taken (default: the first channel of kind email in "
        "your alerting settings)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the reports, send them where that is asked, and return the exit status."""
    # Only here, as they bring matplotlib.
    from ml_monitoring.dashboards.render.colours import THEMES  # noqa: PLC0415
    from ml_monitoring.dashboards.render.display import Style  # noqa: PLC0415
    from ml_monitoring.dashboards.render.pictures import summary  # noqa: PLC0415
    from ml_monitoring.dashboards.render.units import Clock  # noqa: PLC0415
    from ml_monitoring.dashboards.reports import mail, report  # noqa: PLC0415

    reports = report.read_reports(options.reports)
    unknown = set(options.names) - {one.name for one in reports}
    if unknown:
        known = [one.name for one in reports]
        raise ConfigError([f"no report {name}{suggestion_or_all(name, known)}" for name in sorted(unknown)])
    smtp = _mail(options) if options.mail_to else None
    options.out.mkdir(parents=True, exist_ok=True)
    written = []
    for one in reports:
        if options.names and one.name not in options.names:
            continue
        dashboards = find(options, one.dashboards)
        queries = query_options(options)
        style = Style(THEMES[options.theme], Clock(dashboards[0].timezone, queries.now))
        with queries.prometheus, Progress(2 * sum(len(page.panels) for page in dashboards)) as progress:
            paths, loaded = report.write(
                one,
                dashboards,
                queries,
                style,
                options.out,
                forms=options.format,
                on_panel=lambda data: progress.step(data.title),
            )
        for data in loaded:
            print("\n".join(summary(data, paths[0])))
        print("".join(f"{path}\n" for path in paths[1:]), end="")
        written += [(one.title, path) for path in paths]
    if smtp is not None:
        mail.send(smtp, options.mail_to, written)
        print(f"sent to {', '.join(options.mail_to)}")
    return 0


def _mail(options: argparse.Namespace) -> Mail:
    from ml_monitoring.dashboards.reports import mail  # noqa: PLC0415

    if options.smtp_from is not None:
        return mail.read_mail(options.smtp_from)
    thresholds, layers = own.load(options)
    for name, channel in thresholds.notifications.channels.items():
        if isinstance(channel, Email):
            try:
                return mail.of_channel(channel)
            except (OSError, UnicodeDecodeError) as error:
                place = ("notifications", "channels", name, "password_file")
                reason = describe_read_error(error)
                raise ConfigError(
                    [layers.problem(place, f"{channel.password_file} cannot be read: {reason}")]
                ) from None
    raise ConfigError(
        [
            "--mail-to: no mail server is known: give your alerting settings a channel of kind email "
            "(notifications.channels), or --smtp-from an Alertmanager configuration with smtp_smarthost and smtp_from"
        ]
    )
