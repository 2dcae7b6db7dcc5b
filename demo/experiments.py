"""Run a shop with five experiments of known truth, whose counters are decided within minutes.

| service | truth |
|---|---|
| `winner` | the new ranking sells 30 % more |
| `harmful` | it sells as much, and three times as many requests fail |
| `null` | there is no difference |
| `split` | there is no difference, but the new arm loses a fifth of its requests before they are counted |
| `returning` | there is no difference; few users make many requests, and each has habits of their own |
"""

from __future__ import annotations

import argparse
import random
import time
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, start_http_server

from ml_monitoring.exporter import command_line

ARMS: Final = ("control", "ranking")
_CELLS: Final = 32
_USERS: Final = 300


@dataclass(frozen=True, slots=True)
class ShopTruth:
    """What is true of an experiment.

    Attributes:
        requests: A second, of each arm.
        sold: Share of them that end in a sale, of each arm.
        failed: Share of them that fail, of each arm.
        users: Whether users come back, each with a share of their own.
    """

    requests: tuple[int, int] = (60, 60)
    sold: tuple[float, float] = (0.10, 0.10)
    failed: tuple[float, float] = (0.01, 0.01)
    users: bool = False


TRUTHS: Final = {
    "winner": ShopTruth(sold=(0.10, 0.13)),
    "harmful": ShopTruth(failed=(0.01, 0.03)),
    "null": ShopTruth(),
    "split": ShopTruth(requests=(60, 48)),
    "returning": ShopTruth(users=True),
}
# Those in which something goes wrong.
HARMFUL: Final = ("harmful", "split")


class Shop:
    """The counters of all experiments.

    Args:
        seed: Same seed, same chance.
    """

    def __init__(self, seed: int) -> None:
        self.registry = CollectorRegistry()
        self._chance = random.Random(seed)  # noqa: S311  # demo data
        labels = ("service", "variant", "cell")
        names = {"requests": "Requests.", "sales": "Sales.", "errors": "Requests that failed."}
        self._counters = {
            name: Counter(f"demo_shop_{name}", text, labels, registry=self.registry) for name, text in names.items()
        }
        # Each user's own share of sales: from 0 to 20 %.
        self._habits = [
            [(index % _CELLS, self._chance.betavariate(0.5, 4.5)) for index in range(_USERS)] for _arm in ARMS
        ]

    def count(self, seconds: float) -> None:
        """Count what happens in so many seconds."""
        for service, truth in TRUTHS.items():
            for index, arm in enumerate(ARMS):
                mean = truth.requests[index] * seconds
                for _request in range(round(self._chance.gauss(mean, mean**0.5))):
                    cell, share = "", truth.sold[index]
                    if truth.users:
                        number, share = self._chance.choice(self._habits[index])
                        cell = str(number)
                    labels = (service, arm, cell)
                    self._counters["requests"].labels(*labels).inc()
                    # Counters that begin with the first event would be seen too late.
                    self._counters["sales"].labels(*labels).inc(self._chance.random() < share)
                    self._counters["errors"].labels(*labels).inc(self._chance.random() < truth.failed[index])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `python -m demo experiments`."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=command_line.PORT, default=9861, help="port to listen on (default: 9861)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same chance (default: 0)")


def run(options: argparse.Namespace) -> int:
    """Serve until interrupted."""
    shop = Shop(options.seed)
    shop.count(0.1)
    start_http_server(options.port, options.host, shop.registry)
    before = time.monotonic()
    while True:
        time.sleep(1)
        now = time.monotonic()
        shop.count(now - before)
        before = now
