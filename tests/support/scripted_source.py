"""A source that does what a test says, for tests of what runs sources."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from ml_monitoring.exporter.clock import SystemClock
from ml_monitoring.exporter.errors import SourceError
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.base import Source, SourceSettings


class ScriptedSource(Source):
    """Calls `collecting` of its class at each refresh; notes what is done to it, and when."""

    name: ClassVar[str] = "mlflow"
    Settings: ClassVar[type[SourceSettings]] = SourceSettings
    collecting: ClassVar[Callable[[FamilySet], None]]
    clock: ClassVar[SystemClock] = SystemClock()
    limit: ClassVar[tuple[str, float] | None] = None
    created: ClassVar[list[ScriptedSource]] = []

    def __init__(self, settings: SourceSettings) -> None:
        self.settings = settings
        self.refreshes: list[float] = []
        self.aborted = self.clock.event()
        self.closed = False
        self.wake: Callable[[], None] | None = None
        self.created.append(self)

    def start(self, wake: Callable[[], None]) -> None:
        self.wake = wake

    def collect(self) -> FamilySet:
        self.refreshes.append(self.clock.monotonic())
        families = FamilySet("mlflow", max_series=self.settings.max_series)
        type(self).collecting(families)
        return families

    @property
    def time_limit(self) -> tuple[str, float] | None:
        return self.limit

    def check(self) -> str:
        return "fine"

    def abort(self) -> None:
        self.aborted.set()

    def close(self) -> None:
        self.closed = True


def scripted(
    name: str, collecting: Callable[[FamilySet], None], clock: SystemClock = ScriptedSource.clock
) -> type[ScriptedSource]:
    """Return a kind of source of this name; `created` of it lists its instances."""
    return type(
        f"{name.title()}Source",
        (ScriptedSource,),
        {"name": name, "collecting": staticmethod(collecting), "created": [], "clock": clock},
    )


def failing(error: SourceError | Exception) -> Callable[[FamilySet], None]:
    """Return a script that raises."""

    def collecting(_families: FamilySet) -> None:
        raise error

    return collecting
