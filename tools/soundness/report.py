"""What was measured, as a page of the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from scipy.stats import chi2  # type: ignore[import-untyped]  # carries no types

from ml_monitoring.alerting.domains import load_alerts
from ml_monitoring.alerting.operate.soundness import Detection, Measured, TrafficLevel

# False alarms a month that an alert may have, by severity.
GOAL = {"critical": 1 / 12, "warning": 1.0, "info": 1.0}
# Share of the faults that it must find.
FOUND_GOAL = 0.95
# What was measured before alerts asked for evidence, by simulations of others' making.
BEFORE: Final[Mapping[str, str]] = {
    "MlModelAccuracyLow": "fires in 100 % of the months at 20 to 50 truths an hour, in 89 % at 100",
    "MlApiErrorRatioHigh": "one failed request at night at 1 request a minute is a page",
    "MlApiErrorBudgetBurnsFast": "at 1 request a minute and half the budget: 21 pages a month",
    "MlflowFailedRunRatioHigh": "fires in 98 % of the months at a true 5 % of failures",
    "MlflowMetricWorseThanBest": "24 to 71 % of the results alert at a spread of 10 %; 0.99 to 0.80 does not",
    "MlflowCandidateBetter": "best of 1 / 100 candidates without a difference, 1,000 rows: 19 / 86 % alert",
    "MlPredictionsStopped": "fires each quiet night, seven minutes after the last request",
    "AbTestVariantWorse": "12 windows of a week: 2.7 % alert, 52 windows: 12.3 %; a drop of 5 points after a good week "
    "is found after 3.4 h",
    "AbTestSampleRatioMismatch": "three variants split as meant always alert",
    "VariantFarBelowPrediction": "ever fires 58 / 34 / 15 % at 0.2 / 0.5 / 1 % engagement as predicted",
    "VariantEarlyKillRateHigh": "fires in 100 % of the months at a true 25 % of early kills",
    "VariantPatternFatigued": "18 to 44 % of the patterns alert without a decline",
    "FleetIncidentProbabilityHigh": "finds 12 to 40 % of the incidents of 6 to 60 servers",
}


def interval(alarms: int, months: float) -> tuple[float, float]:
    """Return the exact 95 % interval of a rate a month, of so many alarms in so many months (Garwood, 1936)."""
    low = chi2.ppf(0.025, 2 * alarms) / 2 if alarms else 0.0
    return float(low / months), float(chi2.ppf(0.975, 2 * alarms + 2) / 2 / months)


def misses(name: str, measured: Measured) -> Iterator[str]:
    """Yield where an alert misses a goal, a line each."""
    for level in measured.levels:
        if level.false_alarms_a_month > GOAL[measured.severity]:
            yield f"{name}, {level.name}: {level.false_alarms_a_month:.2g} false alarms a month"
        for found in level.found:
            if found.share < FOUND_GOAL and not found.cannot:
                yield f"{name}, {level.name}: finds {found.share:.0%} of `{found.fault}`"


def summary(name: str, level: TrafficLevel) -> str:
    """Return what an alert did at a level of traffic in one line."""
    low, high = interval(level.false_alarms, level.months)
    faults = "; ".join(f"{one.fault}: {one.share:.0%} {_delay(one)}".rstrip() for one in level.found)
    return f"{name:34} {level.name:6} {level.false_alarms:3} ({low:.2g} to {high:.2g} a month)  {faults}"


def write(measured: Mapping[str, Measured], page: Path) -> None:
    """Write the page's tables."""
    head, _, rest = page.read_text(encoding="utf-8").partition("<!-- measured -->\n")
    _, _, tail = rest.partition("<!-- /measured -->")
    text = "\n".join(_lines(measured))
    page.write_text(f"{head}<!-- measured -->\n{text}\n<!-- /measured -->{tail}", encoding="utf-8")


def _lines(measured: Mapping[str, Measured]) -> Iterator[str]:
    yield from (
        "| Alert | Traffic | Months | False alarms a month | Fault | Found | Median delay |",
        "|---|---|---|---|---|---|---|",
    )
    for name, one in measured.items():
        for level in one.levels:
            yield from _rows(name, one, level)
    yield from (
        "",
        "### Before",
        "",
        "The same alerts as bare thresholds.",
        "",
        "| Alert | Before | Now |",
        "|---|---|---|",
    )
    for name, before in BEFORE.items():
        if name in measured:
            yield f"| {name} | {before} | {_now(measured[name])} |"
    missed = [line for name, one in measured.items() for line in misses(name, one)]
    yield from ("", "### What misses its goal", "")
    yield from (f"- {line}" for line in missed) if missed else ("Nothing.",)
    waiting = [alert.name for alert in load_alerts() if alert.name not in measured]
    if waiting:
        yield from ("", "### What was not measured yet", "", f"{', '.join(waiting)}.")
    yield from ("", "### What cannot be found, and why", "")
    for name, one in measured.items():
        for level in one.levels:
            yield from (
                f"- {name} at {level.name} traffic, {found.fault}: {found.cannot}"
                for found in level.found
                if found.cannot
            )
    yield from ("", "### What is healthy", "")
    yield from (f"- {name}: {one.healthy}" for name, one in measured.items())


def _rows(name: str, measured: Measured, level: TrafficLevel) -> Iterator[str]:
    low, high = interval(level.false_alarms, level.months)
    first = (
        f"| {name} | {level.name}: {level.traffic:g} {measured.unit} | {level.months:g} | "
        f"{level.false_alarms_a_month:.2g} ({low:.2g} to {high:.2g})"
    )
    for one in level.found:
        yield f"{first} | {one.fault} | {one.share:.0%}{' (see below)' if one.cannot else ''} | {_delay(one)} |"
        first = "| | | |"


def _now(measured: Measured) -> str:
    """Return the worst level's false alarms, and which faults are found."""
    worst = max(measured.levels, key=lambda level: level.false_alarms_a_month)
    shares = [found.share for level in measured.levels for found in level.found if not found.cannot]
    found = f"; finds at least {min(shares):.0%}" if shares else ""
    return f"{worst.false_alarms} false alarms in {worst.months:g} months at the worst traffic ({worst.name}){found}"


def _delay(found: Detection) -> str:
    if found.median_delay is None:
        return ""
    minutes = found.median_delay / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
