"""Settings: YAML, environment variables and files of secrets, checked once, frozen.

Order of precedence: environment over file over defaults. Any setting can be given as `ML_MONITORING_` plus its path
in upper case joined by `__` (`ML_MONITORING_SOURCES__MLFLOW__URI`), or by the same name plus `_FILE` and the path of a
file that holds the value, as Docker and Kubernetes hand out secrets.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, create_model, model_validator

from ml_monitoring.exporter.addresses import ListenAddress, ListenAddresses
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.settings_file import Layers, Location, Places, describe_read_error
from ml_monitoring.exporter.sources import SOURCES
from ml_monitoring.exporter.sources.base import SourceSettings
from ml_monitoring.exporter.values import Model, merge

ENVIRONMENT_PREFIX = "ML_MONITORING_"
CONFIG_PATH_VARIABLE = "ML_MONITORING_CONFIG"
# Variables with the prefix that are not settings: the files of the exporter's, and of those of `alerting`.
_OTHER_VARIABLES = frozenset({CONFIG_PATH_VARIABLE, "ML_MONITORING_ALERTING_SETTINGS"})
_FILE_SUFFIX = "_FILE"


TELEMETRY_PATH = r"^/[A-Za-z0-9._~/-]*$"


def _free_path(value: str) -> str:
    if value.startswith(("/-/", "/runbooks/")):
        raise ValueError("paths below /-/ and /runbooks/ are taken")
    return value


class WebSettings(Model):
    """Where and how the exporter listens.

    Attributes:
        host: Address to bind; loopback unless told otherwise.
        port: TCP port; 0 takes a free one.
        listen_addresses: Addresses to bind in place of `host` and `port`, each as `host:port`, `[::1]:port` or `:port`.
        telemetry_path: Where the metrics are; the landing page leads there.
        config_file: A `web.config.file` of Prometheus's exporter-toolkit (TLS, basic authentication).
        runbooks_dir: Folder of `<AlertName>.md` files that `/runbooks/<AlertName>` shows before those of the stack.
        enable_lifecycle: Whether `POST /-/reload` and `POST /-/reset/<source>` are answered.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 9847
    listen_addresses: ListenAddresses = ()
    telemetry_path: Annotated[str, Field(pattern=TELEMETRY_PATH), AfterValidator(_free_path)] = "/metrics"
    config_file: Path | None = None
    runbooks_dir: Path | None = None
    enable_lifecycle: bool = False

    @model_validator(mode="after")
    def _is_said_once(self) -> Self:
        if self.listen_addresses and self.model_fields_set & {"host", "port"}:
            raise ValueError("listen_addresses: given together with host or port; keep one of them")
        return self

    @property
    def addresses(self) -> tuple[ListenAddress, ...]:
        """Return all addresses to listen on."""
        return self.listen_addresses or (ListenAddress(self.host, self.port),)


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

    level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower_level)] = "info"
    format: Annotated[Literal["logfmt", "json"], BeforeValidator(_lower)] = "logfmt"


class Neighbour(Model):
    """A server that `check` tries; the exporter itself never calls it."""

    url: Annotated[str, Field(pattern=r"^https?://[^/\s]+")]


if TYPE_CHECKING:

    class SourcesSettings(Model):
        """One optional section a source; the fields are made from the list of sources."""

else:
    SourcesSettings = create_model(
        "SourcesSettings",
        __base__=Model,
        **{source.name: (source.Settings | None, None) for source in SOURCES},
    )


class Settings(Model):
    """Everything that can be set."""

    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()
    sources: SourcesSettings = SourcesSettings()
    prometheus: Neighbour | None = None
    alertmanager: Neighbour | None = None

    def enabled_sources(self) -> dict[str, SourceSettings]:
        """Return the settings of each source that has a section."""
        sections = {source.name: getattr(self.sources, source.name) for source in SOURCES}
        return {name: section for name, section in sections.items() if section is not None}


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check all settings.

    Args:
        path: YAML file; without it only the environment counts.
        environ: Environment variables; default those of the process.

    Raises:
        ConfigError: The file cannot be read, or a setting is unknown or wrong; every problem is listed.
    """
    problems: list[str] = []
    layers = Layers.of_file(path) if path is not None else Layers()
    layers.add(*_read_environment(os.environ if environ is None else environ, problems))
    try:
        settings = Settings.model_validate(layers.data)
    except ValidationError as error:
        problems.extend(layers.describe(error))
    if problems:
        raise ConfigError(problems)
    if not settings.enabled_sources():
        names = ", ".join(source.name for source in SOURCES)
        raise ConfigError([f"sources: nothing to read: give at least one of {names} a section"])
    return settings


def _read_environment(environ: Mapping[str, str], problems: list[str]) -> tuple[dict[str, Any], Places]:
    settings: dict[str, Any] = {}
    places: dict[Location, tuple[str, int]] = {}
    for name, value in sorted(environ.items()):
        # An empty variable is what compose files pass for "not set".
        if not name.startswith(ENVIRONMENT_PREFIX) or name in _OTHER_VARIABLES or not value:
            continue
        path = name.removeprefix(ENVIRONMENT_PREFIX)
        content = value
        # `web.config_file` ends in the suffix too and is a path itself.
        if path.endswith(_FILE_SUFFIX) and path != "WEB__CONFIG_FILE":
            path = path.removesuffix(_FILE_SUFFIX)
            if ENVIRONMENT_PREFIX + path in environ:
                problems.append(f"{name}: given together with {ENVIRONMENT_PREFIX}{path}; keep one of them")
                continue
            try:
                content = Path(value).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                problems.append(f"{name}: {value} cannot be read: {describe_read_error(error)}")
                continue
        keys = path.lower().split("__")
        if keys[0] not in Settings.model_fields:
            problems.append(f"{name}: unknown setting")
            continue
        nested: Any = content
        for key in reversed(keys):
            nested = {key: nested}
        settings = merge(settings, nested)
        places[tuple(keys)] = (name, 0)
    return settings, places
