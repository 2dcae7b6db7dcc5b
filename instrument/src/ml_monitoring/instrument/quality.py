"""Model quality over the latest predictions whose truth is known, in constant memory and time."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

WINDOW: Final = 1000


class RollingAccuracy:
    """Share of correct predictions among the latest `WINDOW`."""

    def __init__(self, window: int = WINDOW) -> None:
        self._latest: deque[bool] = deque(maxlen=window)
        self._correct = 0
        self._lock = threading.Lock()

    def add(self, *, correct: bool) -> float:
        """Add one prediction and return the share."""
        with self._lock:
            if len(self._latest) == self._latest.maxlen:
                self._correct -= self._latest[0]
            self._latest.append(correct)
            self._correct += correct
            return self._correct / len(self._latest)


class RollingR2:
    """Coefficient of determination (R2) of the latest `WINDOW` predictions."""

    def __init__(self, window: int = WINDOW) -> None:
        self._latest: deque[tuple[float, float]] = deque(maxlen=window)
        self._lock = threading.Lock()

    def add(self, predicted: float, actual: float) -> None:
        """Add one prediction and its truth."""
        with self._lock:
            self._latest.append((predicted, actual))

    def value(self) -> float | None:
        """Return R2, or None while the truths do not vary.

        Summed from scratch each time: running sums of squares lose all digits once the target's mean is large.
        """
        with self._lock:
            pairs = list(self._latest)
        if len(pairs) < 2:
            return None
        mean = sum(actual for _predicted, actual in pairs) / len(pairs)
        total = sum((actual - mean) ** 2 for _predicted, actual in pairs)
        if total == 0:
            return None
        return 1 - sum((actual - predicted) ** 2 for predicted, actual in pairs) / total
