"""Several worker processes behind one address: `PROMETHEUS_MULTIPROC_DIR` names a folder that they share.

With gunicorn, `--config python:ml_monitoring.instrument.multiprocess` is all that is needed beside the variable.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from prometheus_client.multiprocess import mark_process_dead

from ml_monitoring.instrument.exposition import MULTIPROCESS_VARIABLE


def on_starting(server: Any) -> None:  # noqa: ARG001  # gunicorn's hooks have fixed parameters
    """Empty the folder: files of an earlier start would be added to those of this one."""
    clear()


def child_exit(server: Any, worker: Any) -> None:  # noqa: ARG001  # as above
    """Forget what a worker that is gone had in progress; what it counted stays."""
    mark_process_dead(worker.pid)


def clear() -> None:
    """Make the shared folder if needed and empty it.

    When the server is not gunicorn, call this before the workers start.
    """
    folder = Path(os.environ[MULTIPROCESS_VARIABLE])
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.db"):
        file.unlink()
