"""What is wrong with a setting in words for who wrote it, and what may be meant."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, RootModel
from pydantic.fields import FieldInfo

from ml_monitoring.exporter.suggestions import closest, suggestion, suggestion_or_all
from ml_monitoring.exporter.values import NAME_PATTERN

Location = tuple[str | int, ...]

# The end of a message that names a key.
MEANT = re.compile(r"; did you mean (\S+)\?")
# So many keys are listed where none of them is close to what was given.
_FEW = 5
# Of addresses of mail servers, and paths below which something is served.
SMARTHOST_PATTERN = r"^\S+:\d+$"
PATH_PATTERN = r"^/[A-Za-z0-9._~/-]*$"
# Of stores, teams, channels, labels, and variants of an experiment.
STORE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"
TEAM_PATTERN = r"^[a-z][a-z0-9_]*$"
CHANNEL_PATTERN = r"^[a-z][a-z0-9_-]*$"
LABEL_PATTERN = r"^[a-zA-Z_]\w*$"
VARIANT_PATTERN = r"^[\w. -]{1,60}$"
# Of experiments, which stand in addresses, and are names of files.
EXPERIMENT_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
# Of what stands inside quotes in PromQL: also as a regular expression, where a dollar sign would begin a group's
# number, and in a label's value, which would be a template with braces.
QUOTED_PATTERN = r'^[^"\\\n]+$'
MODEL_PATTERN = r'^[^"\\\n$]+$'
LABEL_VALUE_PATTERN = r'^[^"\\\n{}]+$'
# Of what is the user's own: a page that is named, its folder, a link, a metric and the start of a range.
PAGE_PATTERN = r"^(ml-monitoring-)?[a-z][a-z0-9-]*$"
FOLDER_PATTERN = r"^[\w][\w -]*$"
LINK_PATTERN = r"^(https?://|/)\S+$"
METRIC_PATTERN = r"^[a-zA-Z_:][\w:]*$"
SINCE_PATTERN = r"^now-\d+[smhdwMy]$"
HEADER_VALUE_PATTERN = r"^[^\r\n]*$"
BASE_URL_PATTERN = r"^https?://[^/\s?#]+(/[^\s?#]*)?$"
# Settings on the top level of files of each kind, for who gives one in place of the other.
EXPORTER_KEYS = frozenset({"web", "log", "sources", "prometheus", "alertmanager"})
ALERTING_KEYS = frozenset(
    {
        *("traffic", "business", "ab_test", "drift", "slos", "llm", "links", "components", "selectors", "services"),
        *("dashboards", "extensions", "teams", "alert_labels", "notifications", "keep_firing_for", "alerts"),
    }
)
# What pydantic calls settings that are none, and what is said of a key in place of a name of the user's choice.
MODELS = frozenset({"model_type", "model_attributes_type"})
BELOW_A_NAME = "is a key of what is named above it: indent it further than that name"
# What is said of a setting that must be given and is not, and why there may be none.
MISSING = "is missing"
COMMENT = "is empty, as # begins a comment: write what begins with # in quotes"
# What users give first where the defaults give all that is required.
_OFTEN = ("channels", "threshold")
PATTERNS = {
    NAME_PATTERN: "a name has letters, digits and _ only, and no digit first",
    SMARTHOST_PATTERN: "must be host:port, such as smtp.example.org:587",
    STORE_PATTERN: "a name has at most 63 letters, digits and . _ - only, and begins with a letter or digit",
    TEAM_PATTERN: "a name has small letters, digits and _ only, and begins with a letter",
    CHANNEL_PATTERN: "a name has small letters, digits and _ - only, and begins with a letter",
    LABEL_PATTERN: "a label has letters, digits and _ only, and no digit first",
    VARIANT_PATTERN: "a name has at most 60 letters, digits, blanks and . _ - only",
    EXPERIMENT_PATTERN: "a name has at most 100 letters, digits and . _ - only, and begins with a letter or digit",
    QUOTED_PATTERN: "must not be empty, nor hold quotes, backslashes or line breaks",
    MODEL_PATTERN: "must not be empty, nor hold quotes, backslashes, dollar signs or line breaks",
    LABEL_VALUE_PATTERN: "must not be empty, nor hold quotes, backslashes, braces or line breaks",
    PAGE_PATTERN: "the name of a page has small letters, digits and - only, and begins with a letter",
    FOLDER_PATTERN: "a folder has letters, digits, blanks and _ - only, and does not begin with a blank or a dash",
    LINK_PATTERN: "must begin with https://, http:// or a slash, and hold no blanks",
    METRIC_PATTERN: "a metric has letters, digits and _ : only, and no digit first",
    SINCE_PATTERN: "must be now-6h or the like: now- and a number with s, m, h, d, w, M or y",
    HEADER_VALUE_PATTERN: "must be one line",
    BASE_URL_PATTERN: "must be an address such as http://127.0.0.1:9090, without ? and #",
    PATH_PATTERN: "must begin with a slash, and hold letters, digits and . _ ~ / - only",
}


# What others call a key, such as query-exporter and sql_exporter, and its names here.
_ALSO_CALLED: Mapping[object, tuple[str, ...]] = {
    "variants": ("arms",),
    **dict.fromkeys(("query", "statement"), ("sql", "expr")),
    "promql": ("expr",),
    **dict.fromkeys(("database", "databases"), ("store",)),
    **dict.fromkeys(("connections", "data_source_name", "dsn"), ("uri",)),
    **dict.fromkeys(("min_interval", "schedule"), ("interval",)),
    **dict.fromkeys(("description", "desc"), ("help",)),
    "key_labels": ("labels",),
    **dict.fromkeys(("column", "values"), ("value",)),
    **dict.fromkeys(("file", "folder", "filename"), ("path", "files")),
}


@dataclass(frozen=True, slots=True)
class Names:
    """The names that a mapping takes which is no model, for hints."""

    names: tuple[str, ...]


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that an annotation is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in models_in(argument)]


def fields_at(model: type[BaseModel], location: Location) -> dict[str, FieldInfo]:
    """Return what may stand below a location, by their names."""
    # A file may be a mapping of names to settings.
    models = models_in(model.model_fields["root"].annotation) if issubclass(model, RootModel) else [model]
    for part in location:
        fields = [field for each in models if (field := each.model_fields.get(str(part)))]
        # A name of one's own choice is no field: what it names is one of these still.
        models = [inner for field in fields for inner in models_in(field.annotation)] or models
    return {field.alias or name: field for each in models for name, field in each.model_fields.items()}


def without_indented(
    empty: Iterable[tuple[Location, str]], others: Iterable[tuple[Location, str]]
) -> list[tuple[Location, str]]:
    """Return what holds nothing, but for what others beside it are said to belong below."""
    misplaced = {at[:-1] for at, message in others if "indent it further than" in message}
    return [(at, message) for at, message in empty if at[:-1] not in misplaced]


def is_known(model: type[BaseModel], location: Location) -> bool:
    """Tell whether settings have a key, or what stands above it takes names of the user's choice."""
    return bool(_kinds_at(model, location))


