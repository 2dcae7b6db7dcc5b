"""Run unit tests against mutants: which are killed, which survive."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.mutants.cases import RULE_FILE, Case
from tools.mutants.changes import Mutant

_TIMEOUT = 300


class FailingTest(Exception):  # noqa: N818  # reads as the sentence it is: `except FailingTest`
    """Report that a unit test fails although nothing was changed."""


class Memory:
    """What unit tests said before, in a file: the same test on the same rules says the same.

    Args:
        path: Where it is kept; None for a memory that ends with the process.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, tuple[bool, float]] = {}
        self._lock = threading.Lock()
        if path is not None and path.is_file():
            # What an interrupted run left incomplete is forgotten, line by line.
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    key, passed, seconds = json.loads(line)
                except ValueError:
                    continue
                self._known[key] = (passed, seconds)

    def get(self, key: str) -> tuple[bool, float] | None:
        """Return whether the test passed and how long it took, when that is known."""
        return self._known.get(key)

    def put(self, key: str, passed: bool, seconds: float) -> None:
        """Keep what a test said."""
        with self._lock:
            self._known[key] = (passed, seconds)
            if self._path is not None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps([key, passed, round(seconds, 3)]) + "\n")


class MutationRunner:
    """Runs unit tests against changed rules.

    Args:
        promtool: The program.
        cases: The unit tests.
        memory: What they said before.
    """

    def __init__(self, promtool: Path, cases: Sequence[Case], memory: Memory) -> None:
        self._promtool = promtool
        self._cases = cases
        self._memory = memory
        # Another promtool may say something else.
        self._version = subprocess.run([promtool, "--version"], capture_output=True, check=True).stdout
        self._seconds: Mapping[str, float] = {}

    def candidates(self, mutant: Mutant) -> list[Case]:
        """Return the unit tests that could notice the change; an alert's own is enough for an alert."""
        own = [case for case in self._cases if case.name == mutant.rule]
        return own or [case for case in self._cases if case.notices(mutant)]

    def survives(self, mutant: Mutant) -> bool:
        """Tell whether every test that could notice the change passes nevertheless.

        Raises:
            FailingTest: One fails without the change too.
        """
        # The quickest is asked first: one that notices is enough.
        candidates = sorted(self.candidates(mutant), key=self._took)
        return all(self._run(case, mutant)[0] for case in candidates)

    def _took(self, case: Case) -> float:
        passed, seconds = self._run(case, None)
        if not passed:
            raise FailingTest(f"the unit test {case.name} fails although nothing was changed")
        return seconds

    def _run(self, case: Case, mutant: Mutant | None) -> tuple[bool, float]:
        rules = case.rules(mutant)
        key = hashlib.sha256(b"\0".join([self._version, rules.encode(), case.text.encode()])).hexdigest()
        known = self._memory.get(key)
        if known is not None:
            return known
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, RULE_FILE).write_text(rules, encoding="utf-8")
            path = Path(folder, "test.yml")
            path.write_text(case.text, encoding="utf-8")
            done = subprocess.run(
                [self._promtool, "test", "rules", path],
                capture_output=True,
                check=False,
                timeout=_TIMEOUT,
                # As many run at once as there are processors.
                env=os.environ | {"GOMAXPROCS": "1"},
            )
        result = done.returncode == 0, time.monotonic() - began
        self._memory.put(key, *result)
        return result
