"""The end of a process within a time that it can promise, whatever hangs."""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import Final

from ml_monitoring.exporter.logs import event

_log = logging.getLogger(__name__)

# Docker kills after ten seconds.
_PATIENCE: Final = 9.0


def end_within(seconds: float = _PATIENCE) -> None:
    """End this process after so many seconds, if it has not ended by itself until then.

    A database's driver, a file system or a hash may hold a thread for ever, and Python waits for threads when it ends.
    """
    timer = threading.Timer(seconds, _end)
    timer.daemon = True
    timer.start()


def _end() -> None:
    held = sorted(thread.name for thread in threading.enumerate() if thread is not threading.current_thread())
    event(_log, logging.WARNING, "ended without waiting any longer", threads=", ".join(held))
    sys.stderr.flush()
    # What was asked for, and everything that could be ended is.
    os._exit(0)
