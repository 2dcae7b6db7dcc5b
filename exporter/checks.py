"""What `check` tries: each source and each neighbour, one after the other, none of them changed."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any

from ml_monitoring.exporter import joined_lines
from ml_monitoring.exporter.addresses import HEALTHY, ListenAddress, listening_socket
from ml_monitoring.exporter.config import Settings
from ml_monitoring.exporter.errors import ConfigError, Reason, SourceError
from ml_monitoring.exporter.http_client import RemoteError, fetch_json
from ml_monitoring.exporter.path_checks import problems
from ml_monitoring.exporter.redaction import redact
from ml_monitoring.exporter.regular_files import describe_read_error
from ml_monitoring.exporter.runbooks import unfilled
from ml_monitoring.exporter.settings_file import Layers
from ml_monitoring.exporter.settings_hints import Location
from ml_monitoring.exporter.sources import SOURCES
from ml_monitoring.exporter.sources.base import Source
from ml_monitoring.exporter.sources.defects import call, create, describe
from ml_monitoring.exporter.sources.experiments.folder import DeclarationFiles
from ml_monitoring.exporter.sources.experiments.settings import ExperimentsSettings
from ml_monitoring.exporter.sources.experiments.source import read_declarations
from ml_monitoring.exporter.sources.queries.rows import problem_of_statement
from ml_monitoring.exporter.sources.queries.settings import QueriesSettings
from ml_monitoring.exporter.stores import kind_of, spelled
from ml_monitoring.exporter.validation import Checked
from ml_monitoring.exporter.web_config import WebConfig

_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Result:
    """What was found out about one subject; the setting that it is about is below the subject's own."""

    subject: str
    ok: bool
    message: str
    setting: Location | None = None


def run(settings: Settings, layers: Layers | None = None, left_out: Checked[Any] | None = None) -> Iterator[Result]:
    """Try everything that is configured; one result each problem, in the order of the settings.

    Args:
        settings: What is tried.
        layers: Where each setting was given, to be said of those that fail.
        left_out: What cannot be used and is in `settings` no more; what it is a part of is not tried.
    """
    layers, left_out = layers or Layers(), left_out or Checked()
    yield from of_web(settings, layers, left_out)
    kinds = {source.name: source for source in SOURCES}
    for name, section in settings.enabled_sources(without=left_out).items():
        above: Location = ("sources", *name.split("/", 1))
        unusable = list(problems(section, above))
        for problem in unusable:
            yield Result(name, False, layers.problem(*problem))
        for problem in joined_lines.problems(layers, above):
            yield Result(name, False, layers.problem(*problem))
        source = create(kinds[kind_of(name)], section)
        limit = "first_timeout" if section.first_limit > section.timeout else "timeout"
        result = _check_source(name, source, limit, section.first_limit, partial(_origin, name, layers))
        # What was said of a file is not said twice.
        if result.setting is None or (*above, *result.setting) not in {at for at, _ in unusable}:
            yield result
    for name, neighbour, path, version_at in (
        ("prometheus", settings.prometheus, "api/v1/status/buildinfo", ("data", "version")),
        ("alertmanager", settings.alertmanager, "api/v2/status", ("versionInfo", "version")),
    ):
        if neighbour is not None and not left_out.touches((name,)):
            yield _check_neighbour(name, neighbour.url, path, version_at, layers.named((name, "url")))


def declarations(settings: Settings, layers: Layers, left_out: Checked[Any] | None = None) -> Iterator[Result]:
    """Try what takes no connection: the declarations of experiments, and what SQL looks like."""
    for name, section in settings.enabled_sources(without=left_out or Checked()).items():
        above: Location = ("sources", *name.split("/", 1))
        for problem in joined_lines.problems(layers, above):
            yield Result(name, False, layers.problem(*problem))
        if isinstance(section, QueriesSettings) and (said := problem_of_statement(section.sql)):
            yield Result(name, False, f"{said} ({layers.named((*above, 'sql'))})")
        if isinstance(section, ExperimentsSettings) and section.files is not None:
            declared, found = read_declarations(section, DeclarationFiles(section.files))
            for refused in found:
                yield Result(name, False, f"{refused} ({layers.named((*above, 'files'))})")
            if not found:
                notes = [f"{each}.{note}" for each, declaration in declared.items() for note in declaration.notes]
                yield Result(name, True, ", ".join([f"{len(declared)} experiments", *notes]))


def lines(results: Sequence[Result]) -> Iterator[str]:
    """Yield a line for each result, in columns."""
    width = max((len(result.subject) for result in results), default=0)
    for result in results:
        yield f"{'ok  ' if result.ok else 'FAIL'}  {result.subject:{width}}  {result.message}"


