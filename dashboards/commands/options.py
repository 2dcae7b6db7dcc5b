"""Options that several subcommands take, and what becomes of them. Light to import: it loads nothing that draws."""

from __future__ import annotations

import argparse
import os
import re
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ml_monitoring.alerting import options as own
from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.dashboards.commands import OUTPUT_DIR
from ml_monitoring.dashboards.commands.generate import write_pages
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.render.errors import RenderError
from ml_monitoring.exporter import command_line
from ml_monitoring.exporter.errors import ConfigError, UsageError
from ml_monitoring.exporter.http_addresses import problem_of
from ml_monitoring.exporter.regular_files import describe_read_error
from ml_monitoring.exporter.values import problem_of_token, read_secret

if TYPE_CHECKING:
    from ml_monitoring.dashboards.publish.grafana import Grafana
    from ml_monitoring.dashboards.render.model import Dashboard
    from ml_monitoring.dashboards.render.query_options import QueryOptions

DEFAULT_URL = "http://127.0.0.1:9090"

# Dashboard and panel; both titles and paths have slashes.
_OF_PANEL = re.compile(r"(.+?\.json|[./].+|[^/]+)/(.+)")
_PROMETHEUS_VARIABLE = "PROMETHEUS_URL"
_URL_VARIABLE = "GRAFANA_URL"
_TOKEN_VARIABLE = "GRAFANA_TOKEN_FILE"  # noqa: S105  # the name of a variable that holds a path


def add_dashboards(parser: argparse.ArgumentParser) -> None:
    """Add the choice of dashboards to look at."""
    parser.add_argument(
        "dashboards",
        nargs="*",
        metavar="UID|FILE|DIR",
        help="generated dashboards by uid, or files (default: all generated)",
    )
    own.add_settings(parser)


def add_generated(parser: argparse.ArgumentParser) -> None:
    """Add the folder of generated dashboards."""
    parser.add_argument(
        "--dashboards",
        type=command_line.path,
        metavar="DIR",
        help="the generated dashboards (default: what the settings make)",
    )
    own.add_settings(parser)


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add where data come from, of which time, and of which variables."""
    add_prometheus(parser)
    parser.add_argument(
        "--from", dest="start", metavar="TIME", help="now-6h, 2026-11-21T10:00Z ... (default: the dashboard's)"
    )
    parser.add_argument("--to", dest="end", metavar="TIME", help="default: the dashboard's")
    parser.add_argument(
        "--var", action="append", default=[], metavar="NAME=VALUE", help="a variable; repeat for several values"
    )


def add_prometheus(parser: argparse.ArgumentParser) -> None:
    """Add where data come from."""
    parser.add_argument(
        "--prometheus",
        type=command_line.address,
        default=command_line.variable_or(_PROMETHEUS_VARIABLE, DEFAULT_URL),
        metavar="URL",
        help=f"default: ${_PROMETHEUS_VARIABLE} or {DEFAULT_URL}",
    )
    parser.add_argument(
        "--timeout", type=command_line.seconds, default=30.0, metavar="TIME", help="for one query (default: 30s)"
    )
    parser.add_argument(
        "--scrape-interval",
        type=command_line.duration,
        default="15s",
        metavar="TIME",
        help="of the data source in Grafana (default: 15s)",
    )


class Generated(NamedTuple):
    """The generated pages.

    Attributes:
        folder: Where they are.
        note: Says that a folder of the user's own counts nowhere; of pages that there are not, where it has one.
    """

    folder: Path
    note: Callable[[Sequence[str] | None], None] = lambda _unknown: None


@contextmanager
def generated(options: argparse.Namespace, names: Sequence[str] = ()) -> Iterator[Generated]:
    """Give the generated pages: ours, or where settings or variables change pages, what those make.

    Args:
        options: What `alerting.options.add_settings` added.
        names: The dashboards that are wanted, empty for all; where all are files, nothing is made.

    Raises:
        ConfigError: The settings cannot be used.
    """
    if names and all(Path(name).exists() for name in names):
        yield Generated(OUTPUT_DIR)
        return
    thresholds, defaults = own.load(options)[0], load_thresholds()
    note = partial(own.note_unnamed_folder, options, thresholds)
    # Only links of notifications lead to it.
    elsewhere = thresholds.overridden({"GRAFANA_URL": defaults.links.grafana})
    if PageContext.of(elsewhere) == PageContext.of(defaults):
        yield Generated(OUTPUT_DIR, note)
        return
    with tempfile.TemporaryDirectory(prefix="ml-monitoring-dashboards-") as folder:
        write_pages(Path(folder), thresholds)
        yield Generated(Path(folder), note)


@contextmanager
def generated_or_given(options: argparse.Namespace) -> Iterator[Path]:
    """Give the folder that `add_generated` names, or that of the generated pages."""
    if options.dashboards is not None:
        if options.settings is not None:
            raise UsageError(["--settings: the pages of --dashboards are written already; give one of the two"])
        yield options.dashboards
        return
    with generated(options) as pages:
        pages.note(None)
        own.say_which(options)
        yield pages.folder


def find(options: argparse.Namespace, names: Sequence[str]) -> list[Dashboard]:
    """Return the dashboards with these uids or paths; all generated ones when none is named."""
    from ml_monitoring.dashboards.render.model import find_dashboards  # noqa: PLC0415  # only where it is needed

    with generated(options, names) as pages, noting(pages, names):
        return find_dashboards(list(names), pages.folder)


@contextmanager
def noting(pages: Generated, names: Sequence[str]) -> Iterator[None]:
    """Say of a folder of the user's own that it counts nowhere, behind what finds dashboards: an error stands alone."""
    try:
        yield
    except RenderError:
        pages.note(names)
        raise
    pages.note(None)


