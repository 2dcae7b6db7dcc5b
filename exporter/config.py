"""Settings: YAML files, environment variables, flags and files of secrets, checked once, frozen.

Order of precedence: flags over environment over files over defaults; of several files the last one goes first. Any
setting can be given as `ML_MONITORING_` plus its path in upper case joined by `__`
(`ML_MONITORING_SOURCES__MLFLOW__URI`), or by the same name plus `_FILE` and the path of a file that holds the value, as
Docker and Kubernetes hand out secrets.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    WithJsonSchema,
    create_model,
    model_validator,
)

from ml_monitoring.exporter import own_files
from ml_monitoring.exporter.addresses import ListenAddress, ListenAddresses, is_ipv6, refusal
from ml_monitoring.exporter.environment import DEFAULT_FILES, STORE_VARIABLES, add_store, read_environment
from ml_monitoring.exporter.errors import ConfigError, SettingError, UsageError, collecting
from ml_monitoring.exporter.http_addresses import problem_of
from ml_monitoring.exporter.references import References
from ml_monitoring.exporter.settings_file import Layers, Place
from ml_monitoring.exporter.settings_hints import BASE_URL_PATTERN, MISSING, PATH_PATTERN, Location, without_indented
from ml_monitoring.exporter.sources import SOURCES
from ml_monitoring.exporter.sources.base import SourceSettings
from ml_monitoring.exporter.stores import by_name, mixed, named, one_or_named
from ml_monitoring.exporter.validation import Checked, check, fitting
from ml_monitoring.exporter.values import Model, PathUse
from ml_monitoring.exporter.yaml_files import Places
from ml_monitoring.exporter.yaml_files import read as read_file

# The command line's flags, named as Prometheus's exporters name theirs, and the setting that each stands for.
FLAGS: Final = {
    "--web.listen-address": ("web", "listen_addresses"),
    "--web.telemetry-path": ("web", "telemetry_path"),
    "--web.config.file": ("web", "config_file"),
    "--web.enable-lifecycle": ("web", "enable_lifecycle"),
    "--log.level": ("log", "level"),
    "--log.format": ("log", "format"),
}
TELEMETRY_PATH = PATH_PATTERN


def _free_path(value: str) -> str:
    if f"{value}/".startswith(("/-/", "/runbooks/", "/experiments/")):
        raise ValueError("paths below /-/, /runbooks/ and /experiments/ are taken")
    return value


def _bare_host(value: str) -> str:
    if value.strip() in ("", "*"):
        said = "is no address" if value.strip() else "is empty"
        raise ValueError(f"{said}: give 0.0.0.0 for all addresses, or 127.0.0.1")
    bare = value.removeprefix("[").removesuffix("]")
    # What is left in brackets is an address of version 6, which has colons of its own.
    if ":" in bare and not is_ipv6(bare):
        raise ValueError("is a name or an address alone: the port stands in port, and no http:// in front")
    return bare


class WebSettings(Model):
    """Where and how the exporter listens.

    Attributes:
        host: Address to bind; loopback unless told otherwise.
        port: TCP port; 0 takes a free one.
        listen_addresses: Addresses to bind in place of `host` and `port`, each as `host:port`, `[::1]:port` or `:port`.
        telemetry_path: Where the metrics are; the landing page leads there.
        max_connections: Most connections at a time; above it, those that have waited longest for their clients end.
        config_file: A `web.config.file` of Prometheus's exporter-toolkit (TLS, basic authentication).
        runbooks_dir: Folder of `<AlertName>.md` files that `/runbooks/<AlertName>` shows before those of the stack.
        enable_lifecycle: Whether `POST /-/reload` and `POST /-/reset/<source>` are answered.
    """

    host: Annotated[str, AfterValidator(_bare_host)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 9847
    listen_addresses: ListenAddresses = ()
    telemetry_path: Annotated[str, Field(pattern=TELEMETRY_PATH), AfterValidator(_free_path)] = "/metrics"
    max_connections: Annotated[int, Field(ge=1, le=100_000)] = 1000
    config_file: Annotated[Path | None, PathUse.OWN] = None
    runbooks_dir: Annotated[Path | None, PathUse.OWN] = None
    enable_lifecycle: bool = False

    @model_validator(mode="after")
    def _is_said_once(self) -> Self:
        if self.listen_addresses and self.model_fields_set & {"host", "port"}:
            raise ValueError("listen_addresses: given together with host or port; keep one of them")
        twice = [str(one) for one, count in Counter(self.listen_addresses).items() if count > 1]
        if twice:
            raise ValueError(f"listen_addresses: {', '.join(twice)} stands there twice")
        return self

    @property
    def addresses(self) -> tuple[ListenAddress, ...]:
        """Return all addresses to listen on."""
        return self.listen_addresses or (ListenAddress(self.host, self.port),)

    def refusal(self, address: ListenAddress, error: OSError) -> SettingError:
        """Return why one of the addresses cannot be listened on, as a problem of the setting that gives it."""
        # A name that is not found, or an address that no network card has.
        is_host = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
        setting = "listen_addresses" if self.listen_addresses else "host" if is_host else "port"
        return SettingError(("web", setting), refusal(address, error, "--web.listen-address"))


def _lower_level(value: object) -> object:
    level = value.lower() if isinstance(value, str) else value
    return "warning" if level == "warn" else level


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class LogSettings(Model):
    """What is logged, and in which form.

    Attributes:
        level: The least severe level that is logged; `warn` means `warning`, and upper case counts as lower case.
        format: How a line is written.
    """

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(_lower_level),
        WithJsonSchema({"enum": ["debug", "info", "warn", "warning", "error"]}),
    ] = "info"
    format: Annotated[Literal["logfmt", "json"], BeforeValidator(_lower)] = "logfmt"


def _address(value: object) -> object:
    # Before the pattern, which would say less.
    if isinstance(value, str) and (problem := problem_of(value)):
        raise ValueError(problem)
    return value


class Neighbour(Model):
    """A server that `check` tries; the exporter itself never calls it.

    Attributes:
        url: Its base URL.
    """

    url: Annotated[
        str,
        Field(pattern=BASE_URL_PATTERN, examples=["http://127.0.0.1:9090"]),
        BeforeValidator(_address),
    ]


if TYPE_CHECKING:

    class SourcesSettings(Model):
        """One optional section a source, or several by names; the fields are made from the list of sources."""

else:
    SourcesSettings = create_model(
        "SourcesSettings",
        __base__=Model,
        **{
            source.name: ((named if source.are_named else one_or_named)(source.Settings) | None, None)
            for source in SOURCES
        },
    )


class Settings(Model):
    """Everything that can be set.

    Attributes:
        web: Where and how the exporter listens.
        log: What is logged, and in which form.
        sources: What is read: one section a source.
        prometheus: The Prometheus that `check` tries; the exporter itself never calls it.
        alertmanager: The Alertmanager that `check` tries; the exporter itself never calls it.
    """

    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()
    sources: SourcesSettings = SourcesSettings()
    prometheus: Neighbour | None = None
    alertmanager: Neighbour | None = None

    def enabled_sources(self, *, without: Checked[Any] | None = None) -> dict[str, SourceSettings]:
        """Return the settings of each source that has a section, those of named ones as `kind/name`.

        Args:
            without: What was left out of these settings; sources that parts were left out of are left out, too.
        """
        sections = {
            name: section
            for name, section in self._sections().items()
            if without is None or not without.touches(("sources", *name.split("/", 1)))
        }
        return {
            name: section.completed(sections)
            for name, section in sections.items()
            if without is None or not any(section.conflicts(sections))
        }

    @property
    def reads_nothing(self) -> bool:
        """Tell whether no source has a section."""
        return not self._sections()

    def conflicts(self) -> Iterator[tuple[Location, str]]:
        """Yield which settings of a source do not fit those of others, and what is wrong."""
        sections = self._sections()
        for name, section in sections.items():
            for location, message in section.conflicts(sections):
                yield ("sources", *name.split("/", 1), *location), message

    def _sections(self) -> dict[str, SourceSettings]:
        sections = {source.name: getattr(self.sources, source.name) for source in SOURCES}
        return {
            name: section
            for kind, given in sections.items()
            if given is not None
            for name, section in by_name(kind, given).items()
        }


def load(
    files: Path | Sequence[Path] | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Settings:
    """Read and check all settings, see `read`."""
    return read(files, environ, flags)[0]


def read(
    files: Path | Sequence[Path] | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> tuple[Settings, Layers]:
    """Read and check all settings, and remember where each was given.

    Args:
        files: YAML files, the last one uppermost; without one only the rest counts.
        environ: Environment variables; default those of the process.
        flags: Settings by the command line's flags, such as `--log.level`.

    Raises:
        ConfigError: A file cannot be read, or a setting is unknown or wrong; every problem is listed.
    """
    return read_all(files, environ, flags).whole()


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read.

    Attributes:
        settings: What of the settings can be used; None where nothing can.
        layers: Where each was given.
        problems: All that is wrong.
        checked: What was left out for that.
    """

    settings: Settings | None
    layers: Layers
    problems: list[str]
    checked: Checked[Settings]

    def whole(self) -> tuple[Settings, Layers]:
        """Return the settings, and where each was given.

        Raises:
            ConfigError: Something is wrong; every problem is listed.
        """
        if self.problems or self.settings is None:
            of_flags = any(problem.startswith("--") for problem in self.problems)
            raise (UsageError if of_flags else ConfigError)(self.problems)
        return self.settings, self.layers


