"""Value types of settings: durations, name patterns, and the strict frozen base of every settings model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Final, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from ml_monitoring.exporter import durations
from ml_monitoring.exporter.regular_files import describe_read_error, read_text


class PathUse(StrEnum):
    """What becomes of the file or folder that a setting names, so that `check` can try it: stands in `Annotated`."""

    READ = "read"
    WRITTEN_FILE = "written file"
    WRITTEN_FOLDER = "written folder"
    # Tried by what it belongs to.
    OWN = "own"


def _duration(value: object) -> float:
    return durations.parse_positive(str(durations.refuse_number(value)).strip())


def split_list(value: object) -> object:
    """Turn `a, b` into a list, so that lists can be given by environment variables.

    Raises:
        ValueError: It is a number or the like, where a text alone may stand, too.
    """
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, bool | int | float):
        raise ValueError(f"must be a text, in quotes: '{json.dumps(value)}'")  # noqa: TRY004  # pydantic reports only ValueError
    return value


# Of metrics, labels and columns.
NAME_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"

Duration = Annotated[
    float,
    BeforeValidator(_duration),
    PlainSerializer(durations.format_seconds, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": durations.PATTERN}),
]
# A list, or its items in one text.
NAMES_SCHEMA = {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]}
Names = Annotated[tuple[str, ...], BeforeValidator(split_list), WithJsonSchema(NAMES_SCHEMA)]


def valid_zone(value: str) -> str:
    """Return the text when it is the name of a time zone."""
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("not a time zone like UTC or Europe/Berlin") from None
    return value


Zone = Annotated[str, AfterValidator(valid_zone)]


def _problem_of_lines(text: str) -> str:
    """Return why a text is no address or secret, without any part of it; empty where it may be one."""
    return "holds more than one line, where the address or secret alone belongs" if "\n" in text else ""


def _one_line(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    # YAML's | leaves the end of the line behind.
    bare = text.strip("\r\n")
    if problem := _problem_of_lines(bare):
        raise ValueError(problem)
    return value if bare == text else SecretStr(bare)


OneLine = Annotated[SecretStr, AfterValidator(_one_line)]


def problem_of_token(token: str) -> str:
    """Return why a header cannot hold a token, without any part of it; empty where it can."""
    if re.fullmatch(r"[\x21-\x7e]+", token):
        return ""
    return "is no token: it is empty, or holds spaces, line breaks or letters that a header cannot hold"


def _valid_token(value: SecretStr) -> SecretStr:
    if problem := problem_of_token(value.get_secret_value()):
        raise ValueError(problem)
    return value


Token = Annotated[OneLine, AfterValidator(_valid_token)]


class FileSecret(SecretStr):
    """A secret that a file holds, which may be replaced while the exporter runs.

    Args:
        path: The file.

    Raises:
        ValueError: It cannot be read, or is not one line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        super().__init__(self.read_again())

    @property
    def path(self) -> Path:
        """Return the file."""
        return self._path

    def read_again(self) -> str:
        """Return what the file holds now.

        Raises:
            ValueError: It cannot be read, or is not one line.
        """
        text = read_secret(self._path)
        if problem := _problem_of_lines(text):
            raise ValueError(f"{self._path} {problem}")
        return text


def rereading(secret: SecretStr) -> Callable[[], str] | None:
    """Return what reads a secret again, None where it did not come from a file."""
    return secret.read_again if isinstance(secret, FileSecret) else None


_PLAIN_WORDS: Final = re.compile(r"(\.{0,2}/)*[A-Za-z_-]{1,30}([/.][A-Za-z_-]{1,30})*")


def read_secret(path: Path) -> str:
    """Return what a file of a secret holds; messages go behind the name of what gave the path.

    Raises:
        ValueError: It cannot be read.
    """
    if ":/" in str(path):
        raise ValueError("holds a URI, where the path of a file that holds it belongs")
    # What is no file may be the secret itself, unless it is of plain words.
    is_path = _PLAIN_WORDS.fullmatch(str(path)) or (path.is_absolute() and not re.search(r"[@=:\s]", str(path)))
    shown = str(path) if is_path else "what is given here, which is the path of a file that holds the secret,"
    try:
        return read_text(path).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{shown} cannot be read: {describe_read_error(error)}") from None


def _kinds(annotation: object) -> frozenset[object]:
    return frozenset(get_args(annotation) or (annotation,))


class Model(BaseModel):
    """Base of every settings model: unknown keys are refused, nothing can be changed afterwards."""

    # Input may hold a password, so messages never quote it.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _is_of_its_kind(cls, value: object, info: ValidationInfo) -> object:
        """Refuse what pydantic takes for a number or a path, although it is none."""
        kinds = _kinds(cls.model_fields[str(info.field_name)].annotation)
        if isinstance(value, bool) and kinds & {int, float} and bool not in kinds:
            raise ValueError(f"{json.dumps(value)} is no number")  # pydantic reports only ValueError
        if value == "" and Path in kinds:
            raise ValueError("is empty: give a path, or delete the key")
        return value


def refuse(problems: Iterable[str]) -> None:
    """Refuse settings that do not fit each other, for a validator of a model: each problem is reported by itself.

    Raises:
        ValueError: There are problems.
    """
    if found := list(problems):
        raise ValueError("\n".join(found))


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
