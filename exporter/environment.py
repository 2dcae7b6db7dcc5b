"""Settings from variables: our own, and those that MLflow has already."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretStr

from ml_monitoring.exporter.references import FILE_SUFFIX, PREFIX, field_at, is_secret
from ml_monitoring.exporter.settings_file import Layers, files_of, first_of
from ml_monitoring.exporter.settings_hints import Location, models_in
from ml_monitoring.exporter.sources.mlflow import MlflowSettings
from ml_monitoring.exporter.sources.mlflow.settings import is_server
from ml_monitoring.exporter.stores import are_named
from ml_monitoring.exporter.suggestions import closest
from ml_monitoring.exporter.values import FileSecret, merge, read_secret
from ml_monitoring.exporter.yaml_files import Places

FILES_VARIABLE: Final = f"{PREFIX}CONFIG"
# Of these the first that exists is read where no file is given.
DEFAULT_FILES: Final = (Path("ml-monitoring.yml"), Path("/etc/ml-monitoring/ml-monitoring.yml"))
# MLflow's own, the better one first: the server's, and the clients'.
STORE_VARIABLES: Final = ("MLFLOW_BACKEND_STORE_URI", "MLFLOW_TRACKING_URI")
# What they say of how a tracking server is asked, and the setting that it is.
ACCESS_VARIABLES: Final = {
    "MLFLOW_TRACKING_USERNAME": "username",
    "MLFLOW_TRACKING_PASSWORD": "password",
    "MLFLOW_TRACKING_TOKEN": "token",
    "MLFLOW_TRACKING_INSECURE_TLS": "verify_certificate",
    "MLFLOW_TRACKING_SERVER_CERT_PATH": "ca_file",
    "MLFLOW_TRACKING_CLIENT_CERT_PATH": "certificate_file",
    "MLFLOW_WORKSPACE": "workspaces",
}
# No setting has more in its name.
_MOST_WORDS: Final = 10
_LOGINS: Final = frozenset({"username", "password", "token"})
# Variables with the prefix that are not settings: the files of the exporter's, and of those of `alerting`.
_OTHER_VARIABLES: Final = frozenset({FILES_VARIABLE, f"{PREFIX}ALERTING_SETTINGS"})
# What Kubernetes sets in each pod for a Service of this name, or of one that begins so.
_SERVICE: Final = re.compile(
    rf"{PREFIX.rstrip('_')}(?:_[A-Z0-9]+)*?_(?:"
    r"(?P<address>SERVICE_HOST|PORT_\d+_(?:TCP|UDP|SCTP)_ADDR)"
    r"|(?P<number>SERVICE_PORT(?:_[A-Z0-9]+)*|PORT_\d+_(?:TCP|UDP|SCTP)_PORT)"
    r"|(?P<protocol>PORT_\d+_(?:TCP|UDP|SCTP)_PROTO)"
    r"|(?P<url>PORT(?:_\d+_(?:TCP|UDP|SCTP))?))"
)
_SHAPES: Final = {
    "number": re.compile(r"\d+"),
    "protocol": re.compile(r"tcp|udp|sctp"),
    "url": re.compile(r"(?:tcp|udp|sctp)://\S+:\d+"),
}


def settings_files(given: list[Path] | None, environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Return the files to read: those given, else those of the variable, else the first default one that exists.

    Raises:
        ConfigError: The variable names a file that there is not, or a default one has another ending.
    """
    if given:
        return given
    if named := environ.get(FILES_VARIABLE):
        return files_of(FILES_VARIABLE, named)
    return first_of(DEFAULT_FILES)


def read_environment(
    model: type[BaseModel], environ: Mapping[str, str], problems: list[str]
) -> tuple[dict[str, Any], Places]:
    """Return the settings that variables give, and which variable gave which; what is wrong is added to `problems`."""
    settings: dict[str, Any] = {}
    places: dict[Location, tuple[str, int]] = {}
    for name, value in sorted(environ.items()):
        if name != name.upper() and name.upper().startswith(PREFIX) and not name.startswith(PREFIX):
            problems.append(f"{name}: variables are in capitals; did you mean {name.upper()}?")
        # An empty variable is what compose files pass for "not set".
        if not name.startswith(PREFIX) or name in _OTHER_VARIABLES or not value or _is_of_a_service(name, value):
            continue
        *above, last = name.removeprefix(PREFIX).lower().split("__")
        content: str | FileSecret = value
        # A setting that ends in the suffix itself is a path.
        if last.endswith(FILE_SUFFIX) and field_at(model, (*above, last)) is None:
            last = last.removesuffix(FILE_SUFFIX)
            direct = name.removesuffix(FILE_SUFFIX.upper())
            if direct in environ:
                problems.append(f"{name}: given together with {direct}; keep one of them")
                continue
            try:
                kept = is_secret(field_at(model, (*above, last)))
                content = FileSecret(Path(value)) if kept else read_secret(Path(value))
            except ValueError as error:
                problems.append(f"{name}: {error}")
                continue
        keys = (*above, last)
        whole = name.removeprefix(PREFIX).lower()
        meant = () if field_at(model, keys) else _apart([whole], model) or _apart(keys, model)
        if meant or keys[0] not in model.model_fields:
            meant = meant or _close(keys, model)
            is_file = whole.endswith(FILE_SUFFIX) and meant and not meant[-1].endswith(FILE_SUFFIX)
            problems.append(f"{name}: unknown setting{_suggestion(meant, FILE_SUFFIX if is_file else '')}")
            continue
        nested: Any = content
        for key in reversed(keys):
            nested = {key: nested}
        settings = merge(settings, nested)
        places[keys] = (name, 0)
    return settings, places