def split_panel(name: str) -> tuple[str, str]:
    """Return dashboard and panel of `UID/PANEL` or `FILE/PANEL`, the panel empty where there is no slash."""
    found = _OF_PANEL.fullmatch(name)
    return (found[1], found[2]) if found else (name, "")


def query_options(options: argparse.Namespace, dashboards: Sequence[Dashboard] = ()) -> QueryOptions:
    """Return how dashboards are queried.

    Args:
        options: What `add_source` added.
        dashboards: Of which one at least must have each selected variable; none for no check.

    Raises:
        UsageError: A time or a variable has another form.
        ConfigError: No dashboard has a variable.
    """
    # Only where they are needed.
    from ml_monitoring.dashboards.render.errors import RenderError  # noqa: PLC0415
    from ml_monitoring.dashboards.render.intervals import parse_moment  # noqa: PLC0415
    from ml_monitoring.dashboards.render.variables import parse_selected  # noqa: PLC0415

    live = live_options(options)
    try:
        result = replace(live, start=options.start, end=options.end, selected=parse_selected(options.var))
    except RenderError as error:
        raise UsageError([str(error)]) from None
    for option, moment in (("--from", options.start), ("--to", options.end)):
        try:
            parse_moment(moment or "now", now=live.now)
        except RenderError as error:
            raise UsageError([f"{option}: {error}"]) from None
    if dashboards and (problems := result.unknown_variables(list(dashboards))):
        raise ConfigError(problems)
    return result


def live_options(options: argparse.Namespace) -> QueryOptions:
    """Return how dashboards are queried by what `add_prometheus` added: as each says itself, and now."""
    # Only where they are needed: they bring an HTTP client.
    from ml_monitoring.dashboards.render.prometheus import Prometheus  # noqa: PLC0415
    from ml_monitoring.dashboards.render.query_options import QueryOptions  # noqa: PLC0415

    prometheus = Prometheus(options.prometheus, timeout=options.timeout, headers=_authorization())
    return QueryOptions(prometheus, None, None, {}, options.scrape_interval, time.time())


