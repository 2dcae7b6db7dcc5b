"""Notice several workers that share no folder: each scrape would show what one of them counted."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import PurePath
from typing import Final

from ml_monitoring.instrument.shared_folder import VARIABLE, shared_folder

_log = logging.getLogger("ml_monitoring.instrument")
# Servers that say the number of their workers in one way; their workers have the same command line.
_SERVERS: Final = frozenset({"uvicorn", "gunicorn"})
_OPTIONS: Final = ("--workers", "-w")
# What both take where no option says it.
_DEFAULT_VARIABLE: Final = "WEB_CONCURRENCY"


def warn_if_alone() -> None:
    """Log that the workers of this server share no folder, as far as its command line tells of several."""
    workers = count(sys.argv)
    if workers > 1 and shared_folder() is None:
        _log.warning(
            "one of %s workers without %s: a scrape shows what a single one counted; set it to a folder of theirs",
            workers,
            VARIABLE,
        )


def count(command: Sequence[str]) -> int:
    """Return how many workers a command starts; 1 where that is not known, as with settings in a file."""
    program, *arguments = [*command] or [""]
    path = PurePath(program)
    # `python -m uvicorn` runs its `__main__.py`.
    server = path.parent.name if path.name == "__main__.py" else path.name
    # The reloader of uvicorn starts one, whatever is asked for.
    if server not in _SERVERS or (server == "uvicorn" and "--reload" in arguments):
        return 1
    given = os.environ.get(_DEFAULT_VARIABLE, "")
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, equals, value = argument.partition("=")
        if name in _OPTIONS:
            given = value if equals else following
        elif argument.startswith("-w") and argument[2:].isdecimal():
            given = argument[2:]
    return int(given) if given.isdecimal() else 1
