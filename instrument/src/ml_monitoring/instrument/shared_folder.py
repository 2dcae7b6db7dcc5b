"""The folder that worker processes share, `PROMETHEUS_MULTIPROC_DIR`: dead ones' counts become one file of each kind.

prometheus_client gives each process files of its own and keeps them for ever, so that every worker that ever lived is
read at every scrape. Here the dead ones' files are added up. Which step a merge has reached is in the names alone:

    counter_PID.db         a process's own
    counter_PID.8.dead     a dead process's, which generation 8 is about to contain
    counter_merged-8.db    what dead processes counted, all of generations 1 to 8

A merge renames files to the next generation, writes the sum beside them, renames that into place, and removes what it
contains. While `merged-8` is not there its parts count; once it is there they do not. So a merge that ends anywhere, by
`kill -9` too, has lost and doubled nothing, and the next one goes on from there. Nobody waits for a merge: those who
find one under way leave it, and readers read again when names changed under them.

A living process holds a lock on one byte of a file, at the place of its id; the kernel takes it away whatever ends it.
Process ids alone would say nothing of a container next door.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from prometheus_client import values
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
LOCK_FILE: Final = "processes.lock"

_log = logging.getLogger("ml_monitoring.instrument")
_FOLDER_BYTE: Final = 0
_NAME: Final = re.compile(
    r"(?P<prefix>\w+)_(?:(?P<pid>\d+)\.db|\d+\.(?P<target>\d+)\.dead|merged-(?P<generation>\d+)\.db)"
)
_OURS: Final = frozenset({".db", ".dead", ".new", ".damaged"})
# So many dead processes wait to be merged: it costs about the same for one as for all of them.
_ENOUGH: Final = 8
_LIVE: Final = "gauge_live"
# Gauges of the mode `all` show each process by itself, dead ones too; of those the latest remain.
_ALL: Final = "gauge_all"
_KEPT_OF_ALL: Final = 100
_READINGS: Final = 50

_Entry = tuple[float, float]
"""A sample's value, and its time where it has one."""


def _sum(one: _Entry, other: _Entry) -> _Entry:
    return one[0] + other[0], 0.0


def _latest(one: _Entry, other: _Entry) -> _Entry:
    return max(one, other, key=lambda entry: entry[1])


# How files of dead processes become one, by the beginning of their names.
_RULES: Final[dict[str, Callable[[_Entry, _Entry], _Entry]]] = {
    "counter": _sum,
    "histogram": _sum,
    "summary": _sum,
    "gauge_sum": _sum,
    "gauge_min": min,
    "gauge_max": max,
    "gauge_mostrecent": _latest,
}


