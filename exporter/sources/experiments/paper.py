"""The report of an experiment on paper: sheets of A4."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Final

from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ml_monitoring.exporter.sources.experiments.report import (
    BAD,
    COLUMNS,
    GOOD,
    NUMBERS,
    OPEN,
    ExperimentReport,
    ResultRow,
)

# A4 upright, in inches; what stands on it is placed in lines from the top.
_WIDTH, _HEIGHT, _MARGIN, _LINE = 8.27, 11.69, 0.7, 0.2
_SIZE: Final = 9
_COLOURS: Final = {GOOD: "#1b7f4b", BAD: "#c0282d", OPEN: "#555555"}
# Where columns begin, or end if they are numbers, in inches from the margin; the drawing has the rest.
_COLUMNS: Final = (0.0, 1.4, 2.85, 3.5, 4.05, 5.2, 5.3)
_DRAWING = (6.1, 6.87)
_LETTERS: Final = 105
# The smallest letters are those of a newspaper's small print.
_SCALES: Final = (1.0, 0.85, 0.7)


class _Sheets:
    """Writes lines from the top of a sheet to its bottom, and goes on on the next one.

    Args:
        scale: Of the letters, and so of the lines.
    """

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self._top = _MARGIN
        self._figure = Figure(figsize=(_WIDTH, _HEIGHT))
        self.figures = [self._figure]

    def text(
        self, text: str, *, size: float = _SIZE, colour: str = "black", bold: bool = False, left: float = 0
    ) -> None:
        """Write a paragraph."""
        for line in textwrap.wrap(text, max(20, int((_LETTERS - 14 * left) * _SIZE / size / self._scale))) or [""]:
            self.line(size)
            self.put(line, left, size=size, colour=colour, bold=bold)

    def line(self, size: float = _SIZE) -> None:
        """Go to the next line."""
        self._top += self._scale * _LINE * max(1.0, size / _SIZE)
        if self._top > _HEIGHT - _MARGIN:
            self._figure = Figure(figsize=(_WIDTH, _HEIGHT))
            self.figures.append(self._figure)
            self._top = _MARGIN + _LINE

    def put(
        self,
        text: str,
        left: float,
        *,
        size: float = _SIZE,
        colour: str = "black",
        bold: bool = False,
        right: bool = False,
    ) -> None:
        """Write into the line."""
        self._figure.text(
            (_MARGIN + left) / _WIDTH,
            1 - self._top / _HEIGHT,
            # A dollar begins a formula.
            text.replace("$", r"\$"),
            fontsize=size * self._scale,
            color=colour,
            fontweight="bold" if bold else "normal",
            horizontalalignment="right" if right else "left",
        )

    def draw(self, row: ResultRow, reach: float) -> None:
        """Draw the interval of a difference into the line."""
        if row.lift is None:
            return
        left, right = _DRAWING
        middle, half = (left + right) / 2, (right - left) / 2
        height = 1 - (self._top - 0.05) / _HEIGHT
        lower, point, upper = ((_MARGIN + middle + half * value / reach) / _WIDTH for value in row.lift)
        zero = (_MARGIN + middle) / _WIDTH
        colour = _COLOURS[row.tone]

        for line in (
            Line2D([zero, zero], [height - 0.006, height + 0.006], color="#999999", linewidth=0.8),
            Line2D([lower, upper], [height, height], color=colour, linewidth=1.5),
            Line2D([point], [height], color=colour, marker="o", markersize=4),
        ):
            self._figure.add_artist(line)


def write_pdf(report: ExperimentReport, path: Path) -> None:
    """Write the report as a PDF: on one sheet, unless its letters were too small to read then."""
    written = (_written(report, scale) for scale in _SCALES)
    figures = next((each for each in written if len(each) == 1), None) or _written(report, _SCALES[-1])
    with PdfPages(path, metadata={"Title": report.title}) as pages:
        for figure in figures:
            pages.savefig(figure)


def _written(report: ExperimentReport, scale: float) -> list[Figure]:
    sheets = _Sheets(scale)
    sheets.text(report.title, size=16, bold=True)
    sheets.line()
    sheets.text(report.decision, size=14, bold=True, colour=_COLOURS[report.tone])
    sheets.text(report.reason, size=10)
    sheets.line()
    _write_row(sheets, COLUMNS, bold=True)
    for row in report.rows:
        _write_row(sheets, row.cells, colour=_COLOURS[row.tone])
        sheets.draw(row, report.reach)
    if report.caveats:
        sheets.line()
        sheets.text("What the data cannot tell", bold=True, size=11)
        for caveat in report.caveats:
            sheets.text(f"- {caveat}")
    sheets.line()
    sheets.text("Design", bold=True, size=11)
    for name, value in report.facts:
        sheets.text(f"{name}: {value}")
    sheets.line()
    for note in report.notes:
        sheets.text(note, colour="#555555", size=8)
    return sheets.figures


def _write_row(sheets: _Sheets, cells: tuple[str, ...], *, colour: str = "black", bold: bool = False) -> None:
    sheets.line()
    for index, (cell, place) in enumerate(zip(cells, _COLUMNS, strict=True)):
        last = index == len(cells) - 1
        sheets.put(cell, place, size=8, bold=bold, colour=colour if last else "black", right=index in NUMBERS)
