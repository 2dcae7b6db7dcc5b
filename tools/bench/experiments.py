"""What the source `experiments` promises: a hundred experiments over thirty days, and nothing new costs nothing.

A real Prometheus holds their counters. A process of its own reads them all from the start, as after a restart without a
cache, while its peak memory is read from the kernel; then it refreshes where no batch is new.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.backfilled_prometheus import backfilled_prometheus
from tools.bench.results import Result
from tools.packages import ensure_programs

_EXPERIMENTS = 100
_ARMS = 4
_METRICS = 6
_DAYS = 30
_HOUR = 3600
# 2025-11-03, a Monday.
_START = 1_762_128_000
_MEMORY_LIMIT = 100
_REFRESH_LIMIT = 50
_READ = f"""
import json, resource, statistics, sys, time
from ml_monitoring.exporter.sources.experiments import ExperimentsSettings, ExperimentsSource
settings = ExperimentsSettings.model_validate(json.load(sys.stdin))
source = ExperimentsSource(settings, lambda: {_START + _DAYS * 86400 + 60})
began = time.perf_counter()
while any(each.judgement is None for each in source.tracked.values()) or not source.tracked:
    families = source.collect()
read = time.perf_counter() - began
assert not families.problems, families.problems
times = []
for _refresh in range(100):
    began = time.perf_counter()
    assert source.collect() is families
    times.append(time.perf_counter() - began)
print(json.dumps([read, statistics.median(times), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000]))
"""


def run(options: argparse.Namespace) -> list[Result]:
    """Measure on a Prometheus of its own."""
    experiments = _EXPERIMENTS // 10 if options.quick else _EXPERIMENTS
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        print("  writing thirty days of counters", file=sys.stderr)
        programs = ensure_programs(["prometheus", "promtool"])
        with backfilled_prometheus(programs, Path(folder), _lines(experiments)) as url:
            print("  reading them", file=sys.stderr)
            done = subprocess.run(
                [sys.executable, "-c", _READ],
                input=json.dumps(_settings(url, experiments)),
                capture_output=True,
                text=True,
                check=False,
            )
    if done.returncode:
        raise RuntimeError(done.stderr)
    read, refresh, memory = json.loads(done.stdout)
    what = f"{experiments} experiments, {_ARMS} arms, {_METRICS} metrics, {_DAYS} days"
    return [
        Result(f"{what}: read from the start", read, "s"),
        Result("the same: peak memory of the process", memory, "MB", limit=_MEMORY_LIMIT),
        Result("the same: refresh without a new batch", refresh * 1000, "ms", limit=_REFRESH_LIMIT),
    ]


def _lines(experiments: int) -> Iterator[str]:
    chance = random.Random(1)  # noqa: S311  # test data
    for what in ("trials", *(f"metric{number}" for number in range(_METRICS))):
        for experiment in range(experiments):
            for arm in range(_ARMS):
                value = 0
                series = f'bench_{what}_total{{instance="a:1",job="bench",service="s{experiment}",variant="v{arm}"}}'
                for hour in range(_DAYS * 24 + 1):
                    yield f"{series} {value} {_START + hour * _HOUR}"
                    value += 1000 if what == "trials" else round(chance.gauss(100, 10))


def _settings(url: str, experiments: int) -> dict[str, Any]:
    metrics = {
        f"m{number}": {
            "kind": "proportion",
            "numerator": f"bench_metric{number}_total",
            "denominator": "bench_trials_total",
            "role": "goal" if number < 2 else "guardrail",
        }
        for number in range(_METRICS)
    }
    arms = {f"v{arm}": 1 for arm in range(_ARMS)}
    declared = {
        f"e{number}": {
            "start": _START,
            "end": _START + _DAYS * 86400,
            "arms": arms,
            "baseline": "v0",
            "selector": {"service": f"s{number}"},
            "metrics": metrics,
        }
        for number in range(experiments)
    }
    return {"url": url, "declared": declared}
