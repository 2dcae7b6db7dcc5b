"""Whether the views of variants that were posted together are split as they are meant to be.

What is meant is what weights declare. Without declared ones it is an even split, or what
`variant_suggested_traffic_ratio` said of late: a system that follows the suggestions is no mismatch. Both have to be
refuted then, so the p-value is the larger one of the two.

What counts are views since they were first looked at: what was suggested before nobody knows. Views that come in
batches, or for sticky users, are dealt with as in experiments (`SplitState`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from math import exp, inf, sqrt
from typing import Final

from ml_monitoring.exporter.inference import ArmCounts, Batch, SplitState, Sums
from ml_monitoring.exporter.inference.boundary import INDEPENDENT, log_e_value
from ml_monitoring.exporter.inference.replicates import Replicates

# Suggestions that are remembered of the time in which they are to be applied.
_REMEMBERED: Final = 60
# Batches of views below which nobody knows whether they come one by one.
_FEWEST_BATCHES: Final = 10


class PostedTogether:
    """The split of the views among some variants.

    Args:
        views: Of each variant now.
        now: Seconds since the epoch.
        weights: What is declared of each; nothing where nothing is.
    """

    def __init__(self, views: Mapping[str, float], now: float, weights: Mapping[str, float] | None = None) -> None:
        self._views, self._now = dict(views), now
        self._is_declared = bool(weights)
        weights = dict(weights or dict.fromkeys(views, 1.0))
        self._weights = weights
        self._declared = SplitState(tuple(views))
        whole = sum(weights.values())
        even = {name: weight / whole for name, weight in weights.items()}
        self._suggested: deque[tuple[float, Mapping[str, float]]] = deque([(now, even)])
        self._applied = 0.0
        self._batches = 0
        # The suggested shares are between two ends: those of the time in which they are to be applied.
        self._ends = {(name, sign): _End(sign) for name in views for sign in (1, -1)}

    def look(self, views: Mapping[str, float], now: float, applied: float) -> None:
        """Take in what was viewed since the last look.

        Args:
            views: Of each variant now.
            now: Seconds since the epoch.
            applied: Seconds within which suggestions are applied.
        """
        self._applied = applied
        new = {name: max(0.0, views[name] - before) for name, before in self._views.items()}
        total = sum(new.values())
        # What was in force at the begin of that time counts too.
        while len(self._suggested) > 1 and self._suggested[1][0] <= self._now - applied:
            self._suggested.popleft()
        if total > 0:
            self._batches += 1
            arms = {name: ArmCounts(Sums(count, 0.0)) for name, count in new.items()}
            self._declared.add(Batch(self._now, max(now, self._now), arms, self._weights))
            for (name, sign), end in self._ends.items():
                ends = [shares[name] for _moment, shares in self._suggested]
                end.add(new[name], total, max(ends) if sign > 0 else min(ends))
        self._views, self._now = dict(views), now

    def suggest(self, shares: Mapping[str, float]) -> None:
        """Note what is suggested from now on, in any scale; shares of other variants do not matter."""
        whole = sum(shares.get(name, 0.0) for name in self._views)
        if whole > 0:
            if len(self._suggested) > 1 and self._now - self._suggested[-2][0] < self._applied / _REMEMBERED:
                self._suggested.pop()
            self._suggested.append((self._now, {name: shares.get(name, 0.0) / whole for name in self._views}))

    @property
    def p_value(self) -> float | None:
        """Return the always-valid p-value of a split as declared or as suggested; None while too little was viewed."""
        declared = self._declared.report().p_value
        if declared is None or self._batches < _FEWEST_BATCHES:
            return None
        if self._is_declared:
            return declared
        strongest = max(end.evidence for end in self._ends.values())
        followed = min(1.0, len(self._ends) * exp(-min(strongest, 700.0)))
        return max(declared, followed)


class _End:
    """What a variant got beyond one end of its shares."""

    __slots__ = ("_beyond", "_replicates", "_sign", "_variance")

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._beyond = self._variance = 0.0
        self._replicates = Replicates()

    def add(self, seen: float, total: float, share: float) -> None:
        """Add a batch of views."""
        beyond, variance = self._sign * (seen - total * share), total * share * (1 - share)
        self._beyond += beyond
        self._variance += variance
        self._replicates.add(beyond, max(variance, 1e-9))

    @property
    def evidence(self) -> float:
        """Return the logarithm of the evidence that it got more than that."""
        if self._beyond <= 0:
            return 0.0
        if self._variance <= 0:
            return inf
        spread = self._replicates.spread(self._variance)
        found = [(1.0, INDEPENDENT)]
        if spread is not None and spread.variance > self._variance:
            found.append((spread.variance / self._variance, spread.freedom))
        z = self._beyond / sqrt(self._variance)
        information = self._variance / max(factor for factor, _freedom in found)
        return min(log_e_value(z / sqrt(factor), freedom, information) for factor, freedom in found)


def posted_together(posted: Mapping[str, float], together: float) -> Sequence[tuple[str, ...]]:
    """Return the groups of variants that were posted within so many seconds of the first one of the group."""
    groups: list[list[str]] = []
    start = -inf
    for name, moment in sorted(posted.items(), key=lambda item: (item[1], item[0])):
        if moment - start > together:
            groups.append([])
            start = moment
        groups[-1].append(name)
    return [tuple(sorted(group)) for group in groups if len(group) > 1]
