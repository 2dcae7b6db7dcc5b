"""Rows of panels into Grafana's grid of 24 columns, so that no panel can overlap another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

COLUMNS = 24


@dataclass(frozen=True, slots=True)
class Size:
    """Width in columns (1 to 24) and height in grid units of 30 pixels."""

    width: int
    height: int

    def __post_init__(self) -> None:
        if not 1 <= self.width <= COLUMNS:
            raise ValueError(f"a panel is 1 to {COLUMNS} columns wide, not {self.width}")
        if self.height < 1:
            raise ValueError(f"a panel is at least 1 unit high, not {self.height}")


@dataclass(frozen=True, slots=True)
class Position:
    """Where a panel is put."""

    x: int
    y: int
    width: int
    height: int


def flow(sizes: Sequence[Size], top: int) -> tuple[list[Position], int]:
    """Put panels side by side from `top` on, starting a new line where the next does not fit.

    All panels of a line get the height of its highest, so that lines leave no holes.

    Returns:
        The positions in the order of `sizes`, and the first free y below them.
    """
    lines: list[list[Size]] = []
    used = COLUMNS
    for size in sizes:
        if used + size.width > COLUMNS:
            lines.append([])
            used = 0
        lines[-1].append(size)
        used += size.width
    positions = []
    y = top
    for line in lines:
        height = max(size.height for size in line)
        x = 0
        for size in line:
            positions.append(Position(x, y, size.width, height))
            x += size.width
        y += height
    return positions, y