def of_web(settings: Settings, layers: Layers, left_out: Checked[Any]) -> Iterator[Result]:
    """Try what is below `web`: its files, and whether the addresses can be listened on."""
    notes: list[str] = []
    found: list[str] = []
    config = None
    try:
        config = WebConfig(settings.web.config_file)
    except ConfigError as error:
        found += [layers.problem(("web", "config_file"), problem) for problem in error.problems]
    else:
        notes += config.warnings
    if (folder := settings.web.runbooks_dir) is not None:
        try:
            runbooks = sorted(each for each in folder.iterdir() if each.suffix == ".md")
        except OSError as error:
            found.append(layers.problem(("web", "runbooks_dir"), f"{folder} cannot be read: {error.strerror}"))
        else:
            if not runbooks:
                notes.append(f"web.runbooks_dir: {folder} holds no <AlertName>.md")
            notes += filter(None, map(_unfilled, runbooks))
    scheme = "https" if config is not None and config.tls else "http"
    # Where to listen is said by several settings together.
    is_known = not any(left_out.touches(("web", key)) for key in ("host", "port", "listen_addresses"))
    for address in settings.web.addresses if is_known else ():
        if (refused := _bind_error(address)) is None:
            continue
        if refused.errno == errno.EADDRINUSE and (config is None or _is_exporter(scheme, address)):
            notes.append(f"an exporter, which may be this one, serves {address} already")
        elif refused.errno == errno.EACCES:
            # The user that serves may have the right.
            notes.append(f"{address}: {refused.strerror}, for who checks")
        else:
            unusable = settings.web.refusal(address, refused)
            found.append(layers.problem(unusable.location, unusable.message))
    yield from (Result("web", False, problem) for problem in found)
    if not found and not left_out.touches(("web",)):
        urls = (f"{scheme}://{address.reachable}{settings.web.telemetry_path}" for address in settings.web.addresses)
        yield Result("web", True, "; ".join((f"metrics at {', '.join(urls)}", *notes)))


def _unfilled(runbook: Path) -> str:
    """Return what is to be said about a runbook; empty where nothing is."""
    try:
        return unfilled(runbook)
    except (OSError, UnicodeDecodeError) as error:
        return f"{runbook}: cannot be read: {describe_read_error(error)}"


def _origin(name: str, layers: Layers, error: SourceError) -> str:
    """Return which setting, and where it is, a failure of a source is about; empty where it may be any."""
    section: Location = ("sources", *name.split("/", 1))
    if error.setting:
        place = layers.place((*section, *error.setting))
        said = ".".join(error.setting)
        return (
            f" ({place if str(error).startswith(said) else layers.named((*section, *error.setting))})" if place else ""
        )
    query = layers.value((*section, "sql")) is not None
    if query and error.reason in (Reason.QUERY, Reason.SCHEMA):
        return f" ({layers.named((*section, 'sql'))})"
    if error.reason in (Reason.INVALID_VALUE, Reason.INTERNAL):
        return ""
    if query and (store := layers.value((*section, "store"))):
        section = ("sources", *str(store).split("/", 1))
    key = next((key for key in ("uri", "url", "path") if layers.value((*section, key)) is not None), None)
    return f" ({layers.named((*section, key))})" if key else ""


def _bind_error(address: ListenAddress) -> OSError | None:
    """Return why an address cannot be listened on now."""
    try:
        found = socket.getaddrinfo(address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        return error
    for family, kind, protocol, _, place in found:
        try:
            if (tried := listening_socket(family, kind, protocol, place, backlog=1)) is not None:
                tried.close()
        except OSError as error:
            return error
    return None


def _is_exporter(scheme: str, address: ListenAddress) -> bool:
    """Tell whether an exporter answers at an address, by the page that needs no login."""
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104  # asked, not bound
    if scheme == "https":
        context = ssl.create_default_context()
        # Whose certificate it is does not matter: nothing is sent.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        asked: HTTPConnection = HTTPSConnection(host, address.port, timeout=_TIMEOUT, context=context)
    else:
        asked = HTTPConnection(host, address.port, timeout=_TIMEOUT)
    try:
        with closing(asked):
            asked.request("GET", "/-/healthy")
            return asked.getresponse().read(100) == HEALTHY.encode()
    except (OSError, HTTPException):
        return False


def _check_source(
    name: str, source: Source, setting: str, timeout: float, origin: Callable[[SourceError], str]
) -> Result:
    is_late = threading.Event()

    def break_off() -> None:
        is_late.set()
        call(name, source.abort)

    timer = threading.Timer(timeout, break_off)
    timer.start()
    try:
        found: object = source.check()
        if not isinstance(found, str):
            return Result(name, False, f"{type(source).__name__}: check() must return a text, and returned {found!r}")
        return Result(name, True, found)
    except SourceError as error:
        failure = error
        # From inside it looks like something else, such as a lost connection; what has its own advice knows better.
        if is_late.is_set() and not (error.reason is Reason.TIMEOUT and error.hint):
            advice = f"if it needs more, raise sources.{kind_of(name)}.{setting}"
            failure = SourceError(Reason.TIMEOUT, f"took longer than {timeout:g} s", hint=advice, setting=(setting,))
        spoken, hint = spelled(str(failure), name), spelled(failure.hint, name)
        said = f"{spoken}{origin(failure)}{f' - {hint}' if hint else ''}"
        return Result(name, False, said, failure.setting or None)
    except Exception as error:  # noqa: BLE001  # a defect of one source, which may be a user's own, hides no other
        return Result(name, False, describe(error, type(source)))
    finally:
        timer.cancel()
        call(name, source.close)


def _check_neighbour(name: str, url: str, path: str, version_at: tuple[str, ...], setting: str) -> Result:
    strange = f"{redact(url)} answered, but not like {name} ({setting}) - is {name}.url right?"
    try:
        answer: Any = fetch_json(url.rstrip("/"), path, timeout=_TIMEOUT)
        for key in version_at:
            answer = answer[key]
    except RemoteError as error:
        hint = f"is {name}.url its base URL?" if error.status not in (0, 200) else f"is {name}.url right?"
        return Result(name, False, f"{error} ({setting}) - {hint}")
    except (KeyError, TypeError):
        return Result(name, False, strange)
    return Result(name, True, f"{redact(url)}, version {answer}")
