"""What a check found, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """One check.

    Attributes:
        subject: What was tried.
        ok: Whether it is as it should be.
        message: What was found, and how to fix it.
        warning: It works, and somebody should do something about it.
    """

    subject: str
    ok: bool
    message: str
    warning: bool = False

    @property
    def verdict(self) -> str:
        """Return the word in front of its line."""
        if not self.ok:
            return "FAIL"
        return "warn" if self.warning else "ok"


def show(results: Iterable[Result]) -> bool:
    """Print each result as it comes, and tell whether all are good; warnings are."""
    good = True
    for result in results:
        good = good and result.ok
        first, *rest = result.message.splitlines() or [""]
        print(f"{result.verdict:<4}  {result.subject:<14}  {first}", flush=True)
        for line in rest:
            print(f"{'':22}{line}", flush=True)
    return good
