"""Tells whether the loss of a training rises, from the values that are seen of it.

A healthy loss is noisy, jumps now and then, rises with the learning rate, and stays on a plateau. So a rise counts only
when it is beyond all of that and lasts: every point of the last quarter of the curve, twenty at least, is higher than
three quarters of all points before. A point is the mean of as many values as it takes for the whole curve to have fewer
than 160 points: the longer a training has gone on, the longer a rise must last.
"""

from __future__ import annotations

from statistics import fmean

_FEWEST = 20
_MOST = 8 * _FEWEST


class LossCurve:
    """The curve of one loss of one run."""

    def __init__(self) -> None:
        self._points: list[float] = []
        # How many values a point is the mean of, and those of the one that is not complete.
        self._width = 1
        self._pending: list[float] = []
        self._rises = False

    @property
    def rises(self) -> bool:
        """Tell whether the loss rises."""
        return self._rises

    def add(self, value: float) -> None:
        """Take over a finite value that was logged after all before."""
        self._pending.append(value)
        if len(self._pending) < self._width:
            return
        self._points.append(fmean(self._pending))
        self._pending.clear()
        if len(self._points) == _MOST:
            pairs = zip(self._points[::2], self._points[1::2], strict=True)
            self._points = [fmean(pair) for pair in pairs]
            self._width *= 2
        last = max(_FEWEST, len(self._points) // 4)
        earlier = sorted(self._points[:-last])
        self._rises = len(earlier) >= _FEWEST and min(self._points[-last:]) > earlier[3 * len(earlier) // 4]
