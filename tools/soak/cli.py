"""The command line: faults in random order for so many hours, and a report."""

from __future__ import annotations

import functools
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import tools.soak
from ml_monitoring.exporter.command_parser import CommandParser
from tools.processes import wait_until
from tools.soak import report
from tools.soak.checker import Checker
from tools.soak.faults import FAULTS, Fault
from tools.soak.report import Recovery
from tools.soak.stores import steps
from tools.soak.world import LIMITS, World
from tools.stack import ROOT

# Git ignores it, and it is on a disk, which a folder for temporary files may not be.
_PARENT = ROOT / ".demo"
# After failures a source is tried again within a minute.
_RECOVERY_TIMEOUT = 120.0
_LONGEST_CALM = 15.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return 1 when a number was wrong, something acknowledged was lost, or something did not recover."""
    summary = (tools.soak.__doc__ or "").splitlines()[0]
    parser = CommandParser(prog="python -m tools.soak", description=summary)
    parser.add_argument("--hours", type=float, default=1.0, help="how long (default: 1)")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same order of faults (default: 1)")
    parser.add_argument("--calm", type=float, default=_LONGEST_CALM, help="seconds between faults, at most")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="faults whose name holds this")
    parser.add_argument("--report", type=Path, help="write the report here too")
    options = parser.parse_args(arguments)
    faults = [fault for fault in FAULTS if not options.only or any(text in fault.name for text in options.only)]
    if not faults:
        parser.error(f"there is no such fault; there are: {', '.join(fault.name for fault in FAULTS)}")
    # Everything is stopped, and the small disk unmounted, when the soak is asked to end.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(1))
    _PARENT.mkdir(exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="soak-", dir=_PARENT))
    soak = Soak(directory, faults, seed=options.seed, hours=options.hours, calm=options.calm)
    text, problems = soak.run()
    print(text)
    if options.report:
        options.report.write_text(text, encoding="utf-8")
    if problems:
        print(f"the folder stays, to be looked at: {directory}", file=sys.stderr)
        return 1
    shutil.rmtree(directory)
    return 0


class Soak:
    """One run.

    Args:
        directory: Empty folder.
        faults: What may happen.
        seed: Decides the order of faults and what is written.
        hours: How long.
        calm: Seconds between faults, at most.
    """

    def __init__(self, directory: Path, faults: Sequence[Fault], *, seed: int, hours: float, calm: float) -> None:
        self._directory = directory
        self._faults = faults
        self._seed = seed
        self._hours = hours
        self._calm = calm
        self._chance = random.Random(seed)  # noqa: S311  # the order of faults is no secret
        self._doing = "before the first fault"
        self._write_errors = 0
        self._defects: list[str] = []
        self.recoveries: list[Recovery] = []

    def run(self) -> tuple[str, list[str]]:
        """Run; return the report and what was wrong."""
        stop = threading.Event()
        writes = random.Random(self._seed + 1)  # noqa: S311  # neither is what is written
        with World(self._directory, writes, hours=self._hours) as world:
            checker = Checker(world.watched, [world.alert_log], LIMITS, lambda: self._doing)
            works = [functools.partial(steps, store, errors=self._note_error) for store in world.stores]
            threads = [
                threading.Thread(target=self._work, args=(work, stop), daemon=True)
                for work in (*works, checker.run, world.poster.run)
            ]
            for thread in threads:
                thread.start()
            began = time.monotonic()
            self._await_right(world, began, "start")
            self._break_things(world, began + self._hours * 3600)
            stop.set()
            for thread in threads:
                thread.join(60)
            return self._report(world, checker, (time.monotonic() - began) / 60)

    def _work(self, work: Callable[[threading.Event], None], stop: threading.Event) -> None:
        try:
            work(stop)
        except Exception:  # noqa: BLE001  # a checker that ended must not look like one that found nothing
            self._defects.append(traceback.format_exc())

    def _break_things(self, world: World, until: float) -> None:
        coming: deque[Fault] = deque()
        while time.monotonic() < until and not self._defects:
            # Each once before any comes twice.
            coming = coming or deque(self._chance.sample(self._faults, len(self._faults)))
            fault = coming.popleft()
            if "clock" in fault.name and world.faketime is None:
                continue
            lasts = self._chance.uniform(fault.longest / 3, fault.longest)
            self._doing = f"{fault.name} for {lasts:.0f} s"
            print(f">> {time.strftime('%H:%M:%S')} {self._doing}", file=sys.stderr, flush=True)
            with fault.happens(world, self._chance):
                time.sleep(lasts)
            self._doing = f"after: {fault.name}"
            self._await_right(world, time.monotonic(), fault.name)
            time.sleep(self._chance.uniform(0, self._calm))

    def _await_right(self, world: World, since: float, what: str) -> None:
        """Wait until everything shows what is there now."""

        def right() -> bool:
            moments = [w.right_at.get(source, 0.0) for w in world.watched for source in w.stores]
            return bool(self._defects) or min(*moments, world.poster.right_at) > since

        recovered = wait_until(right, timeout=_RECOVERY_TIMEOUT, poll=0.1)
        self.recoveries.append(Recovery(what, time.monotonic() - since if recovered else None))

    def _note_error(self) -> None:
        self._write_errors += 1

    def _report(self, world: World, checker: Checker, minutes: float) -> tuple[str, list[str]]:
        poster = world.poster
        exceptions = report.defects(world.logs)
        wrong = sum(each.counts["wrong"] for each in world.watched)
        late = [recovery.fault for recovery in self.recoveries if recovery.seconds is None]
        problems = [
            *(f"a defect of the soak itself: {defect}" for defect in self._defects),
            *([f"{wrong} wrong numbers shown as fresh"] if wrong else []),
            *(f"not recovered within {_RECOVERY_TIMEOUT:g} s: {name}" for name in late),
            *([f"{poster.missing} acknowledged notifications missing"] if poster.missing > 0 else []),
            *([f"{poster.unexpected} notifications more than were sent"] if poster.unexpected > 0 else []),
            *(f"exceptions in {where}" for where in exceptions),
        ]
        faults = len(self.recoveries) - 1
        lines = [
            f"# Soak of {minutes:.0f} minutes, seed {self._seed}",
            "",
            f"{faults} faults; a number may be {LIMITS.fresh:g} s old while its source is up. "
            f"Clock: {'moved by libfaketime' if world.faketime else 'left alone, there is no libfaketime'}. "
            f"Disk: {'a small tmpfs' if world.disk.mounted else 'a limit to the size of files'}.",
            "",
            *report.table_of_counts(world.watched),
            "",
            f"Alert log: {poster.sent} notifications sent, {poster.acknowledged} acknowledged, "
            f"{max(poster.missing, 0)} of these missing.",
            f"Exceptions in logs: {len(exceptions)}. "
            f"Writes that failed because their store was broken: {self._write_errors}.",
            "",
            *report.table_of_recoveries(self.recoveries),
            "",
            *report.table_of_usages(checker.usages),
            "",
            *(f"- {text}" for text in (*problems, *checker.wrong)),
            "",
            "Nothing was wrong." if not problems else f"{len(problems)} things were wrong.",
        ]
        return "\n".join(lines) + "\n", problems