class SharedCollector(Collector):
    """Collects what all worker processes hold, living and dead.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def collect(self) -> Iterator[Metric]:
        """Merge what is dead, and yield the metrics.

        Raises:
            RuntimeError: The folder changed whenever it was read.
        """
        # What cannot be merged (a full disk, a folder that may only be read) still counts.
        with suppress(OSError):
            merge_dead(self._path)
        for _ in range(_READINGS):
            listing = _Listing(self._path)
            try:
                metrics = MultiProcessCollector.merge([str(self._path / name) for name in listing.counting()])
            except FileNotFoundError:
                continue
            # A folder is not listed at one moment: a merge meanwhile may have hidden files from both its names.
            if _Listing(self._path).inherited() == listing.inherited():
                yield from metrics
                return
        raise RuntimeError(f"{VARIABLE}: {self._path}: files changed whenever they were read")


def shared_folder() -> Path | None:
    """Return the folder, or None where there is one process only."""
    # prometheus_client takes its old name as well.
    path = os.environ.get(VARIABLE) or os.environ.get(VARIABLE.lower())
    return Path(path) if path else None


def check_used() -> None:
    """Refuse a folder that this process would read and never write.

    Raises:
        ValueError: The variable was set after prometheus_client was imported, which keeps all in memory since.
    """
    if shared_folder() is not None and values.ValueClass is values.MutexValue:
        raise ValueError(f"{VARIABLE} is set too late: set it before prometheus_client is imported")


def join() -> None:
    """Make the folder if it is missing, and show other processes that this one is alive. Repeating it does nothing.

    Raises:
        ValueError: The folder cannot be made or written.
    """
    path = shared_folder()
    if path is None:
        return
    try:
        path.mkdir(parents=True, exist_ok=True)
        if _locks.claim(path) and not _opened(path, _Listing(path).processes.get(os.getpid(), ())):
            # Files of this process that it has not made are those of an earlier one with its id.
            merge_dead(path, leftover=os.getpid(), enough=1)
    except FileExistsError:
        raise ValueError(f"{VARIABLE}: {path}: it is a file, not a folder") from None
    except OSError as error:
        raise ValueError(
            f"{VARIABLE}: {path}: {error.strerror}; set it to a folder that the workers may write"
        ) from None


def clear() -> None:
    """Make the folder if it is missing, and empty it unless another process is at work in it.

    When the server is not gunicorn, call this before the workers start. Files that this process has open stay.

    Raises:
        ValueError: The variable is not set, or the folder cannot be made or written.
    """
    path = shared_folder()
    if path is None:
        raise ValueError(
            f"{VARIABLE} is not set: it names the folder that worker processes share; before the server starts: "
            f"export {VARIABLE}=/tmp/ml-monitoring"
        )
    join()
    with _locks.all_processes(path) as alone:
        if alone:
            names = [entry.name for entry in os.scandir(path) if Path(entry.name).suffix in _OURS]
            for name in set(names) - _opened(path, names):
                (path / name).unlink(missing_ok=True)


def merge_dead(path: Path, *ended: int, leftover: int = 0, enough: int = _ENOUGH) -> set[int]:
    """Drop the live gauges of dead processes, and merge their counts once so many of them are dead.

    Args:
        path: The folder.
        ended: Processes that ended some time ago. Others are looked at only where this process has files by its own id:
            prometheus_client can be told to name them by something else.
        leftover: This process, when files with its id are not its own.
        enough: How many have to be dead.

    Returns:
        Of those that ended, those that still have files.
    """
    with _locks.exclusive(path) as unused:
        if not unused:
            return set(ended)
        _finish(path)
        listing = _Listing(path)
        known = set(listing.processes if os.getpid() in listing.processes else ended)
        dead = [pid for pid in listing.processes if pid == leftover or (pid in known and not _is_alive(path, pid))]
        names = [name for pid in dead for name in listing.processes[pid]]
        of_all = sorted((name for name in names if _prefix(name) == _ALL), key=lambda name: _age(path / name))
        for name in (*(name for name in names if name.startswith(_LIVE)), *of_all[_KEPT_OF_ALL:]):
            (path / name).unlink(missing_ok=True)
        waiting = [pid for pid in dead if any(_prefix(name) in _RULES for name in listing.processes[pid])]
        # What is left of an earlier merge could not be finished: the disk is full.
        if len(waiting) < enough or listing.dead:
            return set(listing.processes).intersection(ended)
        for pid in waiting:
            with _locks.process(path, pid) as free:
                # A new process with this id waits for the lock, so that it does not count into a file that goes.
                if free and (pid == leftover or not _runs(pid)):
                    for name in listing.processes[pid]:
                        if (prefix := _prefix(name)) in _RULES:
                            generation = listing.merged.get(prefix, 0) + 1
                            (path / name).rename(path / f"{name.removesuffix('.db')}.{generation}.dead")
        _finish(path)
        return set(_Listing(path).processes).intersection(ended)


class _Listing:
    """What is in the folder, by the names.

    Attributes:
        processes: Files of each process.
        merged: The newest generation by prefix.
        dead: Files that are about to be merged.
        obsolete: What a merged file contains already.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.processes: dict[int, list[str]] = {}
        self.merged: dict[str, int] = {}
        generations: list[tuple[int, str]] = []
        parts: list[tuple[int, str]] = []
        for name in os.listdir(path):  # noqa: PTH208  # names are what is wanted
            found = _NAME.fullmatch(name)
            if found is None:
                continue
            prefix, pid, target, generation = found.groups()
            if pid is not None:
                self.processes.setdefault(int(pid), []).append(name)
            elif target is not None:
                parts.append((int(target), name))
            else:
                generations.append((int(generation), name))
                self.merged[prefix] = max(self.merged.get(prefix, 0), int(generation))
        self.dead = [name for generation, name in parts if generation > self.merged.get(_prefix(name), 0)]
        self.obsolete = [
            *(name for generation, name in parts if generation <= self.merged.get(_prefix(name), 0)),
            *(name for generation, name in generations if generation < self.merged[_prefix(name)]),
        ]

    def inherited(self) -> set[str]:
        """Return the files that hold what dead processes left."""
        return {*self.dead, *(_merged_name(prefix, generation) for prefix, generation in self.merged.items())}

    def counting(self) -> list[str]:
        """Return the files that count. One that is just being made is empty."""
        own = (name for names in self.processes.values() for name in names)
        return [*self.inherited(), *(name for name in own if (self._path / name).stat().st_size)]


def _prefix(name: str) -> str:
    return name.rpartition("_")[0]


def _merged_name(prefix: str, generation: int) -> str:
    return f"{prefix}_merged-{generation}.db"


