"""The command line: all changes, or those of some rules, and which of them no unit test killed."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tools.mutants
from ml_monitoring.exporter.command_parser import CommandParser
from tools.mutants import cases
from tools.mutants.changes import Mutant, mutants
from tools.mutants.explained import EXPLAINED
from tools.mutants.runner import Memory, MutationRunner
from tools.packages import TOOLS_DIR, ensure_programs

# Git ignores it. A run that was stopped goes on where it was, and one after a change runs only what the change touches.
MEMORY = TOOLS_DIR / "mutants.jsonl"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the changes that no test noticed; return 1 when one of them is not explained."""
    summary = (tools.mutants.__doc__ or "").splitlines()[0]
    parser = CommandParser(prog="python -m tools.mutants", description=summary)
    parser.add_argument("names", nargs="*", metavar="RULE", help="alerts or recorded series (default: all)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--afresh", action="store_true", help=f"do not use what {MEMORY.name} remembers")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    chosen = mutants(options.names)
    survived = survivors(chosen, Memory(None if options.afresh else MEMORY), workers=options.workers)
    unexplained = [mutant for mutant in survived if str(mutant) not in EXPLAINED]
    for mutant in survived:
        print(f"survived: {mutant}{_reason(mutant)}")
    took = time.monotonic() - began
    print(f"{len(chosen)} changes, {len(survived)} survived, {len(unexplained)} of them unexplained; {took:.0f} s")
    return 1 if unexplained or not chosen else 0


def survivors(chosen: Sequence[Mutant], memory: Memory, *, workers: int) -> list[Mutant]:
    """Return the changes that no unit test noticed."""
    promtool = ensure_programs(["promtool"])["promtool"]
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(workers) as pool:
        asked = cases.of_alerts()
        if {mutant.rule for mutant in chosen} - {case.name for case in asked}:
            asked += cases.of_recorded_series(Path(scratch, "cases"))
        runner = MutationRunner(promtool, asked, memory)
        alive = pool.map(runner.survives, chosen)
        return [mutant for mutant, lives in zip(chosen, alive, strict=True) if lives]


def _reason(mutant: Mutant) -> str:
    reason = EXPLAINED.get(str(mutant))
    return f" (explained: {reason})" if reason else ""
