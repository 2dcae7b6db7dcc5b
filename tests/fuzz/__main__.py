"""Try made-up inputs for so many minutes, and keep what breaks something in the corpus.

Each target has a process of its own, with a limit to its memory, so that one that crashes or grows ends nothing else.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from ml_monitoring.exporter.command_parser import CommandParser
from tests.fuzz.target import CORPUS, Target
from tests.fuzz.targets import TARGETS
from tests.fuzz.trial import try_corpus, try_made_up

_ROUND = 200
_MOST_ADDRESS_SPACE = 8 << 30
# Of one target; more say the same again.
_MOST_FAILURES = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return 1 when something was found."""
    parser = CommandParser(prog="python -m tests.fuzz", description=(__doc__ or "").splitlines()[0])
    names = [target.name for target in TARGETS]
    parser.add_argument("names", nargs="*", metavar="TARGET", help=f"{', '.join(names)} (default: all)")
    parser.add_argument("--minutes", type=float, default=60, help="of all targets together (default: 60)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="where to begin (default: the time)")
    parser.add_argument("--report", type=Path, help="write the table here too")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if unknown := {*options.names} - {*names}:
        parser.error(f"there is no target {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    chosen = [target for target in TARGETS if not options.names or target.name in options.names]
    if options.alone:
        return _fuzz(chosen[0], options.minutes * 60, options.seed)
    lines = ["| target | inputs | a second | failures |", "|---|---|---|---|"]
    status = 0
    for target in chosen:
        print(f">> {target.name}", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "tests.fuzz", target.name, "--alone"]
        command += [f"--minutes={options.minutes / len(chosen)}", f"--seed={options.seed}"]
        # The limit lets a target end by itself, with what it was doing.
        limit = options.minutes / len(chosen) * 60 + 600
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=limit, check=False)
            row, returned = done.stdout.strip(), done.returncode
        except subprocess.TimeoutExpired:
            row, returned = "", -1
        lines.append(row or f"| {target.name} | - | - | ended with status {returned} |")
        status = max(status, abs(returned))
    table = "\n".join(lines)
    print(table)
    if options.report:
        options.report.write_text(f"{table}\n", encoding="utf-8")
    return min(status, 1)


def _fuzz(target: Target, seconds: float, number: int) -> int:
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_ADDRESS_SPACE, resource.RLIM_INFINITY))
    began = time.monotonic()
    tried = failures = 0

    with tempfile.TemporaryDirectory() as folder, target.opened(Path(folder)) as check:

        def counted(content: bytes) -> None:
            nonlocal tried
            tried += 1
            check(content)

        failures += not _passes(target, lambda: try_corpus(target, counted))
        while time.monotonic() - began < seconds and failures < _MOST_FAILURES:
            number += 1
            failures += not _passes(target, lambda: try_made_up(target, counted, examples=_ROUND, number=number))  # noqa: B023  # called at once
    spent = time.monotonic() - began
    print(f"| {target.name} | {tried:,} | {tried / spent:.0f} | {failures} |")
    return 1 if failures else 0


def _passes(target: Target, attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except Exception as error:  # noqa: BLE001  # whatever it is, it is what was looked for
        traceback.print_exc()
        found = error.exceptions if isinstance(error, ExceptionGroup) else [error]
        for content in filter(None, (getattr(each, "content", None) for each in found)):
            path = CORPUS / target.name / f"found-{hashlib.sha256(content).hexdigest()[:12]}"
            path.write_bytes(content)
            print(f"kept as {path}", file=sys.stderr, flush=True)
        return False
    return True


sys.exit(main())
