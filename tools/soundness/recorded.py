"""Recorded series over samples of the past, made by Prometheus's own tool, those first that others need."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from ml_monitoring.alerting.generate.expanded import used
from tools.backfilled_prometheus import prometheus_on
from tools.soundness.world import SCRAPE_INTERVAL

# Blocks as long as Prometheus answers in one piece: at most 11,000 points of a series.
_BLOCK = "--max-block-duration=162h"


def query_flags(step: float) -> tuple[str, ...]:
    """Return flags of a Prometheus that answers for many simulations at once, with series recorded at such a step."""
    # A recorded sample counts until the next one.
    lookback = max(300, step + SCRAPE_INTERVAL)
    return ("--query.max-samples=1000000000", "--query.timeout=10m", f"--query.lookback-delta={lookback:.0f}s")


def record(
    programs: Mapping[str, Path],
    folder: Path,
    expr: str,
    recorded: Mapping[str, str],
    *,
    begin: float,
    end: float,
    step: float,
) -> None:
    """Record every series that an expression is made of.

    Args:
        programs: Has `prometheus` and `promtool`.
        folder: Where `backfill` put the samples, as `data`.
        expr: The expression.
        recorded: What is recorded, by name.
        begin: Seconds of the Unix epoch.
        end: The same.
        step: Seconds between two evaluations.
    """
    rules = folder / "rules.yml"
    for names in layers(expr, recorded):
        # A sum has no name: else the tool takes samples of `a or b` for two series, and refuses them out of order.
        named = [{"record": name, "expr": f"({recorded[name]}) + 0"} for name in sorted(names)]
        group = {"name": "layer", "rules": named}
        rules.write_text(yaml.safe_dump({"groups": [group]}), encoding="utf-8")
        with prometheus_on(programs, folder, flags=query_flags(step)) as url:
            command: list[str | Path] = [
                programs["promtool"],
                *("tsdb", "create-blocks-from", _BLOCK, "rules", f"--url={url}"),
                *(f"--start={begin:.0f}", f"--end={end:.0f}", f"--eval-interval={step:.0f}s"),
                f"--output-dir={folder / 'data'}",
                rules,
            ]
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"{done.stdout}{done.stderr}")


def layers(expr: str, recorded: Mapping[str, str]) -> Iterator[set[str]]:
    """Yield the names of the recorded series below an expression, those first that need no others."""
    needed: dict[str, set[str]] = {}
    waiting = used(expr, recorded)
    while waiting:
        name = waiting.pop()
        needed[name] = used(recorded[name], recorded)
        waiting |= needed[name] - needed.keys()
    while needed:
        ready = {name for name, others in needed.items() if not others & needed.keys()}
        yield ready
        needed = {name: others for name, others in needed.items() if name not in ready}
