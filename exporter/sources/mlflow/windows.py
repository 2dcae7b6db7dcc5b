"""Counters of what a store only knows as long as it holds it.

What was begun within a window is counted at each refresh, through an index; what came to be more is added up. What is
deleted later is not taken back, and what takes longer than the window may be missed.

What a series begins with is not seen by `increase()`. So one that was not there when the exporter began is at 0 for a
while, and what was counted by then comes afterwards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

_Group = TypeVar("_Group")
Sums = tuple[float, ...]


class Window(Generic[_Group]):
    """What was begun within a span of time, as sums by group.

    Args:
        seconds: How long it is.
        hold: For how many seconds a group that is new counts nothing yet.
        now: Returns the time in seconds.
    """

    def __init__(self, seconds: float, hold: float, now: Callable[[], float]) -> None:
        self._now = now
        self._hold = hold
        # What groups that are new have counted, and until when it is held back.
        self._held: dict[_Group, tuple[float, Sums]] = {}
        self._length_ms = int(seconds * 1000)
        self._since: int | None = None
        self._begin = 0
        self._before: dict[_Group, Sums] = {}

    @property
    def held(self) -> set[_Group]:
        """Return the groups that count nothing yet."""
        return set(self._held)

    @property
    def due(self) -> bool:
        """Tell whether something was held back for long enough."""
        return any(until <= self._now() for until, _sums in self._held.values())

    def bounds(self) -> dict[str, int]:
        """Return since when (ms) to count, and from when on what is begun is in the window of the next time, too."""
        self._begin = max(int(self._now() * 1000) - self._length_ms, self._since or 0)
        return {"since": self._begin if self._since is None else self._since, "begin": self._begin}

    def increases(
        self, rows: Iterable[tuple[_Group, bool, Sums]], known: Callable[[_Group], bool]
    ) -> Iterator[tuple[_Group, Sums, Sums]]:
        """Yield each group with its sums, and with how much more of them is to be counted.

        Args:
            rows: Group, whether it is of what was begun since `begin`, and sums; a group may have several.
            known: Tells whether a group has had series for long enough.
        """
        now: dict[_Group, Sums] = defaultdict(tuple)
        later: dict[_Group, Sums] = defaultdict(tuple)
        for group, in_window, sums in rows:
            now[group] = _add(now[group], sums)
            if in_window:
                later[group] = _add(later[group], sums)
        for group, (_until, held) in self._held.items():
            now.setdefault(group, _nothing(held))
        for group, sums in now.items():
            # What was there when the exporter began did not come while it ran.
            before = sums if self._since is None else self._before.get(group, _nothing(sums))
            increase = tuple(max(0, value - old) for value, old in zip(sums, before, strict=True))
            yield group, sums, self._held_back(group, increase, is_new=self._since is not None and not known(group))
        self._since, self._before = self._begin, dict(later)

    def _held_back(self, group: _Group, increase: Sums, *, is_new: bool) -> Sums:
        """Return what is to be counted now."""
        held = self._held.pop(group, (self._now() + self._hold, _nothing(increase)) if is_new else None)
        if held is None:
            return increase
        until, total = held[0], _add(held[1], increase)
        if self._now() >= until:
            return total
        self._held[group] = until, total
        return _nothing(increase)


def _nothing(sums: Sums) -> Sums:
    return (0,) * len(sums)


def _add(one: Sums, other: Sums) -> Sums:
    return tuple(mine + more for mine, more in zip(one, other, strict=True)) if one else other
