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
        least: What it must reach.
    """

    what: str
    value: float
    unit: str
    limit: float | None = None
    least: float | None = None

    @property
    def good(self) -> bool:
        """Tell whether the figure is within its limits."""
        return (self.limit is None or self.value <= self.limit) and (self.least is None or self.value >= self.least)

    @property
    def goal(self) -> str:
        """Return its limit in words, empty when it only informs."""
        if self.limit is not None:
            return f"at most {self.limit:g}"
        return "" if self.least is None else f"at least {self.least:g}"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))]


def as_table(results: Sequence[Result]) -> str:
    """Return the results as aligned lines."""
    width = max(len(result.what) for result in results)
    lines = []
    for result in results:
        goal = f"   {result.goal}: {'ok' if result.good else 'MISSED'}" if result.goal else ""
        lines.append(f"  {result.what:{width}}  {result.value:10.1f} {result.unit}{goal}")
    return "\n".join(lines)


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of columns as a table: the first column begins at the left, numbers end at the right."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            text.ljust(width) if not column else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
