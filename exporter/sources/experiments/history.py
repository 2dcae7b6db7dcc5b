"""What was counted of one experiment since its start: totals, and what the inference keeps of each batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

# What is counted (a selector, or a column of SQL), and in which arm.
Counted = tuple[str, str]


class Counter(NamedTuple):
    """What an increment counts for.

    Attributes:
        what: A selector, or a column of SQL.
        arm: Of the experiment.
        cell: Of the units; empty where there are none.
        replica: Process that counted; empty where it is not known.
    """

    what: str
    arm: str
    cell: str = ""
    replica: str = ""


Increments = Mapping[Counter, float]


@dataclass(slots=True)
class BatchHistory:
    """Batches that are complete, one after the other without a gap.

    Attributes:
        start: When the first one begins, seconds since the epoch.
        step: Seconds of each.
        batches: How many there are.
        totals: What was counted in all of them.
        first: Index of the first batch in which anything was counted; -1 before.
        last: Index of the last one.
    """

    start: float
    step: float
    batches: int = 0
    totals: dict[Counted, float] = field(default_factory=dict)
    first: int = -1
    last: int = -1

    @property
    def end(self) -> float:
        """Return until when everything is counted."""
        return self.start + self.batches * self.step

    @property
    def exposed(self) -> float | None:
        """Return the end of the last batch in which anything was counted."""
        return self.start + (self.last + 1) * self.step if self.last >= 0 else None

    def append(self, increments: Increments) -> None:
        """Add the next batch."""
        for counter, amount in increments.items():
            counted = (counter.what, counter.arm)
            self.totals[counted] = self.totals.get(counted, 0.0) + amount
            if amount > 0:
                self.first = self.batches if self.first < 0 else self.first
                self.last = self.batches
        self.batches += 1

    def total(self, what: str, arm: str) -> float:
        """Return what was counted altogether."""
        return self.totals.get((what, arm), 0.0)
