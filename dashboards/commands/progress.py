"""A progress bar on the terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self, TextIO


class Progress:
    """A bar on a terminal for work that lasts; nothing where the output is not read by a person."""

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        """Make a bar that is not yet drawn.

        Args:
            total: Steps of the whole work.
            stream: Where to; standard error by default.
        """
        self._stream = stream or sys.stderr
        self._total, self._done, self._begun = max(1, total), 0, time.monotonic()
        self._visible = self._stream.isatty()

    def step(self, what: str = "") -> None:
        """Count a step."""
        self._done += 1
        # Short work needs no bar.
        if not self._visible or time.monotonic() - self._begun < 0.5:
            return
        share = min(1.0, self._done / self._total)
        bar = "█" * round(share * 24)
        self._stream.write(f"\r\x1b[K{bar:░<24} {share:4.0%}  {what[:60]}")
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._visible:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
