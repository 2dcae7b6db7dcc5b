"""One metric of one experiment: what was read so far, in a state of bounded size, and the lift of each arm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ml_monitoring.exporter.inference.batches import ArmCounts, Batch, Sums
from ml_monitoring.exporter.inference.comparison import Comparison
from ml_monitoring.exporter.inference.lift import EffectKind, Lift

# A block of n observations costs one of them, so that 40 lose a fortieth.
_FEWEST_TRIALS: Final = 20
_LONGEST_BLOCK: Final = 86400.0


@dataclass(frozen=True, slots=True)
class MetricDesign:
    """What is measured of whom.

    Attributes:
        kind: What each observation is.
        arms: All of them.
        baseline: The arm that the others are compared with.
        randomised: What is given an arm: `request`, or a unit such as `user` or `session` that makes many.
        counted: What the trials are.
    """

    kind: EffectKind
    arms: tuple[str, ...]
    baseline: str
    randomised: str = "request"
    counted: str = "request"

    def __post_init__(self) -> None:
        if self.baseline not in self.arms:
            raise ValueError(f"the baseline {self.baseline!r} is none of the arms {', '.join(self.arms)}")
        if len(set(self.arms)) != len(self.arms) or len(self.arms) < 2:
            raise ValueError(f"at least two different arms are needed, not {', '.join(self.arms)}")

    @property
    def challengers(self) -> tuple[str, ...]:
        """Return the arms other than the baseline."""
        return tuple(arm for arm in self.arms if arm != self.baseline)


class PendingBlock:
    """Adds batches up until there are enough observations to compare within."""

    __slots__ = ("arms", "end", "shares", "start")

    def __init__(self, batch: Batch) -> None:
        self.start = batch.start
        self.end = batch.end
        self.arms = dict(batch.arms)
        self.shares = batch.shares

    def takes(self, batch: Batch) -> bool:
        """Return whether the batch may be added: same arms, same allocation, not too long."""
        return (
            batch.arms.keys() == self.arms.keys()
            and batch.shares == self.shares
            and batch.end - self.start <= _LONGEST_BLOCK
        )

    def add(self, batch: Batch) -> None:
        """Add a batch."""
        self.end = max(self.end, batch.end)
        for name, counts in batch.arms.items():
            self.arms[name] = added(self.arms[name], counts)

    @property
    def full(self) -> bool:
        """Return whether there are enough observations."""
        return sum(counts.sums.trials for counts in self.arms.values()) >= _FEWEST_TRIALS * len(self.arms)

    def dump(self) -> dict[str, Any]:
        """Return what `load` takes back, for JSON."""
        return {
            "start": self.start,
            "end": self.end,
            "shares": self.shares,
            "arms": {name: [counts.sums, counts.cells, counts.replicas] for name, counts in self.arms.items()},
        }

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> PendingBlock:
        """Return what was dumped."""
        arms = {}
        for name, (sums, cells, replicas) in dumped["arms"].items():
            arms[name] = ArmCounts(
                Sums(*sums),
                {key: Sums(*value) for key, value in cells.items()},
                {key: Sums(*value) for key, value in replicas.items()},
            )
        return cls(Batch(dumped["start"], dumped["end"], arms, dumped["shares"]))


class MetricState:
    """What is known of one metric.

    Batches come in time order. One that begins before the last one ended (late rows, a batch that is read again in two
    parts) is added to the block that is open.

    Args:
        design: What is measured.
    """

    def __init__(self, design: MetricDesign) -> None:
        self.design = design
        self.batches = 0
        self._comparisons = {arm: Comparison(design.kind) for arm in design.challengers}
        self._pending: PendingBlock | None = None
        self._totals = dict.fromkeys(design.arms, (0.0, 0.0))

    def add(self, batch: Batch) -> None:
        """Add a batch.

        Raises:
            ValueError: It names an arm that the design has not, or has counts that cannot be.
        """
        for name, counts in batch.arms.items():
            _check(name, counts.sums, self._totals)
            trials, total = self._totals[name]
            self._totals[name] = trials + counts.sums.trials, total + counts.sums.total
        self.batches += 1
        if self._pending is not None and not self._pending.takes(batch):
            self._close()
        if self._pending is None:
            self._pending = PendingBlock(batch)
        else:
            self._pending.add(batch)
        if self._pending.full:
            self._close()

    def _close(self) -> None:
        """Compare the arms of the open block."""
        block, self._pending = self._pending, None
        if block is None or self.design.baseline not in block.arms:
            return
        baseline = block.arms[self.design.baseline]
        for arm, comparison in self._comparisons.items():
            if arm in block.arms:
                comparison.add(block.arms[arm], baseline, block.end - block.start)

    def lift(self, arm: str, alpha: float) -> Lift | None:
        """Return the lift of an arm over the baseline; None while there is nothing to compare.

        Args:
            arm: Any but the baseline.
            alpha: Probability that the interval misses the truth at any time.
        """
        return self._comparisons[arm].lift(alpha)

    def totals(self, arm: str) -> Sums:
        """Return all that was read of an arm, compared or not."""
        return Sums(*self._totals[arm])

    def unanswerable(self) -> str:
        """Return why this data cannot answer the question, in words; empty when it can."""
        design = self.design
        if design.randomised in ("request", design.counted):
            return ""
        if any(comparison.has_cells for comparison in self._comparisons.values()):
            return ""
        return (
            f"{design.randomised}s are randomised, but only {design.counted}s are counted: "
            f"add `unit=` to the recorder, or count {design.randomised}s"
        )

    def dump(self) -> dict[str, Any]:
        """Return what `load` takes back, for JSON."""
        pending = self._pending
        return {
            "batches": self.batches,
            "totals": self._totals,
            "comparisons": {arm: comparison.dump() for arm, comparison in self._comparisons.items()},
            "pending": None if pending is None else pending.dump(),
        }

    @classmethod
    def load(cls, design: MetricDesign, dumped: Mapping[str, Any]) -> MetricState:
        """Return what was dumped."""
        loaded = cls(design)
        loaded.batches = int(dumped["batches"])
        loaded._totals = {arm: (float(n), float(s)) for arm, (n, s) in dumped["totals"].items()}
        loaded._comparisons = {arm: Comparison.load(design.kind, part) for arm, part in dumped["comparisons"].items()}
        if dumped["pending"] is not None:
            loaded._pending = PendingBlock.load(dumped["pending"])
        return loaded


def added(one: ArmCounts, other: ArmCounts) -> ArmCounts:
    """Return the sum of both."""
    return ArmCounts(
        _plus(one.sums, other.sums), _merged(one.cells, other.cells), _merged(one.replicas, other.replicas)
    )


def _plus(one: Sums, other: Sums) -> Sums:
    squares = None
    if one.squares is not None and other.squares is not None:
        squares = one.squares + other.squares
    # No squares of nothing are none missing.
    elif not one.trials or not other.trials:
        squares = other.squares if not one.trials else one.squares
    return Sums(one.trials + other.trials, one.total + other.total, squares)


def _merged(one: Mapping[str, Sums], other: Mapping[str, Sums]) -> Mapping[str, Sums]:
    if not other or not one:
        return one or other
    merged = dict(one)
    for key, sums in other.items():
        merged[key] = _plus(merged[key], sums) if key in merged else sums
    return merged


def _check(name: str, sums: Sums, arms: Iterable[str]) -> None:
    if name not in arms:
        raise ValueError(f"the arm {name!r} is none of the experiment's")
    # Also refuses NaN.
    if not 0 <= sums.trials < float("inf") or not abs(sums.total) < float("inf"):
        raise ValueError(f"arm {name!r}: {sums.total} in {sums.trials} trials")
