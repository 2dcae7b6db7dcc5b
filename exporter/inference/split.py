"""Whether traffic was split as intended: a test that holds at every look, while the intended shares change.

Each arm's count in a block less what its share at that time would have given it is a sum like any other here; its
variance comes from where it is largest, so that sticky users, batches of rows and retries are not taken for a mismatch.

- M. Lindon, A. Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022.
- A. Fabijan et al., "Diagnosing sample ratio mismatch in online controlled experiments", KDD 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Any, Final

from ml_monitoring.exporter.inference.batches import Batch
from ml_monitoring.exporter.inference.boundary import INDEPENDENT, PER_UNKNOWN, excess, log_e_value
from ml_monitoring.exporter.inference.metric import PendingBlock
from ml_monitoring.exporter.inference.replicates import Clusters, Levels, clusters_spread

_SUSPICION: Final = 3.0
_LONGEST: Final = 1.5 * 86400
_SMALLEST: Final = 1e-9
_MOST_CELLS: Final = 1024


@dataclass(frozen=True, slots=True)
class SplitReport:
    """How traffic was split.

    Attributes:
        p_value: Always-valid p-value of "as intended"; None where the data cannot say.
        observed: Share of each arm that was seen.
        intended: Share of each arm that was intended, over the same time.
        worst: The arm that differs most.
        factor: How many times as large as chance the variance of the counts is.
        reason: Why there is no p-value, in words.
    """

    p_value: float | None
    observed: Mapping[str, float]
    intended: Mapping[str, float]
    worst: str
    factor: float
    reason: str = ""


class SplitState:
    """Counts of exposures against intended shares.

    Args:
        arms: All of them.
        randomised: What is given an arm: `request`, `user`, `session`.
        counted: What exposures are: the same, when each unit is counted once.
    """

    def __init__(self, arms: tuple[str, ...], randomised: str = "request", counted: str = "request") -> None:
        self.arms = arms
        self._randomised, self._counted = randomised, counted
        self._sides = {arm: _SplitSide() for arm in arms}
        self._pending: PendingBlock | None = None
        self._without_shares = 0

    def add(self, batch: Batch) -> None:
        """Add the exposures of a batch, which are the trials of its arms; batches without shares are left out."""
        if not batch.shares:
            # Before any arm has begun there are none to know.
            self._without_shares += batch.shares is None
            return
        if self._pending is not None and not self._pending.takes(batch):
            self._close()
        if self._pending is None:
            self._pending = PendingBlock(batch)
        else:
            self._pending.add(batch)
        if self._pending.full:
            self._close()

    def _close(self) -> None:
        block, self._pending = self._pending, None
        if block is None or not block.shares:
            return
        shares = {arm: share for arm, share in block.shares.items() if share > 0 and arm in self._sides}
        whole = sum(shares.values())
        counts = {arm: block.arms[arm] for arm in shares if arm in block.arms}
        total = sum(item.sums.trials for item in counts.values())
        if len(shares) < 2 or total <= 0:
            return
        cells: dict[str, float] = {}
        for item in counts.values():
            for key, sums in item.cells.items():
                cells[key] = cells.get(key, 0.0) + sums.trials
        for arm, share in shares.items():
            mine = counts.get(arm)
            seen = {key: sums.trials for key, sums in mine.cells.items()} if mine else {}
            self._sides[arm].add(mine.sums.trials if mine else 0.0, total, share / whole, seen, cells)

    def report(self) -> SplitReport:
        """Return whether the split is as intended."""
        total = sum(side.seen for side in self._sides.values())
        if total <= 0:
            reason = "the intended shares are not known" if self._without_shares else "nothing was exposed"
            return SplitReport(None, {}, {}, "", 1.0, reason)
        observed = {arm: side.seen / total for arm, side in self._sides.items()}
        intended = {arm: side.expected / total for arm, side in self._sides.items()}
        has_cells = any(len(side.cells) > 1 for side in self._sides.values())
        evidence = {arm: side.evidence() for arm, side in self._sides.items() if side.variance > 0}
        if not evidence:
            return SplitReport(None, observed, intended, "", 1.0, "one arm has all of the traffic")
        worst = max(evidence, key=lambda arm: evidence[arm][0])
        strongest, factor = evidence[worst]
        if self._randomised not in ("request", self._counted) and not has_cells:
            reason = (
                f"{self._randomised}s are split, but only {self._counted}s are counted: "
                f"add `unit=` to the recorder, or count {self._randomised}s"
            )
            return SplitReport(None, observed, intended, worst, factor, reason)
        # Two arms are one test; several are as many (Bonferroni).
        tests = 1 if len(evidence) <= 2 else len(evidence)
        p_value = min(1.0, tests * exp(-strongest)) if strongest > log(tests) else 1.0
        return SplitReport(p_value, observed, intended, worst, factor)

    def dump(self) -> dict[str, Any]:
        """Return what `load` takes back, for JSON."""
        return {
            "sides": {arm: side.dump() for arm, side in self._sides.items()},
            "pending": None if self._pending is None else self._pending.dump(),
            "without_shares": self._without_shares,
        }

    @classmethod
    def load(
        cls, arms: tuple[str, ...], dumped: Mapping[str, Any], randomised: str = "request", counted: str = "request"
    ) -> SplitState:
        """Return what was dumped."""
        loaded = cls(arms, randomised, counted)
        loaded._sides = {arm: _SplitSide.load(part) for arm, part in dumped["sides"].items()}
        if dumped["pending"] is not None:
            loaded._pending = PendingBlock.load(dumped["pending"])
        loaded._without_shares = int(dumped["without_shares"])
        return loaded


class _SplitSide:
    """One arm against all others."""

    def __init__(self) -> None:
        self.seen = self.expected = self.variance = 0.0
        self.levels = Levels()
        self.cells = Clusters(_MOST_CELLS)

    def add(
        self, seen: float, total: float, share: float, cells: Mapping[str, float], all_cells: Mapping[str, float]
    ) -> None:
        spread = total * share * (1 - share)
        self.seen += seen
        self.expected += total * share
        self.variance += spread
        if spread > 0:
            self.levels.add(seen - total * share, spread)
        for key, trials in all_cells.items():
            self.cells.add(key, cells.get(key, 0.0) - share * trials, trials * share * (1 - share))

    def evidence(self) -> tuple[float, float]:
        """Return the logarithm of the evidence for a mismatch, and the factor of the variance that was taken."""
        raw = (self.seen - self.expected) / sqrt(self.variance)
        found = [(1.0, INDEPENDENT)]
        for level, replicates in enumerate(self.levels):
            spread = replicates.spread(self.variance)
            if spread is None and level == 0:
                # A single block has no spread: all of it may be a few rows that came many times.
                return 0.0, 1.0
            if spread is None:
                break
            factor = spread.variance / self.variance
            suspicious = excess(factor / max(1.0, found[-1][0] if level == 1 else 1.0), spread.freedom) > _SUSPICION
            if level == 0 or suspicious:
                factor = max(factor, _SMALLEST)
                found.append((factor, spread.freedom))
        if len(self.cells) > 1:
            spread = clusters_spread([self.cells.residuals((self.seen - self.expected) / self.variance)], self.variance)
            if spread is not None and spread.variance > 0:
                found.append((spread.variance / self.variance, spread.freedom))
        factor = max(item[0] for item in found)
        information = self.variance / factor / PER_UNKNOWN
        return min(log_e_value(raw / sqrt(each), freedom, information) for each, freedom in found), factor

    def dump(self) -> dict[str, Any]:
        return {
            "sums": [self.seen, self.expected, self.variance],
            "levels": self.levels.dump(),
            "cells": self.cells.dump(),
        }

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> _SplitSide:
        loaded = cls()
        loaded.seen, loaded.expected, loaded.variance = dumped["sums"]
        loaded.levels = Levels.load(dumped["levels"])
        loaded.cells = Clusters.load(_MOST_CELLS, dumped["cells"])
        return loaded
