"""A clock that a test puts forward; who waits on it waits for no time at all."""

from __future__ import annotations

import threading
from typing import NamedTuple

from typing_extensions import override

from ml_monitoring.exporter.clock import SystemClock

EPOCH = 1_700_000_000.0
# Only a defect takes as long.
_PATIENCE = 20.0


class _Wait(NamedTuple):
    event: threading.Event
    deadline: float


class FakeClock(SystemClock):
    """Time passes while a test says so, and the test goes on when every thread has done what was due.

    A thread is known to the clock from the first time that it waits.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._changed = threading.Condition(threading.RLock())
        self._waits: dict[threading.Thread, _Wait | None] = {}

    @override
    def now(self) -> float:
        return EPOCH + self._seconds

    @override
    def monotonic(self) -> float:
        return self._seconds

    @override
    def event(self) -> threading.Event:
        return _NotifyingEvent(self._changed)

    @override
    def wait(self, event: threading.Event, seconds: float) -> bool:
        with self._changed:
            deadline = self._seconds + seconds
            thread = threading.current_thread()
            self._waits[thread] = _Wait(event, deadline)
            self._changed.notify_all()
            self._changed.wait_for(lambda: event.is_set() or self._seconds >= deadline)
            self._waits[thread] = None
            return event.is_set()

    def stand_still(self, seconds: float) -> None:
        """Let time pass in which no thread runs, as of a process that is frozen."""
        with self._changed:
            self._seconds += seconds

    def advance(self, seconds: float) -> None:
        """Let time pass, from one moment at which something is due to the next."""
        with self._changed:
            target = self._seconds + seconds
            self._changed.notify_all()
            self.settle()
            while self._seconds < target:
                self._seconds = min([target, *(wait.deadline for wait in self._pending())])
                self._changed.notify_all()
                self.settle()

    def settle(self, threads: int = 0) -> None:
        """Wait until all threads, and at least so many, wait for something that is not due."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._is_settled(threads), _PATIENCE), (
                "a thread neither waits nor ends"
            )

    def _pending(self) -> list[_Wait]:
        return [wait for wait in self._waits.values() if wait is not None]

    def _is_settled(self, threads: int) -> bool:
        running = {thread: wait for thread, wait in self._waits.items() if thread.is_alive()}
        due = [
            thread
            for thread, wait in running.items()
            if thread is not threading.current_thread()
            if wait is None or wait.event.is_set() or wait.deadline <= self._seconds
        ]
        return len(running) >= threads and not due


class _NotifyingEvent(threading.Event):
    """An event that lets a fake clock look at once."""

    def __init__(self, changed: threading.Condition) -> None:
        super().__init__()
        self._changed = changed

    @override
    def set(self) -> None:
        super().set()
        with self._changed:
            self._changed.notify_all()
