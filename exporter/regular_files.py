"""Opening files that a user named: only regular ones, so that no open waits, as that of a FIFO without a writer does.

All errors are an `OSError` whose `strerror` says what is wrong.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

# What people give on purpose: an open descriptor (`<(command)` in a shell), and nothing at all.
_TAKEN_AS_IT_IS: Final = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin", os.devnull)
_NOT_TEXT: Final = "not UTF-8; is it a text file? save it as UTF-8"
_KINDS: Final = {
    stat.S_ISDIR: "a directory",
    stat.S_ISFIFO: "a FIFO",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


class Identity(NamedTuple):
    """What tells whether a path still leads to the same, unchanged file."""

    device: int
    inode: int
    size: int
    modified: int
    # A copy over a file can put its time back, but not this one; positions of older versions lack it.
    changed: int = 0

    @classmethod
    def none(cls) -> Identity:
        """Return an identity that no file has."""
        return cls(0, 0, 0, 0)

    @classmethod
    def of(cls, status: os.stat_result) -> Identity:
        """Take it from a file's status."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def same_file(self, other: Identity) -> bool:
        """Tell whether it is the same file, changed or not."""
        return self[:2] == other[:2]


def identities(paths: Iterable[str | Path]) -> list[Identity | None]:
    """Return what each of some paths leads to; None where there is nothing, or nothing that may be looked at."""
    found: list[Identity | None] = []
    for path in paths:
        try:
            found.append(Identity.of(Path(path).expanduser().stat()))
        except (OSError, RuntimeError):
            # The second one: `~` of somebody who has no home.
            found.append(None)
    return found


class NotRegularError(OSError):
    """Report a path that leads to something else than a regular file.

    Attributes:
        is_directory: Whether it leads to a directory.
    """

    def __init__(self, status: os.stat_result) -> None:
        kind = next((name for is_kind, name in _KINDS.items() if is_kind(status.st_mode)), "something else")
        super().__init__(errno.EINVAL, f"is {kind}, not a regular file")
        self.is_directory = stat.S_ISDIR(status.st_mode)


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading, unbuffered.

    Raises:
        OSError: There is no regular file, or it may not be read.
    """
    # A socket cannot be opened at all, and says nothing of why.
    require_regular(path)
    # It may have been replaced since: without O_NONBLOCK, opening a FIFO would wait for a writer for ever.
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0)
    try:
        check_regular(os.fstat(file.fileno()))
    except OSError:
        file.close()
        raise
    return file


def describe_read_error(error: OSError | UnicodeDecodeError) -> str:
    """Return why a file could not be read, without its content."""
    return error.strerror or str(error) if isinstance(error, OSError) else _NOT_TEXT


def read_text(path: Path) -> str:
    """Return what a file holds.

    Raises:
        OSError: There is no regular file, or it may not be read.
        UnicodeDecodeError: It is not UTF-8 text.
    """
    if str(path).startswith(_TAKEN_AS_IT_IS):
        return path.read_text(encoding="utf-8")
    with open_regular(path) as file:
        return file.read().decode()


def require_regular(path: Path) -> os.stat_result:
    """Return the status of a file without opening it.

    Raises:
        OSError: There is no regular file.
    """
    status = path.stat()
    check_regular(status)
    return status


def check_regular(status: os.stat_result) -> None:
    """Refuse the status of what is no regular file.

    Raises:
        NotRegularError: It is none.
    """
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularError(status)


def replace_text(path: Path, text: str, *, open_up: Callable[[Path], None]) -> None:
    """Write a whole file at once, as UTF-8: who reads it sees the old text or the new one.

    Args:
        path: The file, which need not be there.
        text: The text, with its ends of lines as they are.
        open_up: Gives the rights to the new file, which its owner alone can read, before it takes its place.

    Raises:
        OSError: It cannot be written; what was there stays.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    new = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        open_up(new)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
