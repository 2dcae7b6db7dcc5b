"""What was measured, as a page of the documentation and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from scipy.stats import chi2  # type: ignore[import-untyped]  # carries no types

from tools.soundness.judge import Found, Judgement
from tools.soundness.scenario import Scenario

# False alarms a month that an alert may have, by severity.
GOAL = {"critical": 1 / 12, "warning": 1.0, "info": 1.0}
# Share of the faults that it must find.
FOUND_GOAL = 0.95


def interval(alarms: int, months: float) -> tuple[float, float]:
    """Return the exact 95 % interval of a rate a month, of so many alarms in so many months (Garwood, 1936)."""
    low = chi2.ppf(0.025, 2 * alarms) / 2 if alarms else 0.0
    return float(low / months), float(chi2.ppf(0.975, 2 * alarms + 2) / 2 / months)


def misses(judgements: Iterable[Judgement]) -> list[str]:
    """Return where a goal is missed, a line each."""
    found = []
    for judged in judgements:
        rate = judged.false_alarms / judged.months
        if rate > GOAL[judged.severity]:
            found.append(f"{judged.alert}, {judged.level}: {rate:.2g} false alarms a month")
        found += [
            f"{judged.alert}, {judged.level}: finds {one.share:.0%} of `{one.fault}`"
            for one in judged.found
            if one.share < FOUND_GOAL and not one.cannot
        ]
    return found


def write(judgements: Sequence[Judgement], scenarios: Sequence[Scenario], page: Path, data: Path) -> None:
    """Write the page's table and the JSON."""
    healthy = {scenario.alert: scenario.healthy for scenario in scenarios}
    data.write_text(json.dumps([asdict(one) for one in judgements], indent=1) + "\n", encoding="utf-8")
    head, _, rest = page.read_text(encoding="utf-8").partition("<!-- measured -->\n")
    _, _, tail = rest.partition("<!-- /measured -->")
    lines = [
        "| Alert | Traffic | False alarms a month | Fault | Found | Median delay |",
        "|---|---|---|---|---|---|",
        *(line for judged in judgements for line in _rows(judged)),
        "",
        "What is healthy, for each alert:",
        "",
        *(f"- {name}: {words}" for name, words in healthy.items()),
    ]
    text = "\n".join(lines)
    page.write_text(f"{head}<!-- measured -->\n{text}\n<!-- /measured -->{tail}", encoding="utf-8")


def _rows(judged: Judgement) -> list[str]:
    low, high = interval(judged.false_alarms, judged.months)
    alarms = f"{judged.false_alarms / judged.months:.2g} ({low:.2g} to {high:.2g})"
    first = f"| {judged.alert} | {judged.level}: {judged.traffic} | {alarms}"
    return [f"{first} | {one.fault} | {_share(one)} | {_delay(one)} |" for one in judged.found]


def _share(found: Found) -> str:
    return f"{found.share:.0%}{f' ({found.cannot})' if found.cannot else ''}"


def _delay(found: Found) -> str:
    if found.median_delay is None:
        return ""
    minutes = found.median_delay / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