def _authorization() -> dict[str, str]:
    token = os.environ.get("PROMETHEUS_TOKEN")
    if token and (problem := problem_of_token(token)):
        raise ConfigError([f"PROMETHEUS_TOKEN: {problem}"])
    return {"Authorization": f"Bearer {token}"} if token else {}


def add_grafana(parser: argparse.ArgumentParser) -> None:
    """Add where Grafana is, and who asks."""
    parser.add_argument(
        "--url",
        default=os.environ.get(_URL_VARIABLE),
        help=f"address of Grafana (default: ${_URL_VARIABLE})",
    )
    parser.add_argument(
        "--token-file",
        type=command_line.path,
        default=os.environ.get(_TOKEN_VARIABLE),
        metavar="FILE",
        help=f"holds a token of a service account (default: ${_TOKEN_VARIABLE})",
    )
    parser.add_argument(
        "--ca-file", type=command_line.path, metavar="FILE", help="certificates that Grafana's is checked against"
    )
    parser.add_argument(
        "--org",
        type=command_line.whole(1, 2**31 - 1),
        metavar="ID",
        help="number of the organisation, to be sure (default: the token's own)",
    )


def grafana(options: argparse.Namespace) -> Grafana:
    """Return the Grafana that `add_grafana` names; nothing is asked yet.

    Raises:
        ConfigError: If an option is missing, or a file that it names cannot be used.
        GrafanaError: If the address is none.
    """
    from ml_monitoring.dashboards.publish.grafana import Grafana  # noqa: PLC0415  # it brings an HTTP client

    # A token itself in the environment would be seen by every program that is started from there.
    unread = "; GRAFANA_TOKEN, which is set, is not read" if os.environ.get("GRAFANA_TOKEN") else ""
    missing = [
        f"{option}: not given, and {variable} is not set{unread if variable == _TOKEN_VARIABLE else ''}"
        for option, variable, value in (
            ("--url", _URL_VARIABLE, options.url),
            ("--token-file", _TOKEN_VARIABLE, options.token_file),
        )
        if not value
    ]
    if missing:
        raise UsageError(missing)
    if problem := problem_of(options.url):
        raise UsageError([f"{_given_by('--url', _URL_VARIABLE, options.url)}: {problem}"])
    token = _read_token(Path(options.token_file))
    if options.ca_file is not None:
        _check_authority(options.ca_file)
    return Grafana(options.url, token, ca_file=options.ca_file, org=options.org)


def _given_by(option: str, variable: str, value: str) -> str:
    """Return what a value was given by: the option, or the variable that is its default."""
    return variable if value == os.environ.get(variable) else option


def _read_token(path: Path) -> str:
    try:
        token = read_secret(path)
    except ValueError as error:
        raise ConfigError([f"{_given_by('--token-file', _TOKEN_VARIABLE, str(path))}: {error}"]) from None
    if problem := problem_of_token(token):
        raise ConfigError([f"{path}: what it holds {problem}"])
    return token


def _check_authority(path: Path) -> None:
    try:
        # A folder of certificates is looked into for each one that is asked for.
        ssl.create_default_context(cafile=None if path.is_dir() else str(path))
    except ssl.SSLError:
        raise ConfigError([f"--ca-file: {path} holds no certificate"]) from None
    except OSError as error:
        raise ConfigError([f"--ca-file: {path} cannot be read: {describe_read_error(error)}"]) from None


def pairs(option: str, texts: Sequence[str], *, default: str = "") -> dict[str, str]:
    """Return values of the form `NAME=VALUE` by name.

    Raises:
        ConfigError: If one has another form.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, separator, value = text.rpartition("=")
        key = key if separator else default
        if not key or not value:
            raise UsageError([f"{option} {text}: expected NAME=VALUE"])
        found[key] = value
    return found
