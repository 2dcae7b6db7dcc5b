"""Value types of settings: durations, name patterns, and the strict frozen base of every settings model."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema

from ml_monitoring.exporter import durations


def _duration(value: object) -> float:
    # A bare number has no unit, so it is refused like any other text, as Prometheus refuses it.
    return durations.parse_positive(str(value).strip())


def split_list(value: object) -> object:
    """Turn `a, b` into a list, so that lists can be given by environment variables."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


Duration = Annotated[
    float,
    BeforeValidator(_duration),
    PlainSerializer(durations.format_seconds, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": durations.PATTERN}),
]
# A list, or its items in one text.
NAMES_SCHEMA = {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]}
Names = Annotated[tuple[str, ...], BeforeValidator(split_list), WithJsonSchema(NAMES_SCHEMA)]


class Model(BaseModel):
    """Base of every settings model: unknown keys are refused, nothing can be changed afterwards."""

    # Input may hold a password, so messages never quote it.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Patterns(Model):
    """A choice of names by shell patterns (`*`, `?`, `[...]`), upper and lower case being different.

    Attributes:
        include: Names that count.
        exclude: Names that do not count although they are included.
    """

    include: Names = ("*",)
    exclude: Names = ()

    def matches(self, name: str) -> bool:
        """Tell whether a name is included and not excluded."""
        return matches_any(self.include, name) and not matches_any(self.exclude, name)


def matches_any(patterns: tuple[str, ...], name: str) -> bool:
    """Tell whether a name matches one of the shell patterns."""
    return any(pattern == "*" or fnmatchcase(name, pattern) for pattern in patterns)


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid on top, mapping by mapping."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
