"""Whether a difference began, or ended, while an experiment ran.

A process that fails for good and that no label names looks like an effect of its arm that begins in the middle. So the
difference before and after every moment is compared, and where only one of the two shows it, they are two replicates of
what the arm does, with the one degree of freedom that two have: it is not believed before it has lasted for many times
the rest.

- D. Andrews, "Tests for parameter instability and structural change with unknown change point", Econometrica 61, 1993:
  the largest of the contrasts, and what chance makes of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any, Final

# Chance takes the largest contrast of a difference that is always the same as far in one of twenty.
_SUSPICION: Final = 3.0
# Standard errors from which on one part shows a difference by itself.
_SHOWN: Final = 2.0
_MOST: Final = 64


@dataclass(frozen=True, slots=True)
class EffectChange:
    """The moment at which a difference began or ended.

    Attributes:
        variance: Of the total, with the two parts as its replicates.
        beyond: Standard errors between what the parts say.
        share: What is before it, of everything.
    """

    variance: float
    beyond: float
    share: float


class Course:
    """The sum of differences, and of what they are in proportion to, at up to some dozens of moments."""

    __slots__ = ("_d", "_moments", "_stride", "_waiting", "_x")

    def __init__(self) -> None:
        self._moments: list[tuple[float, float]] = []
        self._d = self._x = 0.0
        self._stride, self._waiting = 1, 0

    def add(self, d: float, x: float) -> None:
        """Add one block."""
        self._d += d
        self._x += x
        self._waiting += 1
        if self._waiting < self._stride:
            return
        self._waiting = 0
        self._moments.append((self._d, self._x))
        if len(self._moments) > _MOST:
            self._moments = self._moments[1::2]
            self._stride *= 2

    def change(self, variance: float) -> EffectChange | None:
        """Return the change that stands out most; None where there is none.

        Args:
            variance: Of the total, if the difference is always the same.
        """
        whole = self._x
        if whole <= 0 or variance <= 0:
            return None
        effect, sign = self._d / whole, 1 if self._d > 0 else -1
        most, found = _SUSPICION * _SUSPICION, None
        for d, x in self._moments:
            share = x / whole
            both = share * (1 - share)
            if both <= 0:
                continue
            apart = d - effect * x
            contrast = apart * apart / (variance * both)
            if contrast <= most:
                continue
            shown = min(sign * d / sqrt(variance * share), sign * (self._d - d) / sqrt(variance * (1 - share)))
            if shown < _SHOWN:
                most, found = contrast, (apart, share, both)
        if found is None:
            return None
        apart, share, both = found
        # Of two replicates of these sizes.
        return EffectChange(apart * apart / both, sqrt(most), share)

    def dump(self) -> dict[str, object]:
        """Return what `load` takes back."""
        return {
            "moments": self._moments,
            "sums": (self._d, self._x),
            "stride": self._stride,
            "waiting": self._waiting,
        }

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> Course:
        """Return what was dumped."""
        course = cls()
        if dumped:
            course._moments = [(d, x) for d, x in dumped["moments"]]
            course._d, course._x = dumped["sums"]
            course._stride, course._waiting = dumped["stride"], dumped["waiting"]
        return course
