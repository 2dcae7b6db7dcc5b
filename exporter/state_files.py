"""Files from which a source goes on after a restart: one that holds something else is somebody's, and stays."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any, Final

from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.regular_files import open_regular

_GZIP: Final = b"\x1f\x8b"


def read(path: Path, kind: str, keys: frozenset[str], setting: str) -> dict[str, Any] | None:
    """Return what a source wrote, JSON or that as gzip; None where there is no file yet.

    Args:
        path: The file.
        kind: What it is called, such as `a position file`.
        keys: Those that each such file has, by which it is recognised.
        setting: Which setting names it.

    Raises:
        SourceError: It cannot be read, or holds something else.
    """
    try:
        with open_regular(path) as file:
            data = file.read()
        content = json.loads(gzip.decompress(data) if data.startswith(_GZIP) else data)
    except FileNotFoundError:
        return None
    except (gzip.BadGzipFile, EOFError, zlib.error, ValueError, RecursionError):
        raise refusal(path, kind, setting) from None
    except OSError as error:
        # What cannot be read because there is no folder cannot be written either, which is said then.
        if isinstance(error, NotADirectoryError):
            return None
        raise SourceError(Reason.READ, f"{path} cannot be read: {error.strerror}", setting=(setting,)) from None
    if not isinstance(content, dict) or not keys <= content.keys():
        raise refusal(path, kind, setting)
    return content


def refusal(path: Path, kind: str, setting: str) -> SourceError:
    """Return the error of a file that holds something else."""
    return SourceError(
        Reason.READ,
        f"{path}: not {kind}",
        hint="name another file, which need not be there; or delete this one to begin again, if it is of no use",
        setting=(setting,),
    )
