"""Settings: YAML, environment variables and files of secrets, checked once, frozen.

Order of precedence: environment over file over defaults. Any setting can be given as `EXPORTER_` plus its path in
upper case joined by `__` (`EXPORTER_SOURCES__MLFLOW__URI`), or by the same name plus `_FILE` and the path of a file
that holds the value, as Docker and Kubernetes hand out secrets.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, create_model

from exporter.errors import ConfigError
from exporter.sources import SOURCES
from exporter.sources.base import SourceSettings
from exporter.values import Model, merge

ENVIRONMENT_PREFIX = "EXPORTER_"
# Variables with the prefix that are not settings.
CONFIG_PATH_VARIABLE = "EXPORTER_CONFIG"
_FILE_SUFFIX = "_FILE"


class WebSettings(Model):
    """Where and how the exporter listens.

    Attributes:
        host: Address to bind; loopback unless told otherwise.
        port: TCP port; 0 takes a free one.
        config_file: A `web.config.file` of Prometheus's exporter-toolkit (TLS, basic authentication).
        runbooks_dir: Folder of `<AlertName>.md` files that `/runbooks/<AlertName>` shows.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 9847
    config_file: Path | None = None
    runbooks_dir: Path | None = None


class LogSettings(Model):
    """What is logged, and in which form."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["logfmt", "json"] = "logfmt"


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
    from_file = _read_yaml(path) if path is not None else {}
    from_environment = _read_environment(os.environ if environ is None else environ, problems)
    try:
        settings = Settings.model_validate(merge(from_file, from_environment))
    except ValidationError as error:
        problems.extend(describe(error))
    if problems:
        raise ConfigError(problems)
    if not settings.enabled_sources():
        names = ", ".join(source.name for source in SOURCES)
        raise ConfigError([f"sources: nothing to read: give at least one of {names} a section"])
    return settings


def describe(error: ValidationError) -> list[str]:
    """Return one line for each problem, beginning with its dotted location."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        location = ".".join(str(part) for part in problem["loc"]) or "(top level)"
        message = "unknown key" if problem["type"] == "extra_forbidden" else problem["msg"]
        lines.append(f"{location}: {message.removeprefix('Value error, ')}")
    return lines


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuse a key that is given twice: the first one would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _value in node.value:
            key = key_node.value
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {_reason(error)}"]) from None
    try:
        content = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506  # derives from SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        # Only the problem, never the excerpt: the line may hold a password.
        raise ConfigError([f"{path}{where}: not valid YAML: {error.problem}"]) from None
    except yaml.YAMLError:
        raise ConfigError([f"{path}: not valid YAML"]) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError([f"{path}: must hold settings like `sources:`, not a {type(content).__name__}"])
    return content


def _read_environment(environ: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for name, value in sorted(environ.items()):
        # An empty variable is what compose files pass for "not set".
        if not name.startswith(ENVIRONMENT_PREFIX) or name == CONFIG_PATH_VARIABLE or not value:
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
                problems.append(f"{name}: {value} cannot be read: {_reason(error)}")
                continue
        keys = path.lower().split("__")
        if keys[0] not in Settings.model_fields:
            problems.append(f"{name}: unknown setting")
            continue
        nested: Any = content
        for key in reversed(keys):
            nested = {key: nested}
        settings = merge(settings, nested)
    return settings


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "not UTF-8 text"
