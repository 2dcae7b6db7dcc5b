"""How far followed files were read, and the file in which that outlasts the process."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ml_monitoring.exporter import state_files
from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.regular_files import Identity
from ml_monitoring.exporter.sources.fleet.csv import CsvPosition

BEGINNING: Final = -math.inf
_VERSION = 1
_KIND: Final = "a position file"
_KEYS: Final = frozenset({"version", "path", "parts"})
_SETTING: Final = "position_file"


@dataclass(frozen=True, slots=True)
class Part:
    """How far one file was read.

    Attributes:
        identity: The file as it was then.
        position: Where to go on in a CSV file.
        newest: The newest time that was read by then, for Parquet files.
        final: Whether a last line without its end was read too.
        problem: Why nothing of it can be used; empty when it can.
    """

    identity: Identity
    position: CsvPosition | None = None
    newest: float = BEGINNING
    final: bool = False
    problem: str = ""

    def grown_into(self, identity: Identity) -> bool:
        """Tell whether it is the same file, as long as then or longer."""
        return identity.same_file(self.identity) and identity.size >= self.identity.size


def load(position_file: Path | None, followed: Path) -> dict[str, Part]:
    """Read the positions of the followed file or folder; none when they were never saved.

    Raises:
        SourceError: The file cannot be read or is not ours.
    """
    if position_file is None:
        return {}
    saved = state_files.read(position_file, _KIND, _KEYS, _SETTING)
    if saved is None:
        return {}
    try:
        if saved["version"] != _VERSION or saved["path"] != str(followed.absolute()):
            return {}
        return {
            name: Part(
                Identity(*part["identity"]),
                CsvPosition(part["offset"], part["row"], bytes.fromhex(part["fingerprint"]))
                if "offset" in part
                else None,
                part.get("newest", BEGINNING),
                part["final"],
            )
            for name, part in saved["parts"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise state_files.refusal(position_file, _KIND, _SETTING) from None


def save(position_file: Path | None, followed: Path, parts: dict[str, Part]) -> None:
    """Write the positions, in one step; a part that cannot be read is tried again by the next process.

    Raises:
        SourceError: The file cannot be written.
    """
    if position_file is None:
        return
    content = {
        "version": _VERSION,
        "path": str(followed.absolute()),
        "parts": {name: _describe(part) for name, part in sorted(parts.items()) if not part.problem},
    }
    fresh = position_file.with_name(f".{position_file.name}.new")
    try:
        position_file.parent.mkdir(parents=True, exist_ok=True)
        # Whatever was left there, nothing is waited for.
        fresh.unlink(missing_ok=True)
        fresh.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        fresh.replace(position_file)
    except OSError as error:
        raise SourceError(Reason.READ, f"{position_file} cannot be written: {error.strerror}") from None


def _describe(part: Part) -> dict[str, object]:
    described: dict[str, object] = {"identity": list(part.identity), "final": part.final}
    if part.position is not None:
        offset, row, fingerprint = part.position
        described |= {"offset": offset, "row": row, "fingerprint": fingerprint.hex()}
    if part.newest > BEGINNING:
        described["newest"] = part.newest
    return described
