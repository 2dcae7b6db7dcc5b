"""Ask Prometheus when each alert would have fired, with the numbers of today, over days that are past."""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Any

from ml_monitoring.alerting.generate.expanded import expand
from ml_monitoring.alerting.model.alert import BoundAlert
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.http_client import fetch_json

# A month of a long window takes its time.
_TIMEOUT = 600.0
# Prometheus refuses more points than this for one series, so that a longer span is asked for in parts.
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
    url: str,
    alerts: Sequence[BoundAlert],
    recorded: Mapping[str, str],
    *,
    days: float,
    step: float,
    now: float | None = None,
) -> Iterator[BacktestResult]:
    """Yield what each alert would have done.

    Args:
        url: Prometheus, without a slash at the end.
        alerts: The alerts.
        recorded: Recorded series by name, see `expand`: only raw samples are asked for.
        days: How far back.
        step: Seconds between two evaluations.
        now: End of the span; by default now.

    Raises:
        RemoteError: Prometheus cannot be reached, or refuses.
    """
    end = time.time() if now is None else now
    for alert in alerts:
        expr, wait = expand(alert.expr, recorded), durations.parse(alert.numbers.for_)
        firings = find_firings(url, expr, wait, start=end - days * 86400, end=end, step=step)
        yield BacktestResult(alert, tuple(firings))


def find_firings(url: str, expr: str, wait: float, *, start: float, end: float, step: float) -> list[Firing]:
    """Return when a condition held for so long that its alert fired, in the order of time.

    Args:
        url: Prometheus, without a slash at the end.
        expr: The condition.
        wait: The alert's `for` in seconds.
        start: Seconds of the Unix epoch.
        end: The same.
        step: Seconds between two evaluations.

    Raises:
        RemoteError: Prometheus cannot be reached, or refuses.
    """
    times: dict[tuple[tuple[str, str], ...], list[float]] = {}
    part = step * _MAX_POINTS
    for begin in takewhile(lambda moment: moment <= end, count(start, part)):
        for series in _query_range(url, expr, begin, min(end, begin + part - step), step):
            labels = {name: value for name, value in series["metric"].items() if name != "__name__"}
            times.setdefault(tuple(sorted(labels.items())), []).extend(float(moment) for moment, _ in series["values"])
    firings = [firing for labels, held in times.items() for firing in _firings(dict(labels), held, wait, step)]
    return sorted(firings, key=lambda firing: firing.begins)


def _firings(labels: dict[str, str], times: Sequence[float], wait: float, step: float) -> Iterator[Firing]:
    """Yield the runs of samples without a hole that are longer than the wait."""
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
