"""Runbooks of the user's own, of which nothing may be left as the template has it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ml_monitoring.exporter.regular_files import read_text

# What the runbook that `ml-monitoring new alert` writes says until somebody fills it in.
UNFILLED: Final = (
    "What is wrong when this fires, in two sentences.",
    "Who notices, and how soon.",
    "What is usual, and what to look at next.",
    "1. ...",
)


def unfilled(path: Path) -> str:
    """Return the sentence about a runbook that still has text of the template; empty where it has none.

    Raises:
        OSError: It cannot be read.
        UnicodeDecodeError: It is not UTF-8 text.
    """
    lines = read_text(path).splitlines()
    found = [str(number) for number, line in enumerate(lines, 1) if line.strip() in UNFILLED]
    if not found:
        return ""
    others = f" (also in lines {', '.join(found[1:])})" if found[1:] else ""
    return f"{path}:{found[0]}: is still as the template has it{others}; who is notified reads this"
