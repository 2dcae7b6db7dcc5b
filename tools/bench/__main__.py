"""Run benchmarks and print their figures: `python -m tools.bench --help`."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

from ml_monitoring.exporter.command_parser import CommandParser
from ml_monitoring.exporter.suggestions import suggestion_or_all
from tools.bench import TOPICS
from tools.bench.mlflow_answers import PARTS
from tools.bench.results import as_table


def main() -> int:
    """Run the chosen topics; return 1 when a limit was missed."""
    parser = CommandParser(
        prog="python -m tools.bench",
        description="Measure what the project promises.",
        epilog="topics:\n" + "\n".join(f"  {name:11} {purpose}" for name, purpose in TOPICS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help="default: all")
    parser.add_argument("--quick", action="store_true", help="a tenth of the size, to see that everything runs")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write figures of mlflow and servers to this file, or add to it"
    )
    mlflow = parser.add_argument_group("mlflow")
    mlflow.add_argument("--runs", type=int, help="size of the store (default: 100000)")
    mlflow.add_argument("--metric-rows", type=int, help="rows of its metrics' history (default: 5000000)")
    mlflow.add_argument("--grow", type=int, metavar="RUNS", help="measure refreshes on a store of this size, too")
    mlflow.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="measure only this (default: all)")
    options = parser.parse_args()
    if unknown := sorted(set(options.topics) - TOPICS.keys()):
        parser.error(f"there is no topic {unknown[0]}{suggestion_or_all(unknown[0], TOPICS)}")
    good = True
    for name in options.topics or TOPICS:
        results = import_module(f"tools.bench.{name}").run(options)
        print(f"{TOPICS[name]}\n{as_table(results)}", flush=True)
        good = good and all(result.good for result in results)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
