"""What is wrong with a setting in words for who wrote it, and what may be meant."""

from __future__ import annotations

import re
from typing import Any, get_args

from pydantic import BaseModel, RootModel
from pydantic.fields import FieldInfo

from ml_monitoring.exporter.suggestions import suggestion, suggestion_or_all
from ml_monitoring.exporter.values import NAME_PATTERN

Location = tuple[str | int, ...]

# One of the names that pydantic lists.
CHOICE = re.compile(r"'([^']+)'")
# The end of a message that names a key.
MEANT = re.compile(r"; did you mean (\S+)\?")
CHOICES = ("literal_error", "enum")
# So many keys are listed where none of them is close to what was given.
_FEW = 5
# Of addresses of mail servers, and paths below which something is served.
SMARTHOST_PATTERN = r"^\S+:\d+$"
PATH_PATTERN = r"^/[A-Za-z0-9._~/-]*$"
# Settings on the top level of files of each kind, for who gives one in place of the other.
EXPORTER_KEYS = frozenset({"web", "log", "sources", "prometheus", "alertmanager"})
ALERTING_KEYS = frozenset(
    {
        *("traffic", "business", "ab_test", "drift", "slos", "llm", "links", "components", "selectors", "services"),
        *("dashboards", "extensions", "teams", "alert_labels", "notifications", "keep_firing_for", "alerts"),
    }
)
# What is said of a setting that must be given and is not.
MISSING = "is missing"
MESSAGES = {
    "bool_parsing": "is neither true nor false",
    "float_parsing": "is no number",
    "int_parsing": "is no whole number",
    "dict_type": "must hold settings like `key: value`, on lines of their own below it",
    "missing": MISSING,
    "string_type": "must be a text, in quotes where it looks like something else",
    "union_tag_not_found": "lacks its kind",
}
PATTERNS = {
    NAME_PATTERN: "a name has letters, digits and _ only, and no digit first",
    SMARTHOST_PATTERN: "must be host:port, such as smtp.example.org:587",
    PATH_PATTERN: "must begin with a slash, and hold letters, digits and . _ ~ / - only",
}


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


def first_field(model: type[BaseModel], location: Location) -> str:
    """Return the name of what must stand below a location, or of what may."""
    fields = fields_at(model, location)
    return next((name for name, field in fields.items() if field.is_required()), next(iter(fields)))


def key_suggestion(model: type[BaseModel], location: Location) -> str:
    """Return which key may be meant by an unknown one."""
    *above, key = location
    names = list(fields_at(model, tuple(above)))
    return suggestion_or_all(str(key), names) if len(names) <= _FEW else suggestion(str(key), names)
