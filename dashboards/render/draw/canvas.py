"""A page in pixels to draw on: text that fits, boxes, and places for charts. One canvas is one matplotlib figure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import IO, Any

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Polygon, Rectangle, Wedge
from matplotlib.transforms import Bbox, TransformedBbox

from ml_monitoring.dashboards.render.colours import Theme
from ml_monitoring.dashboards.render.display import Style
from ml_monitoring.dashboards.render.fonts import REGULAR, font, text_width
from ml_monitoring.dashboards.render.layout import Box

# Pixels an inch when nothing else is said: what a browser takes.
PIXELS_PER_INCH = 96.0
ELLIPSIS = "…"

# Text stays text in PDF (it can be searched and copied); in SVG it becomes shapes, so that no typeface is needed.
_SETTINGS: Any = {
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "dashboards",
    "path.simplify_threshold": 0.2,
    # Letters stand where they are measured: hinted ones are wider the fewer pixels an inch has.
    "text.hinting": "no_hinting",
}


def settings() -> AbstractContextManager[None]:
    """Return the context in which pages are to be saved."""
    return rc_context(_SETTINGS)


class Canvas:
    """A page.

    Attributes:
        width: In pixels.
        height: In pixels.
        style: Theme and clock.
    """

    def __init__(self, width: float, height: float, style: Style, *, inches: float | None = None) -> None:
        """Make an empty page.

        Args:
            width: In pixels.
            height: In pixels.
            style: Theme and clock.
            inches: Width on paper; by default as in a browser.
        """
        self.width, self.height, self.style = width, height, style
        self._inch = (inches / width) if inches else 1 / PIXELS_PER_INCH
        self.figure = Figure(figsize=(width * self._inch, height * self._inch), facecolor=style.theme.canvas)
        FigureCanvasAgg(self.figure)
        self._page: Axes = self.figure.add_axes((0.0, 0.0, 1.0, 1.0))
        self._page.set_xlim(0, width)
        self._page.set_ylim(height, 0)
        self._page.axis("off")
        self._strokes = 0
        self._clip: TransformedBbox | None = None
        self._page.set_zorder(0)

    @property
    def theme(self) -> Theme:
        """Return the colours."""
        return self.style.theme

    def _next(self) -> float:
        """Return the place of the next stroke: what is drawn later lies on top, whatever it is."""
        self._strokes += 1
        return 1 + self._strokes / 1e6

    @contextmanager
    def clipped(self, box: Box) -> Iterator[None]:
        """Cut off, what is drawn meanwhile, at the edges of a rectangle."""
        before = self._clip
        self._clip = TransformedBbox(
            Bbox.from_extents(box.x, box.y, box.x + box.w, box.y + box.h), self._page.transData
        )
        try:
            yield
        finally:
            self._clip = before

    def _cut(self, artist: Artist) -> None:
        if self._clip is not None:
            artist.set_clip_on(True)
            artist.set_clip_box(self._clip)

    def points(self, pixels: float) -> float:
        """Return pixels as the printer's points that matplotlib counts sizes in."""
        return pixels * self._inch * 72

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 12,
        colour: str | None = None,
        weight: int = REGULAR,
        align: str = "left",
        baseline: str = "center_baseline",
        fit: float | None = None,
        turned: bool = False,
    ) -> float:
        """Write one line.

        Args:
            x: Where.
            y: Where; the middle of the line unless `baseline` says otherwise.
            text: What.
            size: Height of the letters in pixels.
            colour: By default the theme's text colour.
            weight: Of the strokes.
            align: `left`, `center` or `right` of `x`.
            baseline: Matplotlib's vertical alignment.
            fit: Width in which it must fit; what does not is cut off with an ellipsis.
            turned: Write upwards.

        Returns:
            The width of what was written.
        """
        text = " ".join(text.split())
        if fit is not None:
            text = fitted(text, fit, size, weight)
        if not text:
            return 0.0
        drawn = self._page.text(
            x,
            y,
            # A dollar sign is money here, not mathematics.
            text.replace("$", r"\$"),
            fontproperties=font(weight),
            fontsize=self.points(size),
            color=colour or self.theme.text,
            ha=align,
            va=baseline,
            rotation=90 if turned else 0,
            zorder=self._next(),
        )
        self._cut(drawn)
        return text_width(text, size, weight)

    def box(
        self,
        box: Box,
        colour: str,
        *,
        edge: str | None = None,
        radius: float = 0.0,
        opacity: float = 1.0,
        line: float = 1.0,
    ) -> None:
        """Draw a filled rectangle."""
        shape: Rectangle | FancyBboxPatch
        if radius:
            radius = min(radius, box.w / 2, box.h / 2)
            shape = FancyBboxPatch(
                (box.x + radius, box.y + radius),
                max(0.01, box.w - 2 * radius),
                max(0.01, box.h - 2 * radius),
                boxstyle=f"round,pad={radius},rounding_size={radius}",
            )
        else:
            shape = Rectangle((box.x, box.y), box.w, box.h)
        shape.set_zorder(self._next())
        shape.set(facecolor=colour, edgecolor=edge or "none", linewidth=self.points(line) if edge else 0, alpha=opacity)
        self._cut(self._page.add_patch(shape))

    def polygon(self, corners: Sequence[tuple[float, float]], colour: str, *, opacity: float = 1.0) -> None:
        """Draw a filled polygon."""
        self._page.add_patch(
            Polygon(list(corners), facecolor=colour, edgecolor="none", alpha=opacity, zorder=self._next())
        )

    def line(
        self, points: Sequence[tuple[float, float]], colour: str, *, width: float = 1.0, dashed: bool = False
    ) -> None:
        """Draw a line through points."""
        drawn = self._page.add_line(
            Line2D(
                [x for x, _ in points],
                [y for _, y in points],
                color=colour,
                linewidth=self.points(width),
                linestyle=(0, (4, 3)) if dashed else "-",
                solid_capstyle="butt",
                zorder=self._next(),
            )
        )
        self._cut(drawn)

    def wedge(
        self,
        centre: tuple[float, float],
        radius: float,
        start: float,
        end: float,
        colour: str,
        *,
        width: float,
        gap: float = 0.0,
    ) -> None:
        """Draw a part of a ring; angles in degrees, clockwise from the right."""
        self._page.add_patch(
            Wedge(
                centre,
                radius,
                start,
                end,
                width=width,
                facecolor=colour,
                edgecolor=self.theme.panel if gap else "none",
                linewidth=self.points(gap),
                zorder=self._next(),
            )
        )

    def axes(self, box: Box) -> Axes:
        """Return a place for a chart."""
        axes = self.figure.add_axes(
            (box.x / self.width, 1 - (box.y + box.h) / self.height, box.w / self.width, box.h / self.height)
        )
        axes.set_facecolor("none")
        axes.set_zorder(1)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.tick_params(length=0, labelbottom=False, labelleft=False, which="both")
        axes.margins(0)
        return axes

    def save(self, target: IO[bytes], form: str, dpi: float, *, text: bool = False) -> None:
        """Write the page as png, pdf or svg.

        Args:
            target: Where to.
            form: Which of them.
            dpi: Resolution.
            text: Text of an svg stays text, in a typeface that the reader has; it takes a third of the room.
        """
        # Without a date in it, the same picture is the same bytes.
        metadata: dict[str, Any] = {"png": {"Software": None}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}[
            form
        ]
        with settings(), rc_context({"svg.fonttype": "none"} if text else {}):
            self.figure.savefig(target, format=form, dpi=dpi * PIXELS_PER_INCH * self._inch, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Area:
    """The part of a page that is a panel's."""

    canvas: Canvas
    box: Box

    @property
    def style(self) -> Style:
        """Return theme and clock."""
        return self.canvas.style

    @property
    def theme(self) -> Theme:
        """Return the colours."""
        return self.canvas.theme

    def part(self, box: Box) -> Area:
        """Return another part of the same page."""
        return Area(self.canvas, box)

    def message(self, text: str, *, colour: str | None = None) -> None:
        """Write a message in the middle, on several lines where one is too narrow."""
        lines = wrapped(text, self.box.w - 16, 13)
        room = max(1, int(self.box.h // 18))
        if len(lines) > room:
            lines = [*lines[: room - 1], fitted(" ".join(lines[room - 1 :]), self.box.w - 16, 13)]
        x, y = self.box.middle
        for place, line in enumerate(lines):
            self.canvas.text(
                x,
                y + (place - (len(lines) - 1) / 2) * 18,
                line,
                size=13,
                colour=colour or self.theme.muted,
                align="center",
            )


def fitted(text: str, width: float, size: float, weight: int = REGULAR) -> str:
    """Return the text, cut off with an ellipsis where it is wider than the width."""
    if text_width(text, size, weight) <= width:
        return text
    while text and text_width(text + ELLIPSIS, size, weight) > width:
        text = text[:-1]
    return text.rstrip() + ELLIPSIS if text else ""


def wrapped(text: str, width: float, size: float, weight: int = REGULAR) -> list[str]:
    """Return the text in lines that fit the width, broken between words where it can be."""
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}" if line else word
            if line and text_width(longer, size, weight) > width:
                lines.append(line)
                line = word
            else:
                line = longer
        lines.append(line)
    return lines
