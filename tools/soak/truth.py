"""What a store held at which moment."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Series = tuple[str, tuple[tuple[str, str], ...]]
Values = Mapping[Series, float]
_KEPT_SECONDS = 600.0


def series(name: str, **labels: str) -> Series:
    """Return the key of a series."""
    return name, tuple(sorted(labels.items()))


@dataclass(frozen=True, slots=True)
class _Entry:
    began: float
    recorded: float
    values: Values | None


class History:
    """The contents of one store, each with the time in which a reader could find it.

    A write takes a while: what it writes can be read from its beginning on, what was there before until its end.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[_Entry] = deque()

    def record(self, began: float, values: Values | None) -> None:
        """Add what the store holds since a write that began then; None while nothing can be read."""
        now = time.monotonic()
        with self._lock:
            self._entries.append(_Entry(began, now, values))
            while len(self._entries) > 1 and self._entries[1].recorded < now - _KEPT_SECONDS:
                self._entries.popleft()

    def held(self, values: Values, since: float, until: float) -> bool:
        """Tell whether exactly these values were there at a moment of this time."""
        return any(entry == values for entry in self._within(since, until))

    def latest_difference(self, values: Values) -> dict[Series, tuple[float | None, float | None]]:
        """Return where values differ from what is there now: what they say, and what is there."""
        with self._lock:
            now = self._entries[-1].values or {}
        return {
            key: (values.get(key), now.get(key))
            for key in sorted(values.keys() | now.keys())
            if values.get(key) != now.get(key)
        }

    def _within(self, since: float, until: float) -> Iterable[Values]:
        with self._lock:
            entries = list(self._entries)
        ends = [entry.recorded for entry in entries[1:]] + [float("inf")]
        return [
            entry.values
            for entry, end in zip(entries, ends, strict=True)
            if entry.values is not None and entry.began <= until and end >= since
        ]
