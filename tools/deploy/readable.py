"""Let the containers' users read what is mounted and built into images.

A checkout that was made with umask 077 can be read by its owner only, and no container runs as that owner. There is
nothing secret in these folders; those of secrets, backups and generated files are left alone.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from tools.deploy.engine import DOCKER, ROOT, DeployError

_FOLDERS = (ROOT / "exporter", ROOT / "alerting", ROOT / "dashboards" / "generated", DOCKER)
_PRIVATE = frozenset({"secrets", "backups", "run", ".env"})


def make_readable() -> int:
    """Add the missing permissions; return how many files and folders lacked some.

    Raises:
        DeployError: They belong to somebody else.
    """
    return sum(
        _open(path) for folder in _FOLDERS for path in public(folder, _PRIVATE if folder == DOCKER else frozenset())
    )


def public(folder: Path, private: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Return a folder and what is in it, but for those of its own entries that are private, and links."""
    yield folder
    for entry in folder.iterdir():
        if entry.name in private or entry.is_symlink():
            continue
        if entry.is_dir():
            yield from public(entry)
        else:
            yield entry


def _open(path: Path) -> bool:
    mode = path.stat().st_mode
    # What its owner may run or enter, others may.
    wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
    if wanted == mode:
        return False
    try:
        path.chmod(stat.S_IMODE(wanted))
    except PermissionError:
        raise DeployError(f"containers cannot read {path}, and its permissions are not yours to change") from None
    return True
