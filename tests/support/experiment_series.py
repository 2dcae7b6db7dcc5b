"""Counters of an experiment as Prometheus would have scraped them, with all that happens to services, and the truth."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

# 2025-11-03, a Monday.
START = 1_762_128_000
SCRAPE = 15
ARMS = ("control", "treatment")


@dataclass(slots=True)
class ScrapedSamples:
    """Samples of counters.

    Attributes:
        series: Times and values by name and labels.
        truth: What was counted after the start of the experiment, by name and arm.
    """

    series: dict[tuple[str, str], list[tuple[float, float]]] = field(default_factory=dict)
    truth: dict[tuple[str, str], float] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """Yield them in the form of OpenMetrics, without the end mark."""
        for (name, labels), samples in self.series.items():
            yield from (f"{name}{{{labels}}} {value:.0f} {moment}" for moment, value in samples)


@dataclass(slots=True)
class _Process:
    instance: str
    counts: dict[tuple[str, str], float] = field(default_factory=dict)


def eventful_hours(hours: int = 2, seed: int = 1) -> ScrapedSamples:
    """Return hours of a service whose processes restart, are replaced, and cannot be scraped for a while.

    What is counted between a process's last scrape and its end is nobody's to know, so no process counts anything
    there; nor does a new process before its first scrape.
    """
    chance = random.Random(seed)  # test data
    samples = ScrapedSamples()
    # Both have counted for long before the experiment.
    processes = [_Process(f"old-{index}", {("requests_total", arm): 1e6 for arm in ARMS}) for index in range(2)]
    for moment in range(START - 600, START + 3600 * hours + 1, SCRAPE):
        since = moment - START
        if since == 1800:
            # Starts again under the same name.
            processes[0].counts = {}
        if since in (2415, 4995):
            # Another one takes its place, which begins with what was counted before it was scraped.
            processes[1] = _Process(f"new-{since}", {("requests_total", arm): 5.0 for arm in ARMS})
        silent = since in (1785, 1800, 2400, 2415, 4980, 4995)
        # Prometheus does not reach the first one for ten minutes; it goes on counting.
        unreachable = 5400 <= since < 6000
        for index, process in enumerate(processes):
            for arm in ARMS:
                if not silent:
                    _count(process, arm, chance, samples, begun=since > 0)
            if not (index == 0 and unreachable):
                _scrape(process, moment, samples)
    return samples


def _count(process: _Process, arm: str, chance: random.Random, samples: ScrapedSamples, *, begun: bool) -> None:
    requests = chance.randrange(4)
    successes = sum(chance.random() < 0.05 for _request in range(requests))
    for name, amount in (("requests_total", requests), ("successes_total", successes)):
        # A counter of successes appears with the first one.
        if amount or name == "requests_total":
            process.counts[name, arm] = process.counts.get((name, arm), 0.0) + amount
        if begun:
            samples.truth[name, arm] = samples.truth.get((name, arm), 0.0) + amount


def _scrape(process: _Process, moment: float, samples: ScrapedSamples) -> None:
    for (name, arm), value in process.counts.items():
        labels = f'instance="{process.instance}",job="shop",variant="{arm}"'
        samples.series.setdefault((name, labels), []).append((moment, value))


def steady_hours(
    experiment: str, arms: Mapping[str, tuple[int, float]], hours: int = 4, seed: int = 1, errors: float = 0.01
) -> ScrapedSamples:
    """Return hours of a service in which nothing happens.

    Args:
        experiment: Value of the label `service`.
        arms: Mean requests of each arm between two scrapes, and the share of them that succeed.
        hours: From the start on.
        seed: Of chance.
        errors: Share of the requests of the last arm that fail; of the others one in a hundred.
    """
    chance = random.Random(seed)  # test data
    samples = ScrapedSamples()
    last = list(arms)[-1]
    for arm, (requests, share) in arms.items():
        failing = errors if arm == last else 0.01
        labels = f'instance="{experiment}:1",job="shop",service="{experiment}",variant="{arm}"'
        counts = dict.fromkeys(("requests_total", "successes_total", "errors_total"), 0.0)
        for moment in range(START, START + 3600 * hours + 1, SCRAPE):
            seen = sum(chance.random() < 0.25 for _visitor in range(4 * requests))
            for name, amount in (
                ("requests_total", seen),
                ("successes_total", sum(chance.random() < share for _request in range(seen))),
                ("errors_total", sum(chance.random() < failing for _request in range(seen))),
            ):
                counts[name] += amount if moment > START else 0
                samples.series.setdefault((name, labels), []).append((moment, counts[name]))
    return samples


GUARDED = {
    "success": {"kind": "proportion", "numerator": "successes_total", "denominator": "requests_total", "effect": 0.2},
    "errors": {
        "kind": "proportion",
        "numerator": "errors_total",
        "denominator": "requests_total",
        "direction": "down",
        "role": "guardrail",
        "margin": 0.5,
    },
}


def declared(service: str, **other: Any) -> dict[str, Any]:
    """Return the declaration of an experiment on a service, with a goal and a guardrail."""
    return {
        "start": START,
        # What is stopped is not too old, whenever the test runs.
        "stopped": START + 4 * 3600 - 600,
        "arms": {"control": 1, "treatment": 1},
        "baseline": "control",
        "selector": {"service": service},
        "batch": "10m",
        "metrics": GUARDED,
        **other,
    }
