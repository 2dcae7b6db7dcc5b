"""The end of a process that something holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.serving import ExporterProcess

_HELD = """
import threading
from ml_monitoring.exporter.logs import setup
from ml_monitoring.exporter.shutdown import end_within
setup("info", "logfmt")
threading.Thread(target=threading.Event().wait, name="stuck").start()
end_within(0.1)
"""


# An exporter with a thread that nothing ends, which Python would wait for; its patience is shorter.
_EXPORTER = """
import sys, threading
from ml_monitoring.exporter import app
from ml_monitoring.exporter.cli import main
patient = app.end_within
app.end_within = lambda: patient(0.5)
threading.Thread(target=threading.Event().wait, name="stuck").start()
sys.exit(main(["serve", *sys.argv[1:]]))
"""


def test_an_exporter_that_a_thread_holds_ends_on_sigterm_and_names_it(tmp_path: Path) -> None:
    config = tmp_path / "ml-monitoring.yml"
    config.write_text(f"web: {{port: 0}}\nsources: {{fleet: {{path: {tmp_path}/none.csv}}}}\n")
    exporter = ExporterProcess(config, tmp_path / "log", command=(sys.executable, "-c", _EXPORTER))
    assert exporter.stop() == 0
    assert "stuck" in exporter.wait_for_log("ended without waiting any longer")


def test_a_process_ends_in_time_and_names_the_threads_that_hold_it() -> None:
    done = subprocess.run([sys.executable, "-c", _HELD], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert "ended without waiting any longer" in done.stderr
    assert "MainThread, stuck" in done.stderr
