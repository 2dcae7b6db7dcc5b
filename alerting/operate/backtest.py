"""Ask Prometheus when each alert would have fired, with the numbers of today, over days that are past."""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ml_monitoring.alerting.model.alert import BoundAlert
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.http_client import fetch_json

_TIMEOUT = 60.0
# Prometheus refuses more points than this for one series.
_MAX_POINTS = 10_000


@dataclass(frozen=True, slots=True)
class Firing:
    """One time in which an alert would have fired.

    Attributes:
        labels: Of the series.
        begins: Seconds of the Unix epoch, the wait of `for` included.
        ends: The same; the end of the span that was asked for where it still held.
    """

    labels: dict[str, str]
    begins: float
    ends: float


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """What an alert would have done.

    Attributes:
        alert: The alert.
        firings: Every time, oldest first.
    """

    alert: BoundAlert
    firings: tuple[Firing, ...]

    @property
    def seconds(self) -> float:
        """Return for how long it would have fired, all series added up."""
        return sum(firing.ends - firing.begins for firing in self.firings)


def backtest(
    url: str, alerts: Sequence[BoundAlert], *, days: float, step: float, now: float | None = None
) -> Iterator[BacktestResult]:
    """Yield what each alert would have done.

    Args:
        url: Prometheus, without a slash at the end.
        alerts: The alerts.
        days: How far back.
        step: Seconds between two evaluations; enlarged where Prometheus would refuse so many.
        now: End of the span; by default now.

    Raises:
        RemoteError: Prometheus cannot be reached, or refuses.
    """
    end = time.time() if now is None else now
    span = days * 86400
    step = max(step, span / _MAX_POINTS)
    for alert in alerts:
        matrix = _query_range(url, alert.expr, end - span, end, step)
        firings = [
            firing for series in matrix for firing in _firings(series, durations.parse(alert.numbers.for_), step)
        ]
        yield BacktestResult(alert, tuple(sorted(firings, key=lambda firing: firing.begins)))


def _firings(series: dict[str, Any], wait: float, step: float) -> Iterator[Firing]:
    """Yield the runs of samples without a hole that are longer than the wait."""
    labels = {name: value for name, value in series["metric"].items() if name != "__name__"}
    times = [float(moment) for moment, _ in series["values"]]
    first = times[0]
    for index, moment in enumerate(times):
        is_last = index + 1 == len(times) or times[index + 1] - moment > 1.5 * step
        if is_last:
            if moment - first >= wait:
                yield Firing(labels, first + wait, moment + step)
            if index + 1 < len(times):
                first = times[index + 1]


def _query_range(url: str, expr: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
    asked = urllib.parse.urlencode({"query": expr, "start": start, "end": end, "step": step})
    answer = fetch_json(url, f"api/v1/query_range?{asked}", timeout=_TIMEOUT)
    result: list[dict[str, Any]] = answer["data"]["result"]
    return result
