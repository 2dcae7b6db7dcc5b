"""Increments of counters: exact, series by series, across restarts, gaps and redeployments.

Prometheus's own `increase()` extrapolates, and does not count what a series begins with: a share of rare events comes
out too small, the more so the more often a service is deployed. Here each series is followed from sample to sample.

- A value below the one before is a restart: it counts as a whole.
- A series that appears while its target (the process that is scraped) is known begins at 0: it counts as a whole.
- A target that appears may have counted for months: its first values count nothing, in all of its series alike, so that
  no share is distorted.
- After a gap the difference to the last value counts, in the batch in which the series is back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ml_monitoring.exporter.sources.experiments.history import Counter

# Labels that tell one process that is scraped from another.
_OF_TARGET: Final = ("cluster", "namespace", "job", "instance", "pod", "container")
# Where a server scrapes another one, its own labels stand before those of the process.
_TARGET: Final = (*_OF_TARGET, *(f"exported_{label}" for label in _OF_TARGET))
# What people call it.
_REPLICA: Final = ("exported_pod", "exported_instance", "pod", "instance")
# A target that has been gone for so many seconds is forgotten.
_FORGOTTEN: Final = 86_400.0
MOST_SERIES: Final = 200_000


class SeriesKey(NamedTuple):
    """One series, and what its increments count for."""

    counter: Counter
    target: int
    series: int

    @classmethod
    def of(cls, what: str, labels: Mapping[str, str], arm_label: str, cell_label: str) -> SeriesKey:
        """Take them from a series' labels."""
        target = "\0".join(f"{label}\0{labels[label]}" for label in _TARGET if label in labels)
        series = "\0".join((what, *(f"{label}\0{value}" for label, value in sorted(labels.items()))))
        replica = next((labels[label] for label in _REPLICA if label in labels), "")
        counter = Counter(what, labels.get(arm_label, ""), labels.get(cell_label, ""), replica)
        return cls(counter, _digest(target), _digest(series))


@dataclass(slots=True)
class Target:
    """A process that is scraped.

    Attributes:
        seen: When it was last seen.
        values: The last value of each of its series.
    """

    seen: float
    values: dict[int, float] = field(default_factory=dict)


class Counters:
    """Follows the counters of one experiment.

    Attributes:
        targets: What was seen so far.
    """

    def __init__(self, targets: dict[int, Target] | None = None) -> None:
        self.targets = targets or {}

    @property
    def series(self) -> int:
        """Return how many series are followed."""
        return sum(len(target.values) for target in self.targets.values())

    def begin(self, values: Iterable[tuple[SeriesKey, float]], moment: float) -> None:
        """Take values that count nothing."""
        for key, value in values:
            target = self.targets.setdefault(key.target, Target(moment))
            target.values[key.series] = value

    def knows(self, key: SeriesKey) -> bool:
        """Tell whether a series' target was seen."""
        return key.target in self.targets

    def take(self, values: Iterable[tuple[SeriesKey, float]], moment: float) -> dict[Counter, float]:
        """Return the increments up to the last values of a batch in which nothing restarted, and no target is new."""
        return self.follow(((key, [(moment, value)]) for key, value in values), moment)

    def follow(
        self, series: Iterable[tuple[SeriesKey, list[tuple[float, float]]]], moment: float
    ) -> dict[Counter, float]:
        """Return the increments over all samples of a batch.

        Args:
            series: The batch's samples of each series, in the order of their times.
            moment: When the batch ends.
        """
        listed = [(key, samples) for key, samples in series if samples]
        # A target that appears begins with the first sample of any of its series.
        begun: dict[int, float] = {}
        for key, samples in listed:
            if key.target not in self.targets:
                begun[key.target] = min(begun.get(key.target, samples[0][0]), samples[0][0])
        increments: dict[Counter, float] = {}
        for key, samples in listed:
            target = self.targets.setdefault(key.target, Target(moment))
            target.seen = moment
            before = target.values.get(key.series)
            if before is None:
                before = samples[0][1] if begun.get(key.target) == samples[0][0] else 0.0
            total = 0.0
            for _moment, value in samples:
                total += value - before if value >= before else value
                before = value
            target.values[key.series] = before
            increments[key.counter] = increments.get(key.counter, 0.0) + total
        return increments

    def forget(self, moment: float) -> None:
        """Forget targets that have been gone for a day."""
        gone = [key for key, target in self.targets.items() if moment - target.seen > _FORGOTTEN]
        for key in gone:
            del self.targets[key]


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
