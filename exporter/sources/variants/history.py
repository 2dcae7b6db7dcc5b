"""What the source keeps of the monitoring table, which itself has only the present: bounded, and in a file if wanted.

Without a file, variants are compared from their ages at a restart on.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ml_monitoring.exporter import state_files
from ml_monitoring.exporter.errors import SourceError
from ml_monitoring.exporter.sources.variants.equal_age import EqualAges, Totals
from ml_monitoring.exporter.sources.variants.traffic import PostedTogether

_VERSION: Final = 1
_KEYS: Final = frozenset({"version", "personas"})
# Variants that are remembered, about 3 KB each.
_MOST: Final = 10_000
_EVERY: Final = 60.0


@dataclass(slots=True)
class PersonaHistory:
    """What is kept of one persona.

    Attributes:
        ages: Totals of its active variants by age.
        splits: Views of those that were posted together.
    """

    ages: EqualAges = field(default_factory=EqualAges)
    splits: dict[tuple[str, ...], PostedTogether] = field(default_factory=dict)


class VariantHistory:
    """What is kept of all personas.

    Args:
        file: Where it survives a restart; None for nowhere.

    Attributes:
        error: Why the file could not be written; empty when it could.
        refused: Why the file is not ours, and therefore never written; None when it is.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._personas: dict[str, PersonaHistory] = {}
        self._written: float | None = None
        self.error = ""
        self.refused: SourceError | None = None
        if file is not None:
            try:
                self._personas = _read(file)
            except SourceError as error:
                self.refused, self.error = error, f"{error} - {error.hint}" if error.hint else str(error)
                self.freeze()

    def freeze(self) -> None:
        """Write no file from now on."""
        self._file = None

    def of(self, persona: str) -> PersonaHistory:
        """Return what is kept of a persona."""
        return self._personas.setdefault(persona, PersonaHistory())

    def look(self, persona: str, looks: Mapping[str, tuple[float, Totals]], active: Collection[str]) -> PersonaHistory:
        """Take in the active variants of a persona, as far as there is room; return what is kept of it."""
        history = self.of(persona)
        others = sum(len(each.ages.curves) for each in self._personas.values()) - len(history.ages.curves)
        room = max(0, _MOST - others)
        history.ages.look(dict(list(looks.items())[:room]), active)
        return history

    def keep(self, personas: Collection[str]) -> None:
        """Forget all other personas."""
        self._personas = {name: each for name, each in self._personas.items() if name in personas}

    def save(self, now: float, *, at_once: bool = False) -> None:
        """Write the file, unless that was done just before.

        Args:
            now: Seconds of a clock that goes on.
            at_once: Even if it was.
        """
        if self._file is None or (self._written is not None and now - self._written < _EVERY and not at_once):
            return
        self._written = now
        content = {
            "version": _VERSION,
            "personas": {name: each.ages.dump() for name, each in self._personas.items() if each.ages.curves},
        }
        partial = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with gzip.open(partial, "wt", compresslevel=1, encoding="utf-8") as file:
                json.dump(content, file, separators=(",", ":"))
            partial.replace(self._file)
        except OSError as error:
            self.error = f"{self._file}: cannot be written: {error.strerror or error}"
            with contextlib.suppress(OSError):
                partial.unlink()
        else:
            self.error = ""


def _read(path: Path) -> dict[str, PersonaHistory]:
    """Return what was written; nothing where there is no file yet, or one of another version.

    Raises:
        SourceError: The file cannot be read, or holds something else.
    """
    content = state_files.read(path, "a history of variants", _KEYS, "history")
    if content is None or content["version"] != _VERSION:
        return {}
    try:
        return {str(name): PersonaHistory(EqualAges.load(each)) for name, each in content["personas"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return {}
