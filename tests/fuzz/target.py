"""What a target of the fuzzing is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hypothesis.strategies import SearchStrategy

CORPUS = Path(__file__).parent / "corpus"
# Stands where secrets stand, and is nowhere else.
SECRET = "Zq7Xw9Kp3v"
Check = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that takes input.

    Attributes:
        name: Folder of its inputs in `corpus/`.
        inputs: Makes inputs.
        opened: Gives the check: it takes an input, and fails where something does not hold. Takes an empty folder.
        short: How many made-up inputs `make test` tries.
    """

    name: str
    inputs: SearchStrategy[bytes]
    opened: Callable[[Path], contextlib.AbstractContextManager[Check]]
    short: int

    @property
    def corpus(self) -> list[Path]:
        """Return the files with inputs that are always tried."""
        return sorted((CORPUS / self.name).iterdir())
