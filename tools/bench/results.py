"""What a benchmark found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """One figure.

    Attributes:
        what: What was measured.
        value: The figure.
        unit: Its unit.
        limit: What it must not exceed; None when it only informs.
    """

    what: str
    value: float
    unit: str
    limit: float | None = None

    @property
    def good(self) -> bool:
        """Tell whether the figure is within its limit."""
        return self.limit is None or self.value <= self.limit


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))]


def as_table(results: Sequence[Result]) -> str:
    """Return the results as aligned lines."""
    width = max(len(result.what) for result in results)
    lines = []
    for result in results:
        limit = "" if result.limit is None else f"   limit {result.limit:g}: {'ok' if result.good else 'MISSED'}"
        lines.append(f"  {result.what:{width}}  {result.value:10.1f} {result.unit}{limit}")
    return "\n".join(lines)
