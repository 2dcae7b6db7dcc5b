"""The end of a process that something holds."""

from __future__ import annotations

import subprocess
import sys

_HELD = """
import threading
from ml_monitoring.exporter.logs import setup
from ml_monitoring.exporter.shutdown import end_within
setup("info", "logfmt")
threading.Thread(target=threading.Event().wait, name="stuck").start()
end_within(0.1)
"""


def test_a_process_ends_in_time_and_names_the_threads_that_hold_it() -> None:
    done = subprocess.run([sys.executable, "-c", _HELD], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert "ended without waiting any longer" in done.stderr
    assert "MainThread, stuck" in done.stderr
