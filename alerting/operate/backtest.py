"""Ask Prometheus when each alert would have fired, with the numbers of today, over days that are past."""

from __future__ import annotations

import operator
import re
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress, pairwise
from math import ceil, floor, inf, isfinite, log10
from typing import Final

from ml_monitoring.alerting.generate.expanded import expand
from ml_monitoring.alerting.model.alert import BoundAlert
from ml_monitoring.alerting.operate.history import (
    TIMEOUT,
    History,
    Samples,
    is_of_the_query,
    is_too_large,
    names_between,
    values_at,
)
from ml_monitoring.alerting.operate.soundness import Measured, TrafficLevel
from ml_monitoring.alerting.operate.subqueries import evaluated_sparingly
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.catalog import Unit
from ml_monitoring.exporter.http_client import RemoteError, fetch

_DAY, _MONTH = 86400, 30 * 86400
_OLDEST = re.compile(r"^prometheus_tsdb_lowest_timestamp_seconds (\S+)$", re.MULTILINE)
# What a condition holds without; of other expressions than selectors it is not asked since when they have values.
_ABSENT: Final = re.compile(
    r"""\babsent(?:_over_time)?\s*\(\s*([\w:]*(?:\{(?:"(?:[^"\\]|\\.)*"|[^}"'])*\})?)\s*[\[)]"""
)
# What selects without naming series, or has values without any: of such expressions it is not known what they lack.
_NAMELESS: Final = ("__name__", "absent", "vector(")
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
_WORD: Final = re.compile(r"[a-zA-Z_:][\w:]*")
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
        problem: Why Prometheus does not say it, where that is this alert's.
        has_data: Whether Prometheus has any series that the alert names.
    """

    alert: BoundAlert
    firings: tuple[Firing, ...]
    level: TrafficLevel | None = None
    threshold: float | None = None
    problem: str = ""
    has_data: bool = True

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
    names = _names(url, start, end)
    for alert in alerts:
        if names is not None and _names_none_of(expand(alert.expr, recorded), names):
            yield BacktestResult(alert, (), has_data=False)
            continue
        past = _Past(alert, recorded, History(url, (first or {}).get(alert.name, start), end, step))
        known = measured.get(alert.name)
        try:
            level = past.level(known) if known else None
            yield BacktestResult(alert, tuple(past.firings(alert)), level, past.threshold())
        except RemoteError as error:
            if not is_of_the_query(error):
                raise
            advice = "; ask for fewer days, or with a larger --step" if is_too_large(error) else ""
            yield BacktestResult(alert, (), problem=f"{error}{advice}")


def _names(url: str, start: float, end: float) -> frozenset[str] | None:
    """Return the names of all series in the span; None where the server does not say, as some that imitate Prometheus.

    Raises:
        RemoteError: It cannot be reached.
    """
    try:
        return names_between(url, start, end)
    except RemoteError as error:
        if error.status:
            return None
        raise


def _names_none_of(expr: str, names: frozenset[str]) -> bool:
    """Tell whether an expression names no series that there is; what it may name otherwise counts as if there were."""
    if any(sign in expr for sign in _NAMELESS):
        return False
    return names.isdisjoint(_WORD.findall(_QUOTED.sub("", expr)))


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
        text = fetch(url, "metrics", timeout=TIMEOUT).decode(errors="replace")
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
        if not selectors or values_at(url, " or ".join(before), start):
            continue
        moments = [f"min_over_time(timestamp({selector})[{span}s:{ceil(step)}s])" for selector in selectors]
        found.update((alert.name, moment) for moment in values_at(url, f"min({' or '.join(moments)})", end))
    return found


@dataclass(frozen=True, slots=True)
class _Past:
    """What one alert, with this threshold or another, would have done in a span of the past."""

    alert: BoundAlert
    recorded: Mapping[str, str]
    history: History
    _asked: dict[str, list[Samples]] = field(default_factory=dict)

    def firings(self, alert: BoundAlert) -> list[Firing]:
        """Return when the alert would have fired, which may have another threshold."""
        wait, kept = durations.parse(alert.numbers.for_), durations.parse(alert.keep_firing_for)
        return _all_firings(self._held(alert), wait, kept, self.history)

    def level(self, measured: Measured) -> TrafficLevel | None:
        """Return the level that is the nearest to the traffic; of several services, the one with most false alarms."""
        if not measured.query:
            return None
        history = self.history
        mean = f"avg_over_time(({expand(measured.query, self.recorded)})[{history.end - history.start:.0f}s:1h])"
        levels = [measured.nearest(value) for value in values_at(history.url, mean, history.end)]
        return max(levels, key=lambda level: level.false_alarms_a_month, default=None)

    def threshold(self) -> float | None:
        """Return the threshold that is the nearest to every value of the signal but fires no more than once a month."""
        if not has_threshold(self.alert):
            return None
        allowed = int((self.history.end - self.history.start) / _MONTH)
        tried = self._values()
        if self.alert.comparison == "<":
            tried.reverse()
        # The more extreme, the less it fires: with the last one never.
        first = bisect_left(range(len(tried)), True, key=lambda place: self._count(tried[place]) <= allowed)
        return tried[first] if first < len(tried) else None

    def _count(self, threshold: float) -> int:
        return len(self.firings(self.alert.with_threshold(threshold)))

    def _held(self, alert: BoundAlert) -> Iterator[tuple[dict[str, str], Sequence[float]]]:
        """Yield the labels of each series, and at which moments the condition held."""
        if not has_threshold(alert) or alert.guards != alert.with_threshold((alert.threshold or 1) / 2).guards:
            yield from ((one.labels, one.times) for one in self._samples(alert.expr))
            return
        # What else must hold depends on no threshold, so that one query answers for all of them.
        beyond = operator.gt if alert.comparison == ">" else operator.lt
        for one in self._samples("\nand ".join([alert.watched, *alert.guards])):
            if times := list(compress(one.times, (beyond(value, alert.threshold) for value in one.values))):
                yield one.labels, times

    def _values(self) -> list[float]:
        """Return values of what the alert compares, in order."""
        values = {
            _outwards(value, self.alert) for one in self._samples(self.alert.watched) for value in set(one.values)
        }
        # A ratio beyond its range is no threshold.
        top = 1.0 if self.alert.signal.unit is Unit.RATIO else inf
        usable = sorted(value for value in values if isfinite(value) and 0 <= value <= top)
        return [usable[round(place * (len(usable) - 1) / _TRIED)] for place in range(_TRIED + 1)] if usable else []

    def _samples(self, expr: str) -> list[Samples]:
        if expr not in self._asked:
            asked = evaluated_sparingly(expand(expr, self.recorded), self.history.step)
            self._asked[expr] = self.history.samples(asked)
        return self._asked[expr]


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
    history = History(url, start, end, step)
    return _all_firings(((one.labels, one.times) for one in history.samples(expr)), wait, kept, history)


def _all_firings(
    held: Iterable[tuple[dict[str, str], Sequence[float]]], wait: float, kept: float, history: History
) -> list[Firing]:
    firings = [
        # How it goes on beyond the end is not known yet.
        replace(firing, ends=min(firing.ends, max(history.end, firing.ends - kept)))
        for labels, times in held
        for firing in _firings(labels, times, wait, kept, history.step)
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
