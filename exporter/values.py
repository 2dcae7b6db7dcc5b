"""Value types of settings: durations, name patterns, and the strict frozen base of every settings model."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_DURATION = re.compile(r"(?:(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|s|m|h|d|w))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def parse_duration(value: object) -> object:
    """Turn `90s`, `1m30s` or `1.5h` into seconds; anything else is left for pydantic to judge.

    Raises:
        ValueError: The text is not a duration.
    """
    if not isinstance(value, str):
        return value
    text = value.strip()
    if _DURATION.fullmatch(text):
        return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(text))
    try:
        return float(text)
    except ValueError:
        raise ValueError("not a duration; write it like 15s, 5m or 1h30m") from None


def split_list(value: object) -> object:
    """Turn `a, b` into a list, so that lists can be given by environment variables."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


Duration = Annotated[float, BeforeValidator(parse_duration), Field(gt=0, allow_inf_nan=False)]
Names = Annotated[tuple[str, ...], BeforeValidator(split_list)]


class Model(BaseModel):
    """Base of every settings model: unknown keys are refused, nothing can be changed afterwards."""

    # Input may hold a password, so messages never quote it.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Patterns(Model):
    """A choice of names by shell patterns (`*`, `?`, `[...]`), upper and lower case told apart."""

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