def _age(file: Path) -> float:
    try:
        return -file.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _finish(path: Path) -> None:
    """Do what a merge that has begun leaves to do: add up the parts, put the sum in place, remove what it contains."""
    listing = _Listing(path)
    for name in listing.obsolete:
        (path / name).unlink(missing_ok=True)
    for prefix in {_prefix(name) for name in listing.dead}:
        generation = listing.merged.get(prefix, 0)
        parts = [name for name in listing.dead if _prefix(name) == prefix]
        if generation:
            parts.insert(0, _merged_name(prefix, generation))
        total: dict[str, _Entry] = {}
        for name in parts:
            for key, entry in _read(path / name):
                total[key] = _RULES[prefix](total[key], entry) if key in total else entry
        new = path / f"{prefix}.new"
        new.write_bytes(_packed(total))
        new.replace(path / _merged_name(prefix, generation + 1))
        for name in parts:
            (path / name).unlink(missing_ok=True)


def _read(file: Path) -> list[tuple[str, _Entry]]:
    """Return the samples of a file; one that cannot be read is set aside."""
    if not file.stat().st_size:
        return []
    try:
        return [(key, (value, at)) for key, value, at, _ in MmapedDict.read_all_values_from_file(str(file))]
    except (RuntimeError, UnicodeDecodeError, struct.error) as error:
        _log.warning("%s is damaged and does not count any more: %s", file, error)
        file.rename(file.with_suffix(".damaged"))
        return []


def _packed(samples: dict[str, _Entry]) -> bytes:
    """Return a file as prometheus_client has them. Its own writing ends the process when the disk is full."""
    parts = []
    for key, entry in samples.items():
        text = key.encode()
        padded = text + b" " * (8 - (len(text) + 4) % 8)
        parts.append(struct.pack(f"i{len(padded)}sdd", len(text), padded, *entry))
    body = b"".join(parts)
    return struct.pack("i4x", 8 + len(body)) + body


def _opened(path: Path, names: Iterable[str]) -> set[str]:
    """Return those of the files that this process has open."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        # Not Linux: those with its id may well be.
        return {name for name in names if name.endswith(f"_{os.getpid()}.db")}
    real = path.resolve()
    return {name for name in names if f" {real / name}\n" in maps}


def _is_alive(path: Path, pid: int) -> bool:
    if pid == os.getpid() or _runs(pid):
        return True
    with _locks.process(path, pid) as free:
        return not free


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


class _Locks:
    """Locks on bytes of one file, which a process opens once: closing any descriptor of it would drop them all."""

    def __init__(self) -> None:
        self._descriptor = -1
        # The kernel's locks are between processes, not threads.
        self._busy = threading.Lock()

    def claim(self, path: Path) -> bool:
        """Show that this process is alive; return whether that is new."""
        before = self._descriptor
        return self._open(path) != before

    def after_fork(self) -> None:
        """Show that this child is alive; it has its parent's descriptor, but none of its locks."""
        self._busy = threading.Lock()
        if self._descriptor >= 0:
            with suppress(OSError):
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1, os.getpid())

    @contextmanager
    def exclusive(self, path: Path) -> Iterator[bool]:
        """Hold the folder; yield False at once where another process or thread does."""
        if not self._busy.acquire(blocking=False):
            yield False
            return
        try:
            with self._held(path, _FOLDER_BYTE, 1) as free:
                yield free
        finally:
            self._busy.release()

    @contextmanager
    def process(self, path: Path, pid: int) -> Iterator[bool]:
        """Hold the place of a process; yield False where it does so itself."""
        if pid == os.getpid():
            yield True
            return
        with self._held(path, pid, 1) as free:
            yield free

    @contextmanager
    def all_processes(self, path: Path) -> Iterator[bool]:
        """Hold the places of all processes; yield False where another one holds its own."""
        own = os.getpid()
        with self._held(path, own + 1, 0) as above_free:
            if own == 1:
                yield above_free
            else:
                with self._held(path, 1, own - 1) as below_free:
                    yield above_free and below_free

    @contextmanager
    def _held(self, path: Path, start: int, length: int) -> Iterator[bool]:
        descriptor = self._open(path)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
        except (BlockingIOError, PermissionError):
            yield False
            return
        try:
            yield True
        finally:
            fcntl.lockf(descriptor, fcntl.LOCK_UN, length, start)

    def _open(self, path: Path) -> int:
        file = path / LOCK_FILE
        if self._descriptor >= 0:
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(self._descriptor), file.stat()):
                    return self._descriptor
            # Somebody has made the folder again; nobody looks at the old file any more.
            os.close(self._descriptor)
            self._descriptor = -1
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        with suppress(PermissionError):
            # Whatever the umask: the workers may run as another user. Whether they may is a matter of the folder.
            os.fchmod(self._descriptor, 0o666)
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1, os.getpid())
        return self._descriptor


_locks: Final = _Locks()
os.register_at_fork(after_in_child=_locks.after_fork)
