"""Ask Prometheus when each alert would have fired, with the numbers of today, over days that are past."""

from __future__ import annotations

import re
import time
import urllib.parse
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise, takewhile
from math import ceil, floor, inf, isfinite, log10
from typing import Any, Final

from ml_monitoring.alerting.generate.expanded import expand
from ml_monitoring.alerting.model.alert import BoundAlert
from ml_monitoring.alerting.operate.soundness import Measured, TrafficLevel
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.catalog import Unit
from ml_monitoring.exporter.http_client import RemoteError, fetch, fetch_json

# A month of a long window takes its time.
_TIMEOUT = 600.0
# Prometheus refuses more points than this for one series, so that a longer span is asked for in parts.
_MAX_POINTS = 10_000
_DAY, _MONTH = 86400, 30 * 86400
_OLDEST = re.compile(r"^prometheus_tsdb_lowest_timestamp_seconds (\S+)$", re.MULTILINE)
# What a condition holds without; of other expressions than selectors it is not asked since when they have values.
_ABSENT: Final = re.compile(
    r"""\babsent(?:_over_time)?\s*\(\s*([\w:]*(?:\{(?:"(?:[^"\\]|\\.)*"|[^}"'])*\})?)\s*[\[)]"""
)
# Thresholds that are tried are values that the signal had: so many of them, evenly, for each takes its queries.
_TRIED = 256


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
        level: What was measured of the alert at the traffic that there is, see `soundness`; None where that is not
            known.
        threshold: The threshold with which it would have fired once a month at most; None where it has none,
            or its signal was not there.
    """

    alert: BoundAlert
    firings: tuple[Firing, ...]
    level: TrafficLevel | None = None
    threshold: float | None = None

    @property
    def seconds(self) -> float:
        """Return for how long it would have fired; what fires for several series at once counts once."""
        total, until = 0.0, -inf
        for firing in sorted(self.firings, key=lambda one: one.begins):
            total += max(0.0, firing.ends - max(firing.begins, until))
            until = max(until, firing.ends)
        return total


def backtest(
    url: str,
    alerts: Sequence[BoundAlert],
    recorded: Mapping[str, str],
    measured: Mapping[str, Measured],
    *,
    days: float,
    step: float,
    now: float | None = None,
    since: float = 0.0,
    first: Mapping[str, float] | None = None,
) -> Iterator[BacktestResult]:
    """Yield what each alert would have done.

    Args:
        url: Prometheus, without a slash at the end.
        alerts: The alerts.
        recorded: Recorded series by name, see `expand`: only raw samples are asked for.
        measured: What simulations say of them, by their names.
        days: How far back.
        step: Seconds between two evaluations.
        now: End of the span; by default now.
        since: Where the history begins: what is before is no outage.
        first: Alerts that are counted from a later moment only, see `first_samples`.

    Raises:
        RemoteError: Prometheus cannot be reached, or refuses.
    """
    end = time.time() if now is None else now
    start = max(end - days * _DAY, since)
    for alert in alerts:
        history = _History(url, recorded, (first or {}).get(alert.name, start), end, step)
        known = measured.get(alert.name)
        level = history.level(known) if known else None
        yield BacktestResult(alert, tuple(history.firings(alert)), level, history.threshold(alert))


def has_threshold(alert: BoundAlert) -> bool:
    """Tell whether an alert compares a number: yes or no has no other threshold."""
    return alert.comparison is not None and alert.signal.unit not in (Unit.FLAG, Unit.INFO)


def history_begins(url: str) -> float:
    """Return when the oldest samples of a Prometheus were taken; 0 where it does not say, as those that imitate it.

    Args:
        url: Prometheus, without a slash at the end.

    Raises:
        RemoteError: It cannot be reached.
    """
    try:
        text = fetch(url, "metrics", timeout=_TIMEOUT).decode(errors="replace")
    except RemoteError as error:
        # A proxy may let the API through alone.
        if error.status:
            return 0.0
        raise
    found = _OLDEST.search(text)
    # Without any sample it is the last moment that there is.
    return moment if found and (moment := float(found[1])) < time.time() else 0.0


def first_samples(
    url: str, alerts: Sequence[BoundAlert], recorded: Mapping[str, str], *, start: float, end: float, step: float
) -> dict[str, float]:
    """Return when the series of alerts on missing ones were first there, by alert, where that is within the span.

    What was never there before did not go missing: so long an exporter was not installed, or not scraped.

    Args:
        url: Prometheus, without a slash at the end.
        alerts: The alerts.
        recorded: Recorded series by name, see `expand`.
        start: Seconds of the Unix epoch.
        end: The same.
        step: Seconds between two evaluations.

    Raises:
        RemoteError: Prometheus cannot be reached, or refuses.
    """
    found: dict[str, float] = {}
    span = ceil(end - start)
    for alert in alerts:
        selectors = [selector for selector in _ABSENT.findall(expand(alert.expr, recorded)) if selector]
        before = [f"present_over_time({selector}[{span}s])" for selector in selectors]
        if not selectors or _query(url, "query", query=" or ".join(before), time=start):
            continue
        moments = [f"min_over_time(timestamp({selector})[{span}s:{ceil(step)}s])" for selector in selectors]
        for series in _query(url, "query", query=f"min({' or '.join(moments)})", time=end):
            found[alert.name] = float(series["value"][1])
    return found


@dataclass(frozen=True, slots=True)
class _History:
    """A span of the past in Prometheus."""

    url: str
    recorded: Mapping[str, str]
    start: float
    end: float
    step: float

    def firings(self, alert: BoundAlert) -> list[Firing]:
        """Return when an alert would have fired."""
        expr, wait = expand(alert.expr, self.recorded), durations.parse(alert.numbers.for_)
        kept = durations.parse(alert.keep_firing_for)
        return find_firings(self.url, expr, wait, kept=kept, start=self.start, end=self.end, step=self.step)

    def level(self, measured: Measured) -> TrafficLevel | None:
        """Return the level that is the nearest to the traffic; of several services, the one with most false alarms."""
        if not measured.query:
            return None
        mean = f"avg_over_time(({expand(measured.query, self.recorded)})[{self.end - self.start:.0f}s:1h])"
        found = _query(self.url, "query", query=mean, time=self.end)
        levels = [measured.nearest(float(series["value"][1])) for series in found]
        return max(levels, key=lambda level: level.false_alarms_a_month, default=None)

    def threshold(self, alert: BoundAlert) -> float | None:
        """Return the threshold that is the nearest to every value of the signal but fires no more than once a month."""
        if not has_threshold(alert):
            return None
        allowed = int((self.end - self.start) / _MONTH)
        tried = self._values(alert)
        if alert.comparison == "<":
            tried.reverse()
        # The more extreme, the less it fires: with the last one never.
        first = bisect_left(range(len(tried)), True, key=lambda place: self._count(alert, tried[place]) <= allowed)
        return tried[first] if first < len(tried) else None

    def _count(self, alert: BoundAlert, threshold: float) -> int:
        return len(self.firings(alert.with_threshold(threshold)))

    def _values(self, alert: BoundAlert) -> list[float]:
        """Return values of what the alert compares, in order."""
        values = {
            _outwards(float(value), alert)
            for begin, end in _parts(self.start, self.end, self.step)
            for series in _query_range(self.url, expand(alert.watched, self.recorded), begin, end, self.step)
            for _, value in series["values"]
        }
        # A ratio beyond its range is no threshold.
        top = 1.0 if alert.signal.unit is Unit.RATIO else inf
        usable = sorted(value for value in values if isfinite(value) and 0 <= value <= top)
        return [usable[round(place * (len(usable) - 1) / _TRIED)] for place in range(_TRIED + 1)] if usable else []


def _outwards(value: float, alert: BoundAlert) -> float:
    """Return a value with three digits, rounded so that an alert with this threshold fires less, not more."""
    if value == 0 or not isfinite(value):
        return value
    digits = 2 - floor(log10(abs(value)))
    scaled = value * 10.0**digits
    return round((ceil(scaled) if alert.comparison == ">" else floor(scaled)) / 10.0**digits, max(digits, 0))


def find_firings(
    url: str, expr: str, wait: float, *, start: float, end: float, step: float, kept: float = 0
) -> list[Firing]:
    """Return when a condition held for so long that its alert fired, in the order of time.

    Args:
        url: Prometheus, without a slash at the end.
        expr: The condition.
        wait: The alert's `for` in seconds.
        start: Seconds of the Unix epoch.
        end: The same.
        step: Seconds between two evaluations.
        kept: The alert's `keep_firing_for` in seconds.

    Raises:
        RemoteError: Prometheus cannot be reached, or refuses.
    """
    times: dict[tuple[tuple[str, str], ...], list[float]] = {}
    for begin, last in _parts(start, end, step):
        for series in _query_range(url, expr, begin, last, step):
            labels = {name: value for name, value in series["metric"].items() if name != "__name__"}
            times.setdefault(tuple(sorted(labels.items())), []).extend(float(moment) for moment, _ in series["values"])
    firings = [
        # How it goes on beyond the end is not known yet.
        replace(firing, ends=min(firing.ends, max(end, firing.ends - kept)))
        for labels, held in times.items()
        for firing in _firings(dict(labels), held, wait, kept, step)
    ]
    return sorted(firings, key=lambda firing: firing.begins)


def _firings(labels: dict[str, str], times: Sequence[float], wait: float, kept: float, step: float) -> Iterator[Firing]:
    """Yield the runs of samples that are longer than the wait; what fires bridges holes of what it is kept for."""
    first = times[0]
    for moment, following in pairwise((*times, inf)):
        is_firing = moment - first >= wait
        if following - moment > step + max(kept if is_firing else 0, step / 2):
            if is_firing:
                yield Firing(labels, first + wait, moment + step + kept)
            first = following


def _parts(start: float, end: float, step: float) -> Iterator[tuple[float, float]]:
    """Yield the first and the last moment of parts that Prometheus answers."""
    part = step * _MAX_POINTS
    for begin in takewhile(lambda moment: moment <= end, count(start, part)):
        yield begin, min(end, begin + part - step)


def _query_range(url: str, expr: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
    return _query(url, "query_range", query=expr, start=start, end=end, step=step)


def _query(url: str, kind: str, **parameters: str | float) -> list[dict[str, Any]]:
    answer = fetch_json(
        url, f"api/v1/{kind}?{urllib.parse.urlencode(parameters)}", timeout=_TIMEOUT, program="Prometheus"
    )
    result: list[dict[str, Any]] = answer["data"]["result"]
    return result