def _kinds_at(model: type[BaseModel], location: Location) -> list[Any]:
    """Return the kinds of what may stand at a location: models, and mappings of names."""
    kinds = alternatives(model)
    for part in location:
        inner: list[Any] = []
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                fields = (each for name, each in kind.model_fields.items() if part in (name, each.alias))
                inner += [one for field in fields for one in alternatives(field.annotation)]
            else:
                inner += [each for argument in get_args(kind) for each in alternatives(argument)]
        kinds = inner
    return kinds


def choices_at(model: type[BaseModel], location: Location, key: str) -> list[str]:
    """Return what a key may be that tells the kinds of settings at a location apart."""
    fields = [kind.model_fields.get(key) for kind in _kinds_at(model, location) if hasattr(kind, "model_fields")]
    return [str(choice) for field in fields if field for choice in get_args(field.annotation)]


def keys_at(model: type[BaseModel], location: Location) -> dict[str, FieldInfo]:
    """Return what may stand right below a location, not below a name of the user's choice there."""
    models = [kind for kind in _kinds_at(model, location) if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return {field.alias or name: field for each in models for name, field in each.model_fields.items()}


def takes_names(model: type[BaseModel], location: Location) -> bool:
    """Tell whether names of the user's choice may stand below a location, each with settings."""
    return any(get_origin(kind) is dict and models_in(kind) for kind in _kinds_at(model, location))


def takes_settings(annotation: Any) -> bool:
    """Tell whether an annotation takes a mapping."""
    return bool(models_in(annotation)) or any(get_origin(kind) is dict for kind in alternatives(annotation))


def is_joined(text: str, keys: Iterable[str]) -> bool:
    """Tell whether a text is a key with its value, without a blank between them."""
    key, colon, value = text.partition(":")
    return bool(colon) and not value.startswith("//") and key.strip() in set(keys)


def missing_key(key: object, missing: Collection[str]) -> str:
    """Return which key that is missing is meant by an unknown one beside it, as the end of a message."""
    if str(key).removesuffix("_file") in missing:
        # Said of every such key.
        return ""
    words = set(str(key).lower().split("_")) - {"file"}
    alike = [name for name in sorted(missing) if words & set(name.split("_"))]
    found = alike[0] if len(alike) == 1 else closest(str(key), missing)
    of_file = " It names a file that holds what is meant" if found == f"{found.removesuffix('_file')}_file" else ""
    return f"; did you mean {found}?{'' if str(key).endswith('_file') else of_file}" if found else ""


def alternatives(annotation: Any) -> list[Any]:
    """Return the kinds of what may stand where something has an annotation."""
    if get_origin(annotation) is Annotated:
        return alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [each for argument in get_args(annotation) for each in alternatives(argument)]
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        return alternatives(annotation.model_fields["root"].annotation)
    return [annotation]


def first_field(model: type[BaseModel], location: Location) -> str:
    """Return the name of what must stand below a location, or of what may."""
    fields = fields_at(model, location)
    if often := next((name for name in _OFTEN if name in fields), ""):
        return often
    return next((name for name, field in fields.items() if field.is_required()), next(iter(fields)))


def is_key_among_names(model: type[BaseModel], location: Location) -> bool:
    """Tell whether what stands in place of a name of the user's choice is a key of what such a name has."""
    field = fields_at(model, location[:-1]).get(str(location[-1])) if location else None
    return field is not None and not models_in(field.annotation)


# What Prometheus's own exporters have in a file beside the settings.
_OF_WEB_CONFIG = frozenset({"tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"})
# What others have as keys of one section, a key that only this section has here, and what stands in their place.
_INSTEAD: tuple[tuple[frozenset[str], str, str], ...] = (
    (_OF_WEB_CONFIG, "config_file", "it belongs in the file that config_file names"),
    (_OF_WEB_CONFIG, "web", "it belongs in the file that web.config_file names"),
    # Of Prometheus's rules.
    (
        frozenset({"labels"}),
        "severity",
        "severity and team are keys of their own, and `alert_labels` of the settings are labels of all alerts",
    ),
    (frozenset({"annotations"}), "summary", "summary and description are keys of their own"),
)


def instead(model: type[BaseModel], location: Location) -> str:
    """Return what stands in place of a key that others have there, as the end of a message; empty for others."""
    *above, key = location
    names = fields_at(model, tuple(above))
    return next((f"; {said}" for keys, beside, said in _INSTEAD if key in keys and beside in names), "")


def other_name(model: type[BaseModel], location: Location) -> str:
    """Return the name of a key that others call so; empty where there is none."""
    *above, key = location
    names = fields_at(model, tuple(above))
    return next((name for name in _ALSO_CALLED.get(key, ()) if name in names), "")


def key_suggestion(model: type[BaseModel], location: Location) -> str:
    """Return which key may be meant by an unknown one."""
    *above, key = location
    names = list(fields_at(model, tuple(above)))
    if meant := next(
        (name for name in (other_name(model, location), str(key).removesuffix("_file")) if name in names), ""
    ):
        return f"; did you mean {meant}?{' It is given in this file itself' if str(key).endswith('_file') else ''}"
    return suggestion_or_all(str(key), names) if len(names) <= _FEW else suggestion(str(key), names)
