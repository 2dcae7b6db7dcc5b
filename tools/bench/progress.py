"""One line that tells how far a benchmark is: overwritten on a terminal, a line a step elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Self

_TURN = "|/-\\"
_TICK = 0.25


class Progress:
    """A context manager; `step` says what is done now."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._started = time.monotonic()
        self._what = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._turn, daemon=True)

    def step(self, what: str) -> None:
        """Say what is done now."""
        self._what = what
        if not self._terminal:
            print(f">> {time.monotonic() - self._started:5.0f} s  {what}", file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        if self._terminal:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._terminal:
            self._thread.join()
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _turn(self) -> None:
        number = 0
        while not self._ended.wait(_TICK):
            number += 1
            seconds = time.monotonic() - self._started
            text = f"\r\x1b[K{_TURN[number % len(_TURN)]} {seconds:4.0f} s  {self._what}"
            print(text, end="", file=sys.stderr, flush=True)