def _suggestion(keys: Sequence[str], suffix: str) -> str:
    return f"; did you mean {PREFIX}{'__'.join(keys).upper()}{suffix.upper()}?" if keys else ""


def _apart(keys: Sequence[str], model: type[BaseModel]) -> tuple[str, ...]:
    """Return the setting that has the same words in its name, where only the two underscores between keys are not."""
    words = re.split("_+", "_".join(keys))
    # Between each two words is one underscore or are two.
    for count in range(1, len(words) if len(words) <= _MOST_WORDS else 0):
        for ends in itertools.combinations(range(1, len(words)), count):
            parts = itertools.pairwise((0, *ends, len(words)))
            found = tuple("_".join(words[start:end]) for start, end in parts)
            if field_at(model, found):
                return found
    return ()


def _close(keys: Sequence[str], model: type[BaseModel]) -> tuple[str, ...]:
    """Return which setting may be meant by one that there is not; the prefix, which all share, tells nothing."""
    first, *rest = keys
    if rest and (found := closest(first, model.model_fields)):
        return (found, *rest)
    known = {"_".join(names): names for names in _all_keys(model)}
    known |= {name.removeprefix(PREFIX).lower(): (name.removeprefix(PREFIX).lower(),) for name in _OTHER_VARIABLES}
    return known.get(closest("_".join(keys), known), ())


def _all_keys(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    """Yield the keys of each setting that has no settings below it."""
    for name, field in model.model_fields.items():
        inner = models_in(field.annotation)
        yield from ((name, *below) for each in inner for below in _all_keys(each)) if inner else [(name,)]


def add_store(layers: Layers, environ: Mapping[str, str], problems: list[str]) -> None:
    """Take MLflow's own variables for its store where the settings name none, and nothing else to read.

    Those that say how a tracking server is asked count for one without a name, where the settings do not say it.
    """
    sources = layers.data.get("sources") or {}
    if not isinstance(sources, dict):
        return
    section = sources.get("mlflow")
    if isinstance(section, dict):
        wanted = "uri" not in section and not are_named(section, MlflowSettings)
    else:
        wanted = not any(map(_is_given, sources.values()))
    name = next((name for name in STORE_VARIABLES if environ.get(name)), None)
    if wanted and name is not None:
        layers.add({"sources": {"mlflow": {"uri": environ[name]}}}, {("sources", "mlflow", "uri"): (name, 0)})
    section = (layers.data.get("sources") or {}).get("mlflow")
    if isinstance(section, dict) and is_server(_text(section.get("uri"))):
        _add_access(layers, section, environ, problems)


def _add_access(layers: Layers, section: Mapping[str, Any], environ: Mapping[str, str], problems: list[str]) -> None:
    """Take what MLflow's clients are given to reach a server."""
    given = {setting: name for name, setting in ACCESS_VARIABLES.items() if _given(environ, name)}
    if section.keys() & _LOGINS or "@" in _text(section["uri"]).partition("://")[2].partition("/")[0]:
        given = {setting: name for setting, name in given.items() if setting not in _LOGINS}
    elif {"username", "password"} <= given.keys():
        # As MLflow's clients choose.
        given.pop("token", None)
    for setting, name in given.items():
        if setting in section:
            continue
        value: object = environ.get(name)
        origin = name if value else f"{name}{FILE_SUFFIX.upper()}"
        try:
            value = value or FileSecret(Path(environ[origin]))
        except ValueError as error:
            problems.append(f"{origin}: {error}")
            continue
        if setting == "verify_certificate":
            value = str(value).strip().lower() not in ("true", "1")
        place: Location = ("sources", "mlflow", setting)
        layers.add({"sources": {"mlflow": {setting: value}}}, {place: (origin, 0)})


def _given(environ: Mapping[str, str], name: str) -> bool:
    secret = ACCESS_VARIABLES[name] in ("password", "token")
    return bool(environ.get(name) or (secret and environ.get(f"{name}{FILE_SUFFIX.upper()}")))


def _text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _is_given(section: object) -> bool:
    return section is not None


def _is_of_a_service(name: str, value: str) -> bool:
    found = _SERVICE.fullmatch(name)
    if found is None:
        return False
    if found.lastgroup == "address":
        try:
            return bool(ip_address(value))
        except ValueError:
            return False
    return _SHAPES[str(found.lastgroup)].fullmatch(value) is not None
