"""The exception tree of the exporter.

- `MonitorError`
    - `ConfigError`: settings that cannot be used; carries every problem found, not just the first
        - `SettingError`: one of them, found when it is used
        - `UsageError`: options that cannot be, or do not fit each other, found by the command that they are given to
    - `CatalogError`: a family, label set or sample that the catalog does not allow: a defect in a source
    - `SourceError`: a source could not be read; carries the reason that is counted
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum


class MonitorError(Exception):
    """Base of every error that this project raises on purpose."""


class ConfigError(MonitorError):
    """Report settings that cannot be used.

    Attributes:
        problems: One line for each problem, each beginning with the dotted location of the setting.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@contextmanager
def collecting(problems: list[str]) -> Iterator[None]:
    """Add what cannot be used to other problems, and go on behind the block."""
    try:
        yield
    except ConfigError as error:
        problems += error.problems


class SettingError(ConfigError):
    """Report one setting that turns out to be unusable when it is used, so that its place can still be named.

    Attributes:
        location: The setting.
        message: What is wrong.
    """

    def __init__(self, location: tuple[str, ...], message: str) -> None:
        self.location = location
        self.message = message
        super().__init__([f"{'.'.join(location)}: {message}"])


class UsageError(ConfigError):
    """Report options that have values that cannot be, cannot be used together, or lack one: the exit code says so."""


class CatalogError(MonitorError):
    """Report a family, label set or sample that the catalog does not allow."""


class Reason(StrEnum):
    """Why a source could not be read: the closed set behind `ml_monitoring_source_errors_total{reason}`."""

    CONNECT = "connect"
    AUTH = "auth"
    TIMEOUT = "timeout"
    SCHEMA = "schema"
    QUERY = "query"
    READ = "read"
    INVALID_VALUE = "invalid_value"
    INTERNAL = "internal"


class SourceError(MonitorError):
    """Report that a source could not be read.

    Attributes:
        reason: What is counted in `ml_monitoring_source_errors_total`.
        hint: What the operator can do about it; empty when nothing better than the message is known.
        setting: The setting of the source that it is about, where that is known.
    """

    def __init__(self, reason: Reason, message: str, *, hint: str = "", setting: tuple[str, ...] = ()) -> None:
        self.reason = reason
        self.hint = hint
        self.setting = setting
        super().__init__(message)
