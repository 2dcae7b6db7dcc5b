"""The command line: simulate all alerts or some, print what they did, and write it down."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import tools.soundness
from ml_monitoring.alerting.operate.soundness import Measured, load, save
from ml_monitoring.exporter.command_parser import CommandParser
from ml_monitoring.exporter.suggestions import suggestion_or_all
from tools.packages import ensure_programs
from tools.soundness.judge import Effort, in_words_of, is_today, judge
from tools.soundness.report import misses, summary, write
from tools.soundness.scenario import Scenario
from tools.soundness.scenarios import SCENARIOS

PAGE = Path("docs/soundness.md")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each alert and level of traffic; return 1 when a goal is missed."""
    parser = CommandParser(prog="python -m tools.soundness", description=tools.soundness.__doc__)
    parser.add_argument("names", nargs="*", metavar="ALERT", help="default: all")
    parser.add_argument("--months", type=int, default=4, help="healthy months for each level (default: 4)")
    parser.add_argument("--critical-months", type=int, default=24, help="the same of critical alerts (default: 24)")
    parser.add_argument("--faults", type=int, default=20, help="simulations of each fault (default: 20)")
    parser.add_argument("--seed", type=int, default=1, help="other random numbers")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--again", action="store_true", help="also what neither its rule nor its scenario changed")
    parser.add_argument("--document", action="store_true", help=f"simulate nothing, and write {PAGE} of what is known")
    options = parser.parse_args(arguments)
    alerts = [scenario.alert for scenario in SCENARIOS]
    if unknown := sorted(set(options.names).difference(alerts)):
        parser.error(f"nothing is simulated of {unknown[0]}{suggestion_or_all(unknown[0], alerts)}")
    measured = load()
    if options.document:
        _document()
        return 0
    effort = Effort(options.months, options.faults, critical_months=options.critical_months)
    chosen = [scenario for scenario in SCENARIOS if not options.names or scenario.alert in options.names]
    began = time.monotonic()
    for name, one, seconds in _measure(chosen, effort, {} if options.again else measured, options):
        print("\n".join(summary(name, level) for level in one.levels), f" [{seconds:.0f} s]", flush=True)
        # Others may have written since.
        save(load() | {name: one})
    measured = _document()
    missed = [line for scenario in chosen for line in misses(scenario.alert, measured[scenario.alert])]
    for line in missed:
        print(f"missed: {line}")
    print(f"{len(chosen)} alerts, {len(missed)} goals missed; {time.monotonic() - began:.0f} s; see {PAGE}")
    return 1 if missed else 0


def _document() -> dict[str, Measured]:
    """Write down what is known in the words of today's scenarios; words are no reason to simulate again."""
    known = {scenario.alert: scenario for scenario in SCENARIOS}
    measured = {name: in_words_of(known[name], one) for name, one in load().items() if name in known}
    save(measured)
    write(measured, PAGE)
    return measured


def _measure(
    scenarios: Sequence[Scenario], effort: Effort, before: dict[str, Measured], options: argparse.Namespace
) -> Iterator[tuple[str, Measured, float]]:
    """Yield what is measured of each alert as it comes, and after how many seconds; without what is known already."""
    programs = ensure_programs(["prometheus", "promtool"])
    todo = [one for one in scenarios if one.alert not in before or not is_today(one, effort, before[one.alert])]
    # What is too much for whole months takes longest: it begins first, so that none is left alone at the end.
    todo.sort(key=lambda one: one.healthy_span)
    workers = max(1, options.workers // max(1, len(todo)))
    with ProcessPoolExecutor(options.workers) as pool:
        began = time.monotonic()
        running = {
            pool.submit(judge, scenario, effort, programs, seed=options.seed, workers=workers): scenario.alert
            for scenario in todo
        }
        for done in as_completed(running):
            yield running[done], done.result(), time.monotonic() - began
