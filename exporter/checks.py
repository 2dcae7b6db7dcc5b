"""What `check` tries: each source and each neighbour, one after the other, none of them changed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ml_monitoring.exporter.config import Settings
from ml_monitoring.exporter.errors import ConfigError, SourceError
from ml_monitoring.exporter.http_client import RemoteError, fetch_json
from ml_monitoring.exporter.path_checks import problems
from ml_monitoring.exporter.redaction import redact
from ml_monitoring.exporter.sources import SOURCES
from ml_monitoring.exporter.sources.base import Source
from ml_monitoring.exporter.stores import kind_of
from ml_monitoring.exporter.web_config import WebConfig

_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Result:
    """What was found out about one subject."""

    subject: str
    ok: bool
    message: str


def run(settings: Settings) -> Iterator[Result]:
    """Try everything that is configured; one result each, in the order of the settings."""
    yield _check_web(settings)
    kinds = {source.name: source for source in SOURCES}
    for name, section in settings.enabled_sources().items():
        for problem in problems(section, f"sources.{name.replace('/', '.')}"):
            yield Result(name, False, problem)
        yield _check_source(name, kinds[kind_of(name)](section), section.first_limit)
    if settings.prometheus is not None:
        yield _check_neighbour("prometheus", settings.prometheus.url, "api/v1/status/buildinfo", ("data", "version"))
    if settings.alertmanager is not None:
        yield _check_neighbour("alertmanager", settings.alertmanager.url, "api/v2/status", ("versionInfo", "version"))


def lines(results: Sequence[Result]) -> Iterator[str]:
    """Yield a line for each result, in columns."""
    width = max((len(result.subject) for result in results), default=0)
    for result in results:
        yield f"{'ok  ' if result.ok else 'FAIL'}  {result.subject:{width}}  {result.message}"


def _check_web(settings: Settings) -> Result:
    try:
        config = WebConfig(settings.web.config_file)
    except ConfigError as error:
        return Result("web", False, "; ".join(f"web.config_file: {problem}" for problem in error.problems))
    notes = list(config.warnings)
    if (folder := settings.web.runbooks_dir) is not None:
        try:
            found = any(each.suffix == ".md" for each in folder.iterdir())
        except OSError as error:
            return Result("web", False, f"web.runbooks_dir: {folder} cannot be read: {error.strerror}")
        if not found:
            notes.append(f"web.runbooks_dir: {folder} holds no <AlertName>.md")
    scheme = "https" if config.tls else "http"
    urls = (f"{scheme}://{address}{settings.web.telemetry_path}" for address in settings.web.addresses)
    return Result("web", True, "; ".join((f"metrics at {', '.join(urls)}", *notes)))


def _check_source(name: str, source: Source, timeout: float) -> Result:
    timer = threading.Timer(timeout, source.abort)
    timer.start()
    try:
        return Result(name, True, source.check())
    except SourceError as error:
        return Result(name, False, f"{error}{f' - {error.hint}' if error.hint else ''}")
    finally:
        timer.cancel()
        source.close()


def _check_neighbour(name: str, url: str, path: str, version_at: tuple[str, ...]) -> Result:
    try:
        answer: Any = fetch_json(url.rstrip("/"), path, timeout=_TIMEOUT)
        for key in version_at:
            answer = answer[key]
    except RemoteError as error:
        if error.status == 200:
            return Result(name, False, f"{redact(url)} answered, but not like {name} - is {name}.url right?")
        hint = f"is {name}.url its base URL?" if error.status else f"is {name}.url right?"
        return Result(name, False, f"{error} - {hint}")
    except (KeyError, TypeError):
        return Result(name, False, f"{redact(url)} answered, but not like {name} - is {name}.url right?")
    return Result(name, True, f"{redact(url)}, version {answer}")
