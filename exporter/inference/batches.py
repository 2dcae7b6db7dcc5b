"""What the inference is given: sums of each arm in each batch of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Sums(NamedTuple):
    """Sums of observations.

    Attributes:
        trials: Number of observations, or what a rate is per (seconds, requests).
        total: Sum of their values: successes, events, seconds.
        squares: Sum of the squared values. Needed for means only; None where the source has none, such as a histogram.
    """

    trials: float
    total: float
    squares: float | None = None


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """What one arm counted in one batch.

    Attributes:
        sums: All of it.
        cells: The same by cell of users, where the recorder counts by cell (`unit=`); keys are the cells' labels.
        replicas: The same by process (pod, instance), where known: what only one of them does is no effect of the arm.
    """

    sums: Sums
    cells: Mapping[str, Sums] = field(default_factory=dict)
    replicas: Mapping[str, Sums] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Batch:
    """What all arms counted in one stretch of time.

    Arms are compared within batches, so that neither rates that drift nor changes of the allocation are taken for a
    difference. A batch may be long where there is little traffic, and must not reach over a change of the allocation.

    Attributes:
        start: Seconds since the epoch.
        end: The same.
        arms: By name; an arm that is missing was not running, one that runs without traffic has zeros.
        shares: Intended shares of the arms at that time, in any scale, where they are known.
    """

    start: float
    end: float
    arms: Mapping[str, ArmCounts]
    shares: Mapping[str, float] | None = None
