"""The grid in pixels: 24 columns, 30 pixels a unit, 8 between, as Grafana lays panels out."""

from __future__ import annotations

from dataclasses import dataclass

from ml_monitoring.dashboards.render.model import COLUMNS, GridPos

CELL = 30
GAP = 8


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels from the top left."""

    x: float
    y: float
    w: float
    h: float

    def inset(self, left: float, top: float, right: float, bottom: float) -> Box:
        """Return the rectangle less its margins, never smaller than a pixel."""
        return Box(self.x + left, self.y + top, max(1.0, self.w - left - right), max(1.0, self.h - top - bottom))

    @property
    def middle(self) -> tuple[float, float]:
        """Return the point in the middle."""
        return self.x + self.w / 2, self.y + self.h / 2


def column_width(width: float) -> float:
    """Return the width of a column of a page."""
    return (width - 2 * GAP - (COLUMNS - 1) * GAP) / COLUMNS


def panel_width(columns: int, width: float) -> float:
    """Return the width of a panel of so many columns."""
    return columns * column_width(width) + (columns - 1) * GAP


def box_of(grid: GridPos, width: float, top: float = 0.0) -> Box:
    """Return where a panel is.

    Args:
        grid: Its place on the grid.
        width: Width of the page.
        top: What is above the grid, such as a heading.
    """
    return Box(
        GAP + grid.x * (column_width(width) + GAP),
        top + GAP + grid.y * (CELL + GAP),
        panel_width(grid.w, width),
        grid.h * CELL + (grid.h - 1) * GAP,
    )


def page_height(bottom: int, top: float = 0.0) -> float:
    """Return the height of a page whose lowest panel ends at this grid line."""
    return top + GAP + bottom * (CELL + GAP)
