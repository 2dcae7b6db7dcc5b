"""A program in a terminal of its own, which is answered like a person does."""

from __future__ import annotations

import os
import pty
import select
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self


class Console:
    """A program that asks in a terminal.

    Attributes:
        shown: Everything that the terminal has shown.
    """

    def __init__(self, command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        # In a session of its own with this terminal, as passwords are asked for on /dev/tty.
        self._process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *command], stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=env
        )
        os.close(theirs)
        self.shown = ""
        self._read = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def answer(self, question: str, text: str) -> None:
        """Wait until the question is shown, and type the text and Enter."""
        while question not in self.shown[self._read :]:
            assert self._more(), f"no {question!r} in:\n{self.shown}"
        self._read = self.shown.index(question, self._read) + len(question)
        os.write(self._ours, f"{text}\n".encode())

    def end(self) -> int:
        """Wait until the program has ended, and return its exit status."""
        while self._more():
            pass
        return self._process.wait(30)

    def _more(self) -> bool:
        assert select.select([self._ours], [], [], 60)[0], f"nothing comes any more:\n{self.shown}"
        try:
            got = os.read(self._ours, 4096)
        except OSError:
            # The other end is closed.
            return False
        self.shown += got.decode().replace("\r\n", "\n")
        return bool(got)
