"""The command line: simulate all alerts or some, print what they did, and write the page when it was all."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import tools.soundness
from tools.packages import ensure_programs
from tools.soundness.judge import Effort, judge
from tools.soundness.report import interval, misses, write
from tools.soundness.scenarios import SCENARIOS

PAGE = Path("docs/soundness.md")
DATA = Path("docs/soundness.json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each alert and level of traffic; return 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m tools.soundness", description=tools.soundness.__doc__)
    parser.add_argument("names", nargs="*", metavar="ALERT", help="default: all, which writes docs/soundness.*")
    parser.add_argument("--months", type=int, default=12, help="healthy months for each level (default: 12)")
    parser.add_argument("--faults", type=int, default=40, help="simulations of each fault (default: 40)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    chosen = [scenario for scenario in SCENARIOS if not options.names or scenario.alert in options.names]
    programs = ensure_programs(["prometheus", "promtool"])
    began = time.monotonic()
    judgements = []
    with ProcessPoolExecutor(options.workers) as pool:
        one = partial(judge, effort=Effort(options.months, options.faults), programs=programs)
        for judged in pool.map(one, chosen):
            judgements += judged
            for level in judged:
                low, high = interval(level.false_alarms, level.months)
                faults = "; ".join(f"{one.fault}: {one.share:.0%}" for one in level.found)
                print(f"{level.alert:32} {level.level:6} {level.false_alarms:3} ({low:.2g} to {high:.2g})  {faults}")
    if not options.names:
        write(judgements, SCENARIOS, PAGE, DATA)
    missed = misses(judgements)
    for line in missed:
        print(f"missed: {line}")
    print(f"{len(chosen)} alerts, {len(missed)} goals missed; {time.monotonic() - began:.0f} s")
    return 1 if missed or not chosen else 0
