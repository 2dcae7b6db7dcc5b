"""Pages of a user's own in Python: a file with `build(context)`, as each of our own pages is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from traceback import walk_tb
from types import ModuleType
from typing import TypeVar

from ml_monitoring.alerting.extensions import own_uid
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.page import Page
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.regular_files import describe_read_error, read_text

_Result = TypeVar("_Result")


def build(path: Path, context: PageContext) -> Page:
    """Return the page that a file builds.

    Raises:
        ConfigError: It cannot be read, raises, or builds something else; with its line where that is known.
    """
    try:
        source = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {describe_read_error(error)}"]) from None
    module = ModuleType(f"ml_monitoring_own_pages_{path.stem.replace('-', '_')}")
    module.__file__ = str(path)
    # Not by the import system, which would write a cache into the user's folder.
    sys.modules[module.__name__] = module
    guarded([path], lambda: exec(compile(source, str(path), "exec"), vars(module)))  # noqa: S102  # it is the user's own
    function = getattr(module, "build", None)
    if not callable(function):
        raise ConfigError([f"{path}: has no function build(context)"])
    page = guarded([path], lambda: function(context))
    if not isinstance(page, Page):
        raise ConfigError([f"{path}: build(context) returned {type(page).__name__}, not a Page"])
    if page.uid != (uid := own_uid(path.stem)):
        raise ConfigError([f"{path}: the page's uid is {page.uid!r}; by the name of the file it must be {uid!r}"])
    return page


def guarded(paths: Sequence[Path], call: Callable[[], _Result]) -> _Result:
    """Return what a call of the user's code returns.

    Raises:
        ConfigError: It raised; the message says what, and the last line of the files that was reached.
    """
    try:
        return call()
    except ConfigError:
        raise
    except Exception as error:  # foreign code may raise anything
        names = {str(path) for path in paths}
        reached = [
            f"{frame.f_code.co_filename}:{line}"
            for frame, line in walk_tb(error.__traceback__)
            if frame.f_code.co_filename in names
        ]
        if isinstance(error, SyntaxError) and error.filename in names:
            reached = [f"{error.filename}:{error.lineno or 1}"]
        said = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise ConfigError([f"{reached[-1] if reached else named(paths)}: {said}"]) from error


def named(paths: Sequence[Path]) -> str:
    """Return the names of files in a message."""
    return ", ".join(map(str, paths))
