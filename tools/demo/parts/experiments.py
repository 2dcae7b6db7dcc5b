"""Five experiments of known truth, of which each shows another decision within minutes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from demo.experiments import ARMS, HARMFUL, TRUTHS
from tools.demo.parts.base import Contribution, Look, Place, PortUse
from tools.processes import Process, http_ok

_PORT = "experiments"
JOB = "demo-shop"
_TITLES = {
    "winner": "Does the new ranking sell more?",
    "harmful": "Does the new checkout sell more, and harm nobody?",
    "null": "Does the new colour sell more?",
    "split": "Does the new search sell more?",
    "returning": "Does the new newsletter bring users back?",
}


class DeclaredExperiments:
    """The part; see `demo.experiments` for the truth behind it."""

    name = "experiments"
    doing = "starting a shop that compares arms in five experiments"
    ports: Sequence[PortUse] = (PortUse(_PORT, "demo shop with experiments", 9861),)

    def prepare(self, place: Place) -> Contribution:
        """Start the shop, and declare its experiments from now on."""
        port = place.ports[_PORT]
        url = f"http://127.0.0.1:{port}"
        command: list[str | Path] = [sys.executable, "-m", "demo", "experiments", "--port", str(port)]
        shop = Process(
            "the shop with experiments",
            command,
            log=place.logs / "shop.log",
            healthy=lambda: http_ok(f"{url}/metrics"),
        )
        place.run("Shop with experiments", url, shop)
        start = datetime.now(UTC).isoformat()
        source = {
            "url": place.prometheus_url,
            "interval": "5s",
            "settle": "10s",
            "declared": declarations(start, calm=place.calm),
        }
        return Contribution(
            settings={"sources": {"experiments": source}},
            jobs=({"job_name": JOB, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]},),
            looks=(
                Look(
                    "Five experiments of known truth are decided within minutes:",
                    page="experiments",
                ),
            ),
        )


def declarations(start: str, *, calm: bool = False) -> dict[str, Any]:
    """Return what is declared of each experiment; when it is calm, of none that does harm or has a bad split."""
    return {name: _declared(name, start) for name in TRUTHS if not (calm and name in HARMFUL)}


def _declared(name: str, start: str) -> dict[str, Any]:
    sold = {
        "kind": "proportion",
        "numerator": "demo_shop_sales_total",
        "denominator": "demo_shop_requests_total",
        "effect": 0.1,
        "value": 3.5,
    }
    failed = {
        "kind": "proportion",
        "numerator": "demo_shop_errors_total",
        "denominator": "demo_shop_requests_total",
        "direction": "down",
        "role": "guardrail",
        "margin": 0.5,
    }
    return {
        "title": _TITLES[name],
        "team": "growth",
        "start": start,
        "arms": dict.fromkeys(ARMS, 1),
        "baseline": ARMS[0],
        "selector": {"job": JOB, "service": name},
        "unit": "user" if TRUTHS[name].users else "request",
        "batch": "15s",
        "metrics": {"sold": sold, "failed": failed},
    }
