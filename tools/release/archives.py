"""Archives with the same bytes for the same content, whenever and wherever they are made."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_FILE: Final = 0o644
_PROGRAM: Final = 0o755


def write(path: Path, contents: Mapping[str, bytes], *, epoch: int) -> None:
    """Write a `.tar.gz`.

    Args:
        path: Where to.
        contents: Files by their paths inside.
        epoch: The time that everything has.
    """
    members = []
    for name, content in contents.items():
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), _FILE
        members.append((member, content))
    path.write_bytes(_packed(members, epoch))


def normalize(path: Path, *, epoch: int) -> None:
    """Write a `.tar.gz` of others again, without times, owners and an order that depend on the machine."""
    members = []
    with tarfile.open(path, "r:gz") as archive:
        for member in archive.getmembers():
            opened = archive.extractfile(member) if member.isfile() else None
            members.append((member, opened.read() if opened else b""))
    path.write_bytes(_packed(members, epoch))


def _packed(members: list[tuple[tarfile.TarInfo, bytes]], epoch: int) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for given, content in sorted(members, key=lambda pair: pair[0].name):
            member = tarfile.TarInfo(given.name)
            member.type, member.linkname, member.size, member.mtime = given.type, given.linkname, len(content), epoch
            member.mode = _PROGRAM if given.isdir() or given.mode & 0o100 else _FILE
            archive.addfile(member, io.BytesIO(content))
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=epoch) as file:
        file.write(raw.getvalue())
    return packed.getvalue()