def read_all(
    files: Path | Sequence[Path] | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Reading:
    """Read all settings, and what is wrong with them; args are those of `read`."""
    environ = os.environ if environ is None else environ
    files = [files] if isinstance(files, Path) else files or []
    problems: list[str] = []
    of_references: list[tuple[Place, str]] = []
    layers = Layers()
    layers.takes_variables = True
    unresolved: set[Location] = set()
    unread = len(files)
    for number, path in enumerate(files):
        with collecting(problems):
            data, places = read_file(path)
            own_files.refuse(path, data)
            references = References(Settings, places, environ)
            resolved = references.resolve(data)
            _add(layers, resolved, references.places)
            of_references += references.sentences(number)
            unresolved |= references.unresolved
            unread -= 1
    _add(layers, *read_environment(Settings, environ, problems))
    _add(layers, *_by_setting(flags or {}))
    misplaced = dict(_misplaced(layers))
    add_store(layers, environ, problems)
    is_whole = not problems and not of_references
    checked = check(layers, Settings)
    checked.left_out |= unresolved
    found = []
    for at, message in checked.problems:
        # That the file of a secret cannot be read says why that is missing. What one without a name would need is no
        # matter where stores have names.
        of_one = any(at[:2] == store[:2] for store in misplaced)
        if at not in unresolved and not (of_one and (message == MISSING or len(at) == 2)):
            said = own_files.of_source(at, message, [source.name for source in SOURCES], files)
            # A variable says by its name which setting it is.
            of_file = (place := layers.place(at)) is None or bool(place.line)
            found.append((at[:3] if of_file and at[:3] in misplaced else at, misplaced.get(at[:3], said)))
    found += (empty := without_indented(_left_empty(layers), found))
    if checked.usable is not None:
        found += [
            problem
            for problem in fitting(checked, checked.usable.conflicts())
            if not _is_of_what_was_left_out(layers.value(problem[0]), checked)
        ]
    problems += layers.sentences(found, of_references)
    if checked.usable is not None:
        is_whole = is_whole and not empty and not any(len(at) < 2 or at[0] == "sources" for at, _ in checked.problems)
        if is_whole and checked.usable.reads_nothing:
            problems.append(_nothing_to_read(files))
    # What a file says that cannot be read may be anything.
    return Reading(None if unread else checked.usable, layers, list(dict.fromkeys(problems)), checked)


def _is_of_what_was_left_out(value: object, checked: Checked[Settings]) -> bool:
    """Tell whether a setting names a source, such as `mlflow/prod`, of which something cannot be used."""
    return isinstance(value, str) and checked.touches(("sources", *value.split("/", 1)))


def _misplaced(layers: Layers) -> Iterator[tuple[Location, str]]:
    """Yield what stands where only names of stores or only settings of one can, and what is wrong."""
    for source in SOURCES:
        kind: Location = ("sources", source.name)
        given = layers.value(kind)
        if source.are_named:
            for key, value in given.items() if isinstance(given, dict) else ():
                fields = source.Settings.model_fields
                # A mapping may be a section of this name.
                if key in fields and not (isinstance(value, dict) and value.keys() & fields.keys()):
                    yield (
                        (*kind, key),
                        f"is a setting of each: write it below a name, as sources.{source.name}.NAME.{key}",
                    )
            continue
        names, own = mixed(given, source.Settings)
        settings = ", ".join(giver for key in own for giver in layers.givers((*kind, key)))
        for name in names:
            yield (
                (*kind, name),
                f"is a store with a name, beside settings of one without ({settings}); take these out, or the names",
            )


def _left_empty(layers: Layers) -> Iterator[tuple[Location, str]]:
    """Yield the sections of sources that hold nothing, as where what they held is commented out, and what to do."""
    for source in SOURCES:
        at = ("sources", source.name)
        if layers.is_left_empty(at):
            needed = next((name for name, each in source.Settings.model_fields.items() if each.is_required()), "")
            given = "a name and its settings" if source.are_named else needed or "{}, for what it has by default"
            yield at, f"is empty: give {given}, or delete it"


def _nothing_to_read(files: Sequence[Path]) -> str:
    names = ", ".join(source.name for source in SOURCES)
    looked = ", ".join(map(str, files)) or f"there is no {' and no '.join(map(str, DEFAULT_FILES))}"
    return (
        f"sources: nothing to read: give at least one of {names} a section in a file of settings ({looked}; "
        f"`ml-monitoring init` writes one), or set {' or '.join(STORE_VARIABLES)}"
    )


def _by_setting(flags: Mapping[str, Any]) -> tuple[dict[str, Any], Places]:
    """Return settings from flags such as `--web.listen-address`, and which flag gave which."""
    settings: dict[str, Any] = {}
    places: dict[Location, tuple[str, int]] = {}
    for flag, value in flags.items():
        section, key = FLAGS[flag]
        settings.setdefault(section, {})[key] = value
        places[section, key] = (flag, 0)
    return settings, places


def _add(layers: Layers, data: dict[str, Any], places: Places) -> None:
    """Lay settings on top; of the two ways to say where to listen, the uppermost one counts."""
    web = data.get("web")
    if isinstance(web, dict) and "web" in layers.data:
        if "listen_addresses" in web:
            data = {**data, "web": {"host": None, "port": None, **web}}
        elif web.keys() & {"host", "port"}:
            data = {**data, "web": {"listen_addresses": None, **web}}
    layers.add(data, places)
