"""Time as the runner sees it: what a test replaces to drive it without waiting."""

from __future__ import annotations

import threading
import time


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never go back, to measure with."""
        return time.monotonic()

    def event(self) -> threading.Event:
        """Return an event that `wait` can wait for."""
        return threading.Event()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until an event is set or the time is over; return whether it is set."""
        return event.wait(seconds)
