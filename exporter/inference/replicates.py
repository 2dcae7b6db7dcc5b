"""Sums of replicates, from whose spread the variance of their total follows, whatever made them vary.

A replicate is what one block of time, one cell of users or one process contributed: a difference d, and x, what that
difference would be in proportion to if the effect were the same everywhere. The variance of the total is the sum of
(d - effect x)^2 over replicates that are independent of each other.

- W. Cochran, Sampling Techniques, 3rd edition, 1977, sections 6 and 9: ratio estimates, and clusters.
- A. Deng, U. Knoblich, J. Lu, "Applying the delta method in metric analytics", KDD 2018.
- F. Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics Bulletin 2, 1946.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# Replicates of equal size that say as much; below that it is as good as a single one.
_FEWEST = 1.2
# Standard deviations beyond which a skewness is none of chance.
_SUSPICION = 2.0
# Some thirty days of blocks of a minute.
_MOST_LEVELS = 16


@dataclass(frozen=True, slots=True)
class SpreadEstimate:
    """A variance that was estimated.

    Attributes:
        variance: Of the total.
        freedom: Degrees of freedom that the estimate has; few where single replicates dominate.
        skewness: Of the total; 0 unless the replicates show one beyond chance.
        normal_freedom: Degrees of freedom if the replicates were normal.
    """

    variance: float
    freedom: float
    skewness: float = 0.0
    normal_freedom: float = 0.0


class Replicates:
    """Power sums of replicates (d, x): a fixed number of figures, however many are added."""

    __slots__ = ("_sums",)

    def __init__(self, sums: Sequence[float] = (0.0,) * 15) -> None:
        self._sums = array("d", sums)

    def add(self, d: float, x: float) -> None:
        """Add one replicate."""
        sums, dd, dx, xx = self._sums, d * d, d * x, x * x
        sums[0] += 1
        sums[1] += d
        sums[2] += x
        sums[3] += dd
        sums[4] += dx
        sums[5] += xx
        sums[6] += dd * dd
        sums[7] += dd * dx
        sums[8] += dd * xx
        sums[9] += dx * xx
        sums[10] += xx * xx
        sums[11] += dd * d
        sums[12] += dd * x
        sums[13] += d * xx
        sums[14] += xx * x

    def with_one(self, d: float, x: float) -> Replicates:
        """Return a copy with one replicate more."""
        copied = Replicates(self._sums)
        copied.add(d, x)
        return copied

    def spread(self, known: float = 0.0) -> SpreadEstimate | None:
        """Return the variance of the total of d, the effect being its ratio to that of x; None for fewer than two.

        Args:
            known: What the variance would be of independent observations. A replicate that stands out from others that
                vary less than that takes no degrees of freedom away.
        """
        _, d, x, dd, dx, xx, d4, d3x, d2x2, dx3, x4, d3, d2x, dx2, x3 = self._sums
        if x <= 0 or xx <= 0:
            return None
        size = x * x / xx
        if size < _FEWEST:
            return None
        effect = d / x
        squares = dd - 2 * effect * dx + effect * effect * xx
        fourth = d4 - 4 * effect * d3x + 6 * effect**2 * d2x2 - 4 * effect**3 * dx3 + effect**4 * x4
        if squares <= 0 or fourth <= 0:
            return SpreadEstimate(0.0, max(1.0, size - 1), 0.0, size - 1)
        freedom = max(1.0, min(size - 1, 3 * max(squares, known) ** 2 / fourth - 1))
        third = d3 - 3 * effect * d2x + 3 * effect**2 * dx2 - effect**3 * x3
        skewness = third / squares**1.5
        # Of so many normal replicates the skewness of the total would have a variance of 6 / size squared.
        significant = skewness * skewness * size * size > _SUSPICION**2 * 6
        return SpreadEstimate(squares * size / (size - 1), freedom, skewness if significant else 0.0, size - 1)

    def dump(self) -> list[float]:
        """Return the sums, which the constructor takes back."""
        return list(self._sums)


class Levels:
    """Replicates of time on every scale: single blocks, pairs of them, pairs of pairs and so on.

    Chance alone spreads pairs twice as much as single blocks. What lasts for an hour, such as a process that fails,
    spreads blocks of an hour far more.
    """

    __slots__ = ("_levels", "_waiting")

    def __init__(self) -> None:
        self._levels: list[Replicates] = []
        self._waiting: list[tuple[float, float] | None] = []

    def add(self, d: float, x: float) -> None:
        """Add one block."""
        for level in range(_MOST_LEVELS):
            if level == len(self._levels):
                self._levels.append(Replicates())
                self._waiting.append(None)
            self._levels[level].add(d, x)
            other = self._waiting[level]
            if other is None:
                self._waiting[level] = (d, x)
                return
            self._waiting[level] = None
            d, x = d + other[0], x + other[1]

    def __iter__(self) -> Iterator[Replicates]:
        """Yield each scale's replicates, the last one, which is not full yet, included."""
        d = x = 0.0
        for level, replicates in enumerate(self._levels):
            yield replicates.with_one(d, x) if x > 0 else replicates
            waiting = self._waiting[level]
            if waiting is not None:
                d, x = d + waiting[0], x + waiting[1]

    def dump(self) -> list[object]:
        """Return what `load` takes back."""
        return [[level.dump(), waiting] for level, waiting in zip(self._levels, self._waiting, strict=True)]

    @classmethod
    def load(cls, dumped: Sequence[Sequence[Sequence[float] | None]]) -> Levels:
        """Return what was dumped."""
        levels = cls()
        for sums, waiting in dumped:
            levels._levels.append(Replicates(sums or ()))
            levels._waiting.append((waiting[0], waiting[1]) if waiting else None)
        return levels


