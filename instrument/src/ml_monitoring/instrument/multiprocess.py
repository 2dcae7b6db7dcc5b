"""Several worker processes behind one address: `PROMETHEUS_MULTIPROC_DIR` names a folder that they share.

With gunicorn, `--config python:ml_monitoring.instrument.multiprocess` is all that is needed beside the variable.
"""

from __future__ import annotations

import logging
import os
from typing import Any, Final

from ml_monitoring.instrument.shared_folder import LOCK_FILE, clear, merge_dead, shared_folder

__all__ = ["child_exit", "clear", "on_starting"]

_log = logging.getLogger("ml_monitoring.instrument")
# Workers that ended since the folder was emptied.
_ended: Final[set[int]] = set()


def on_starting(server: Any) -> None:
    """Empty the folder: files of an earlier start would be added to those of this one."""
    try:
        clear()
    except ValueError as error:
        # One sentence in gunicorn's own words about its start, not where in the code.
        raise SystemExit(f"ml_monitoring.instrument.multiprocess: {error}") from None
    folder, user = shared_folder(), server.cfg.uid
    if folder is not None and os.geteuid() == 0 and user:
        # The workers are to write there as well.
        for path in (folder, folder / LOCK_FILE):
            os.chown(path, user, server.cfg.gid)


def child_exit(server: Any, worker: Any) -> None:  # noqa: ARG001  # gunicorn's hooks have fixed parameters
    """Forget what a worker that is gone had in progress; what it counted stays."""
    folder = shared_folder()
    if folder is None:
        return
    _ended.add(worker.pid)
    try:
        _ended.intersection_update(merge_dead(folder, *_ended))
    except Exception as error:  # noqa: BLE001  # gunicorn itself would end with it
        _log.warning("%s: what worker %s counted could not be merged yet: %s", folder, worker.pid, error)
