"""Files that are new: never over others, never half written, and private where they hold secrets."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.regular_files import replace_text

# systemd lays credentials for a service here, which so needs no right to read what they are kept in.
_CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"


def refuse_existing(paths: Iterable[Path], *, force: bool) -> None:
    """Refuse to write over files.

    Raises:
        ConfigError: One exists and must not be replaced, or none can be written there.
    """
    problems = []
    for path in paths:
        if path.is_dir():
            problems.append(f"{path}: is a folder")
        elif not path.parent.is_dir():
            problems.append(f"{path}: there is no folder {path.parent}")
        elif os.path.lexists(path) and not force:
            problems.append(f"{path}: exists; --force replaces it, and --output names another file")
    if problems:
        raise ConfigError(problems)


def write(path: Path, text: str, *, private: bool) -> None:
    """Write a whole file at once.

    Raises:
        ConfigError: It cannot be written.
    """

    def open_up(new: Path) -> None:
        # To others only where there is nothing secret in it.
        if not private:
            new.chmod(0o666 & ~_umask())

    try:
        replace_text(path, text, open_up=open_up)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be written: {error.strerror}"]) from None


def reference(path: Path) -> str:
    """Return the path of a secret for a file of settings, where `${` begins a reference.

    What is below /etc is for a service: where systemd hands it a credential of the same name, that one is read.
    """
    folder = str(path.parent).replace("${", "$${")
    if path.is_relative_to("/etc") and "}" not in folder:
        folder = f"${{{_CREDENTIALS}:-{folder}}}"
    return f"{folder}/{path.name}"


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current
