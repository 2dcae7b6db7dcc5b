"""Where in a service's own code something is: what called into this package, what raised, what a hook is defined as."""

from __future__ import annotations

import os
import sys
from functools import partial
from traceback import walk_tb
from types import CodeType, FrameType
from typing import Any, Final

# Frames of these are not where the service made its mistake; `contextlib` calls the ends of context managers.
_PACKAGE: Final = __name__.rpartition(".")[0]
_BETWEEN: Final = "contextlib"
_STANDARD: Final = os.path.dirname(os.__file__)  # noqa: PTH120  # as frames have it, as text
_INSTALLED: Final = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


def _is_own(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__"))
    return module in (_BETWEEN, _PACKAGE) or module.startswith(f"{_PACKAGE}.")


def _is_library(file: str) -> bool:
    return file.startswith((_STANDARD, "<frozen")) or any(folder in file for folder in _INSTALLED)


def caller() -> str:
    """Return the file and line that called into this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_own(frame):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def raised_at(error: BaseException) -> str:
    """Return the innermost line of the service that an exception came through; empty where none did."""
    place = ""
    for frame, line in walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        if not _is_own(frame) and not _is_library(file):
            place = f"{file}:{line}"
    return place


def defined_at(hook: Any) -> str:
    """Return the file and line of a function, or of what is called as one; without code of Python what it is."""
    while isinstance(hook, partial):
        hook = hook.func
    code = getattr(hook, "__code__", None) or getattr(getattr(type(hook), "__call__", None), "__code__", None)  # noqa: B004  # for its code
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else type(hook).__name__


def place_in(code: CodeType, instruction: int) -> str:
    """Return the file and line of an instruction of a function."""
    lines = (line for start, end, line in code.co_lines() if start <= instruction < end and line)
    return f"{code.co_filename}:{next(lines, code.co_firstlineno)}"
