"""What the source `experiments` promises: a hundred experiments over thirty days, and nothing new costs nothing.

A real Prometheus holds their counters. A process of its own reads them from the start, as after a restart without a
cache, while its peak memory is read from the kernel; then batch after batch becomes due, and at last none. Beside it
stands what people do without it: rules that ask Prometheus for the increase over all thirty days at each evaluation.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from tools.backfilled_prometheus import backfill, prometheus_process
from tools.bench.results import Result
from tools.bench.usage import answers, cpu_seconds, peak_memory_mb
from tools.packages import ensure_programs
from tools.processes import Process, free_port

_EXPERIMENTS = 100
_ARMS = 4
_METRICS = 6
_DAYS = 30
_HOUR = 3600
# 2025-11-03, a Monday.
_START = 1_762_128_000
_TRIALS = "bench_trials_total"
_COUNTERS = (*(f"bench_metric{number}_total" for number in range(_METRICS)), _TRIALS)
_ROUNDS = 5
_MEMORY_LIMIT = 100
_REFRESH_LIMIT = 50
_BATCHES = 24
_QUERY = "sum by (service, variant) (increase({counter}[{days}d]))"
_READ = f"""
import json, os, statistics, sys, time
from ml_monitoring.exporter.sources.experiments import ExperimentsSettings, ExperimentsSource
from tools.bench.usage import cpu_seconds, peak_memory_mb
given = json.load(sys.stdin)
now = {_START + (_DAYS * 24 - _BATCHES) * _HOUR + 60}
source = ExperimentsSource(ExperimentsSettings.model_validate(given["settings"]), lambda: now)
began = time.perf_counter()
while any(each.judgement is None for each in source.tracked.values()) or not source.tracked:
    source.collect()
found = dict(read=time.perf_counter() - began)
def used():
    return time.process_time(), cpu_seconds(given["prometheus"])
before = used()
for batch in range({_BATCHES}):
    now += {_HOUR}
    # On a busy machine one time limit is not enough for all.
    while any(each.history.end + {_HOUR} < now for each in source.tracked.values()):
        families = source.collect()
        assert not families.problems, families.problems
found["own"], found["prometheus"] = ((after - then) / {_BATCHES} for after, then in zip(used(), before))
times = []
for refresh in range(100):
    began = time.perf_counter()
    assert source.collect() is families
    times.append(time.perf_counter() - began)
print(json.dumps(dict(found, idle=statistics.median(times), memory=peak_memory_mb(os.getpid()))))
"""


def run(options: argparse.Namespace) -> list[Result]:
    """Measure on a Prometheus of its own."""
    experiments = _EXPERIMENTS // 10 if options.quick else _EXPERIMENTS
    programs = ensure_programs(["prometheus", "promtool"])
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        print("  writing thirty days of counters", file=sys.stderr)
        backfill(programs, folder / "data", _lines(experiments))
        url = f"http://127.0.0.1:{free_port()}"
        server = prometheus_process(programs, folder, url)
        # Each with a Prometheus that nobody has asked before.
        with server:
            print("  asking for increases", file=sys.stderr)
            neighbour = _asked(url, server, experiments)
        with server:
            print("  reading them", file=sys.stderr)
            found = _read(url, server, experiments)
    what = f"{experiments} experiments, {_ARMS} arms, {_METRICS} metrics, {_DAYS} days"
    return [
        Result(f"{what}: read from the start", found["read"], "s"),
        Result("the same: peak memory of the process", found["memory"], "MB", limit=_MEMORY_LIMIT),
        Result("the same: refresh without a new batch", found["idle"] * 1000, "ms", limit=_REFRESH_LIMIT),
        Result("the same: processor time of a refresh with a new batch of each", found["own"] * 1000, "ms"),
        Result("and Prometheus's for it", found["prometheus"] * 1000, "ms"),
        *neighbour,
    ]


def _asked(url: str, server: Process, experiments: int) -> list[Result]:
    """Let Prometheus evaluate the increases of all arms and metrics a few times."""
    assert server.pid is not None  # noqa: S101  # it is healthy
    used, taken = [], []
    for _round in range(_ROUNDS):
        before, began = cpu_seconds(server.pid), time.perf_counter()
        for counter in _COUNTERS:
            query = urllib.parse.urlencode(
                {"query": _QUERY.format(counter=counter, days=_DAYS), "time": _START + _DAYS * 86400}
            )
            series = json.loads(answers(f"{url}/api/v1/query?{query}"))["data"]["result"]
            if len(series) != experiments * _ARMS:
                raise RuntimeError(f"Prometheus answers with {len(series)} arms")
        used.append(cpu_seconds(server.pid) - before)
        taken.append(time.perf_counter() - began)
    name = f"Prometheus, increase over {_DAYS} days"
    return [
        Result(f"{name}: processor time of an evaluation", median(used) * 1000, "ms"),
        Result(f"{name}: time of an evaluation", median(taken) * 1000, "ms"),
        Result(f"{name}: its peak memory", peak_memory_mb(server.pid), "MB"),
    ]


def _read(url: str, server: Process, experiments: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", _READ],
        input=json.dumps({"settings": _settings(url, experiments), "prometheus": server.pid}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _lines(experiments: int) -> Iterator[str]:
    chance = random.Random(1)  # noqa: S311  # test data
    for counter in _COUNTERS:
        for experiment in range(experiments):
            for arm in range(_ARMS):
                value = 0
                series = f'{counter}{{instance="a:1",job="bench",service="s{experiment}",variant="v{arm}"}}'
                for hour in range(_DAYS * 24 + 1):
                    yield f"{series} {value} {_START + hour * _HOUR}"
                    value += 1000 if counter == _TRIALS else round(chance.gauss(100, 10))


def _settings(url: str, experiments: int) -> dict[str, Any]:
    metrics = {
        f"m{number}": {
            "kind": "proportion",
            "numerator": _COUNTERS[number],
            "denominator": _TRIALS,
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
