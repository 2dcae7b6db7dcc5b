"""What is said of recordings that fail: a line each, which names where in the service, and none of them often."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic
from traceback import format_exception_only
from typing import Final

from ml_monitoring.instrument.mistakes import WrongValueError
from ml_monitoring.instrument.places import caller, raised_at

_log = logging.getLogger("ml_monitoring.instrument")
# The first failure is logged at once, a storm of them once a minute; of mistakes of the service those of each line.
_LOG_INTERVAL: Final = 60.0
_LINES: Final = 1000
_MAX_LENGTH: Final = 200


class FailureLog:
    """The log of what fails in one recorder."""

    def __init__(self) -> None:
        self._quiet_until: dict[str, float] = {}

    def recording(self, operation: str, error: Exception, mistake: Callable[[], str]) -> None:
        """Say that something could not be recorded.

        Args:
            operation: What it was.
            error: What it raised.
            mistake: Returns what the caller did wrong; empty if nothing.
        """
        place = raised_at(error)
        if place:
            # A handler of the service, or what it makes of values.
            self.line(operation, place, f"it raised {in_one_line(error)}; it is not recorded", error)
            return
        if isinstance(error, (TypeError, ValueError, AttributeError)):
            place = getattr(error, "place", "") or caller()
        if self._is_quiet(place):
            return
        if place and (problem := str(error) if isinstance(error, WrongValueError) else mistake()):
            _log.warning("%s at %s: %s; it is not recorded, and the program goes on", operation, place, problem)
        elif isinstance(error, OSError):
            # A server that is away, or a disk that is full: where in the code says nothing.
            _log.warning("%s could not be recorded; the program goes on: %s", operation, error)
        else:
            _log.warning("%s could not be recorded; the program goes on", operation, exc_info=error)

    def line(self, operation: str, place: str, problem: str, error: Exception | None = None) -> None:
        """Say what is wrong at a place, unless that was said lately."""
        if not self._is_quiet(f"{operation} {place}"):
            _log.warning("%s at %s: %s, and the program goes on", operation, place, problem)
            if error is not None:
                _log.debug("%s raised", operation, exc_info=error)

    def _is_quiet(self, key: str) -> bool:
        now = monotonic()
        if now < self._quiet_until.get(key, 0.0):
            return True
        if len(self._quiet_until) >= _LINES:
            self._quiet_until.clear()
        self._quiet_until[key] = now + _LOG_INTERVAL
        return False


def in_one_line(error: Exception) -> str:
    """Return the kind of an exception and what it says."""
    text = " ".join(format_exception_only(error)[0].split())
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}..."
