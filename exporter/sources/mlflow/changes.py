"""What a change tracker is: it finds what was written to a store since the last refresh.

Not every change shows in the row of its run: a metric or tag can be written to a run that ended long ago. Such changes
are looked for in passes, a slice of the store at each refresh; a pass takes half of the setting `reconcile`, so that
nothing stays hidden for longer than that. While nobody writes there are no passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ml_monitoring.exporter.sources.mlflow.reader import Pair
from ml_monitoring.exporter.sources.mlflow.run_cache import Run


@dataclass(frozen=True, slots=True)
class StoreChanges:
    """What changed in a store.

    Attributes:
        runs: Runs whose rows changed, as they are now; None for those that are gone.
        metrics: Runs whose metrics changed after they were read.
        best: Best values that may have changed.
        experiments: Experiments whose best values are to be compared with those in the store.
        registry: Whether anything may have changed in the model registry.
        problems: Whether other values than before cannot be used.
        replaced: Whether everything has to be read, because this may be another store; then nothing else is said.
    """

    runs: Mapping[str, Run | None] = field(default_factory=dict)
    metrics: frozenset[str] = frozenset()
    best: frozenset[Pair] = frozenset()
    experiments: frozenset[int] = frozenset()
    registry: bool = False
    problems: bool = False
    replaced: bool = False

    def __bool__(self) -> bool:
        """Tell whether anything changed for certain."""
        return bool(self.runs or self.metrics or self.best or self.problems)


class ChangeTracker(Protocol):
    """Tracks the changes of one store. Each refresh calls `advance` and then either `changes` or `restart`.

    Attributes:
        problems: Values that are not what their column is for.
    """

    problems: Sequence[str]

    @property
    def lost(self) -> bool:
        """Tell whether what was written since the last refresh cannot be found, and everything has to be read."""

    def advance(self) -> bool:
        """Look where the store stands; return whether anything may have been written since the last refresh."""

    def restart(self) -> None:
        """Begin from here, because everything was just read."""

    def changes(self) -> StoreChanges:
        """Find what was written since the last refresh, and what a slice of the store holds besides."""

    def note_metrics_read(self, runs: Iterable[str]) -> None:
        """Note that the metrics of these runs were read as they are now."""