class Clusters:
    """Replicates that go on growing: what each cell of users, or each process, of one arm contributed so far."""

    __slots__ = ("_most", "_totals")

    def __init__(self, most: int) -> None:
        self._most = most
        self._totals: dict[str, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._totals)

    def add(self, key: str, d: float, x: float) -> None:
        """Add to a cluster; those beyond the most that are kept are one."""
        if key not in self._totals and len(self._totals) >= self._most:
            key = ""
        old = self._totals.get(key, (0.0, 0.0))
        self._totals[key] = (old[0] + d, old[1] + x)

    def residuals(self, effect: float) -> list[tuple[str, float, float]]:
        """Return each cluster's contribution beyond the effect, and its x."""
        return [(key, d - effect * x, x) for key, (d, x) in self._totals.items()]

    def dump(self) -> dict[str, tuple[float, float]]:
        """Return what `load` takes back."""
        return dict(self._totals)

    @classmethod
    def load(cls, most: int, dumped: dict[str, Sequence[float]]) -> Clusters:
        """Return what was dumped."""
        clusters = cls(most)
        clusters._totals = {key: (d, x) for key, (d, x) in dumped.items()}
        return clusters


def clusters_spread(
    residuals: Sequence[Sequence[tuple[str, float, float]]], known: float = 0.0
) -> SpreadEstimate | None:
    """Return the variance of the total over groups of clusters, each of them centred on its own; None without two.

    Args:
        residuals: What each cluster of each group contributed, as `Clusters.residuals` says it.
        known: As that of `Replicates.spread`.
    """
    variance = squares = fourth = freedom = 0.0
    for group in residuals:
        x, xx = sum(abs(item[2]) for item in group), sum(item[2] ** 2 for item in group)
        size = x * x / xx if xx else 0.0
        if size < _FEWEST:
            return None
        mean = sum(item[1] for item in group) / x
        rest = [item[1] - mean * abs(item[2]) for item in group]
        own = sum(value**2 for value in rest)
        variance += own * size / (size - 1)
        squares += own
        fourth += sum(value**4 for value in rest)
        freedom += size - 1
    if fourth <= 0:
        return SpreadEstimate(variance, max(freedom, 1.0)) if freedom else None
    return SpreadEstimate(variance, max(1.0, min(freedom, 3 * max(squares, known) ** 2 / fourth - 1)))
