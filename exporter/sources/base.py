"""What a source is.

A source reads one system and returns metric families. It raises `SourceError`; it never logs, retries or sleeps: the
runner does that, the same way for all. Each refresh builds fresh families, so that what is gone from the system is
gone from the output; a source that knows that nothing changed returns the very same set, which is not rendered again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Final

from pydantic import AfterValidator, Field, SecretStr

from ml_monitoring.exporter.database import connect
from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.settings_hints import Location
from ml_monitoring.exporter.values import Duration, Model, OneLine, Patterns, matches_any

# So many names, of so many letters, show what patterns could match.
_SHOWN_NAMES: Final = 5
_SHOWN_LENGTH: Final = 60


def _of_a_database(value: SecretStr) -> SecretStr:
    connect(value.get_secret_value(), timeout=1.0)
    return value


# The URI of any database that can be read; nothing is opened to check it.
DatabaseAddress = Annotated[OneLine, AfterValidator(_of_a_database)]


class SourceSettings(Model):
    """Settings that every source has.

    Attributes:
        interval: Time between two refreshes.
        timeout: After this long a refresh is broken off and counted as failed.
        staleness: A source that has failed for this long has its series withdrawn; default five intervals.
        max_series: Cap on the series of each family.
    """

    interval: Duration = 15.0
    timeout: Duration = 10.0
    staleness: Duration | None = None
    max_series: Annotated[int, Field(ge=1)] = 10_000

    @property
    def staleness_limit(self) -> float:
        """Return the staleness limit in seconds."""
        return 5 * self.interval if self.staleness is None else self.staleness

    @property
    def first_limit(self) -> float:
        """Return how many seconds the first refresh may take."""
        return self.timeout

    def conflicts(self, sections: Mapping[str, SourceSettings]) -> Iterator[tuple[Location, str]]:  # noqa: ARG002  # most stand alone
        """Yield where these settings do not fit those of other sources, and what is wrong.

        Args:
            sections: The settings of all sources by their names, these included.
        """
        yield from ()

    def completed(self, sections: Mapping[str, SourceSettings]) -> SourceSettings:  # noqa: ARG002  # most stand alone
        """Return these settings with what they take from those of other sources, which they do not contradict."""
        return self


def require_match(setting: str, patterns: Patterns, names: Collection[str], what: str) -> None:
    """Refuse, for `check`, patterns that choose nothing of what there is.

    Args:
        setting: The patterns, as they are called below the source.
        patterns: What is to be exposed.
        names: What there is; where there is nothing yet, nothing is wrong.
        what: What the names are of, such as `experiments`.

    Raises:
        SourceError: None of the names is chosen.
    """
    if names and not any(map(patterns.matches, names)):
        shown = ", ".join(name[:_SHOWN_LENGTH] for name in sorted(names)[:_SHOWN_NAMES])
        more = ", ..." if len(names) > _SHOWN_NAMES else ""
        said = f"0 of {len(names)} {what} match include and exclude"
        raise SourceError(Reason.INVALID_VALUE, said, hint=f"there are: {shown}{more}", setting=(setting,))


def describe_match(patterns: Patterns, names: Collection[str], what: str) -> str:
    """Return, for `check`, how many names patterns choose, and which of them match none; nothing without patterns."""
    if patterns.include == ("*",) and not patterns.exclude:
        return ""
    said = f"; {sum(map(patterns.matches, names))} of {len(names)} active {what} by include and exclude"
    idle = [
        f"{pattern!r} of {key} matches none"
        for key, given in (("include", patterns.include), ("exclude", patterns.exclude))
        for pattern in given
        if not any(matches_any((pattern,), name) for name in names)
    ]
    return ", ".join([said, *idle])


class Source(ABC):
    """One system that is read.

    `collect` runs on a thread of its own; `abort` may be called from another thread at any time.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[SourceSettings]]
    # Whether there can be any number, each with a name of its own that is no store's.
    are_named: ClassVar[bool] = False

    @abstractmethod
    def __init__(self, settings: Any) -> None:
        """Prepare; must not touch the system."""

    @abstractmethod
    def collect(self) -> FamilySet:
        """Read the system once.

        Raises:
            SourceError: It could not be read; nothing of this refresh is used.
        """

    @abstractmethod
    def check(self) -> str:
        """Try the system and describe in a few words what was found.

        Raises:
            SourceError: It could not be read.
        """

    def start(self, wake: Callable[[], None]) -> None:  # noqa: B027  # most sources have nothing to listen to
        """Begin to listen for changes; `wake` asks the runner for a refresh before the interval is over."""

    def reset(self) -> bool:
        """Begin again as if for the first time, soon; may be called from any thread.

        Returns:
            False when the source has no beginning to go back to.
        """
        return False

    @property
    def time_limit(self) -> tuple[str, float] | None:
        """Return the setting that limits the refresh under way, and its seconds; None means `timeout`."""
        return None

    def abort(self) -> None:  # noqa: B027  # a source that cannot block has nothing to break off
        """Break off a `collect` that takes too long."""

    def close(self) -> None:  # noqa: B027  # a source that holds nothing open has nothing to close
        """Give back connections and files."""
