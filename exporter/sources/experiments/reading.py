"""Reads the counters of one experiment from where the last reading ended, as far as there is time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from ml_monitoring.exporter.errors import Reason
from ml_monitoring.exporter.sources.experiments.counters import MOST_SERIES, Counters, SeriesKey
from ml_monitoring.exporter.sources.experiments.declaration import ExperimentDeclaration
from ml_monitoring.exporter.sources.experiments.history import BatchHistory, Increments
from ml_monitoring.exporter.sources.experiments.prometheus import CounterSeries, ExperimentError, PrometheusApi

# How long before the start a series' last value is looked for, and a restart between two batches.
_LOOKBACK: Final = 300.0
# Batches a query: few at first, as nobody knows how large the answer is.
_FEW: Final = 24
_MANY: Final = 480
# Falls, and what part of all steps from sample to sample they are, at which a series is no counter.
_FALLS: Final = 20
_FALLING: Final = 0.3


def selectors_of(declaration: ExperimentDeclaration) -> list[str]:
    """Return all selectors that are read for an experiment, as they are declared, each once."""
    found: dict[str, None] = {}
    for metric in declaration.metrics.values():
        found |= dict.fromkeys(each for each in metric.selectors or () if each is not None)
    if declaration.exposure is not None:
        found[declaration.exposure] = None
    return list(found)


class CounterReader:
    """Follows the counters of one experiment over the batches of its history.

    Args:
        declaration: What is read.
        history: What was read before.
        counters: The state of the series at its end.
        append: Takes the increments of the next batch.
    """

    def __init__(
        self,
        declaration: ExperimentDeclaration,
        history: BatchHistory,
        counters: Counters,
        append: Callable[[Increments], None],
    ) -> None:
        self._declaration = declaration
        self._append = append
        self._selectors = {each: declaration.narrowed(each) for each in selectors_of(declaration)}
        self._falls = Falls()
        self.history = history
        self.counters = counters
        self._chunk = _FEW

    def advance(self, api: PrometheusApi, until: float) -> bool:
        """Read the next batches that end before a moment; return whether there are more of them.

        Raises:
            ExperimentError: A query is refused; what was read before stays.
            SourceError: The server cannot be asked.
        """
        history = self.history
        complete = complete_batches(history, until)
        if complete <= 0:
            return False
        if not self._selectors:
            return False
        try:
            batches = self._read(api, min(complete, self._chunk))
        except ExperimentError:
            self._chunk = max(1, self._chunk // 4)
            raise
        self._chunk = min(_MANY, 2 * self._chunk)
        return complete > batches

    def _read(self, api: PrometheusApi, batches: int) -> int:
        history, step = self.history, self.history.step
        if not history.batches and not self.counters.targets:
            self.counters.begin(list(self._before(api)), history.start)
        ends = [history.end + step * (index + 1) for index in range(batches)]
        last = self._by_batch(api, ends)
        restarted = self._restarted(api, ends)
        for index, end in enumerate(ends):
            values = last[index]
            if index in restarted or any(not self.counters.knows(key) for key, _value in values):
                increments = self.counters.follow(self._samples(api, end), end)
            else:
                increments = self.counters.take(values, end)
            if gauge := self._falls.gauge():
                raise ExperimentError(
                    Reason.SCHEMA,
                    f"{gauge} falls again and again, which no counter does",
                    hint="is it a gauge, or does it add up amounts below 0? name a counter",
                )
            self._append(increments)
        self.counters.forget(history.end)
        if self.counters.series > MOST_SERIES:
            raise ExperimentError(Reason.QUERY, f"more than {MOST_SERIES} series", hint="narrow its selector")
        return batches

    def _before(self, api: PrometheusApi) -> Iterator[tuple[SeriesKey, float]]:
        """Yield what each series had counted when the experiment began."""
        start = self.history.start
        for what, selector in self._selectors.items():
            for series in _of(selector, api.last_values, start, start, 1.0, _LOOKBACK):
                if series.samples:
                    yield self._key(what, series), series.samples[-1][1]

    def _by_batch(self, api: PrometheusApi, ends: Sequence[float]) -> list[list[tuple[SeriesKey, float]]]:
        """Return the last value of each series in each batch."""
        step = self.history.step
        batches: list[list[tuple[SeriesKey, float]]] = [[] for _end in ends]
        for what, selector in self._selectors.items():
            for series in _of(selector, api.last_values, ends[0], ends[-1], step, step):
                key = self._key(what, series)
                for moment, value in series.samples:
                    if (index := round((moment - ends[0]) / step)) < len(batches):
                        batches[index].append((key, value))
        return batches

    def _restarted(self, api: PrometheusApi, ends: Sequence[float]) -> set[int]:
        """Return the batches in which a counter was set back, or just before them."""
        step = self.history.step
        window = round((step + _LOOKBACK) * 1000)
        found: set[int] = set()
        for selector in self._selectors.values():
            for series in _of(f"resets({selector}[{window}ms]) > 0", api.range, ends[0], ends[-1], step):
                found.update(round((moment - ends[0]) / step) for moment, _value in series.samples)
        return found

    def _samples(self, api: PrometheusApi, end: float) -> Iterator[tuple[SeriesKey, list[tuple[float, float]]]]:
        begin = end - self.history.step
        for what, selector in self._selectors.items():
            for series in _of(selector, api.samples, end, self.history.step):
                # The oldest versions give the sample at the window's very begin too.
                samples = [sample for sample in series.samples if sample[0] > begin]
                self._falls.add(what, samples)
                yield self._key(what, series), samples

    def _key(self, what: str, series: CounterSeries) -> SeriesKey:
        return SeriesKey.of(what, series.labels, self._declaration.label, self._declaration.cell)


class Falls:
    """How often series fall, other than at a restart: gauges do, and sums of amounts below 0."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, int]] = {}

    def add(self, what: str, samples: Sequence[tuple[float, float]]) -> None:
        """Add samples of a series, in the order of their times."""
        values = [value for _moment, value in samples]
        falls = sum(after < before for before, after in pairwise(values))
        known = self._counts.get(what, (0, 0))
        self._counts[what] = known[0] + falls, known[1] + max(len(values) - 1, 0)

    def gauge(self) -> str:
        """Return what is no counter; nothing where all may be counters."""
        # A process that restarts at each other scrape is hardly a service.
        found = (what for what, (falls, steps) in self._counts.items() if falls >= _FALLS and falls > _FALLING * steps)
        return next(found, "")


def _of(query: str, ask: Callable[..., list[CounterSeries]], *parameters: float) -> list[CounterSeries]:
    """Return what is answered to a query; an error of its own names it."""
    try:
        return ask(query, *parameters)
    except ExperimentError as error:
        raise ExperimentError(error.reason, f"{query}: {error}", hint=error.hint) from None


def complete_batches(history: BatchHistory, until: float) -> int:
    """Return how many batches end before a moment and are not yet read."""
    # A hair's breadth for what the division loses.
    return math.floor((until - history.end) / history.step + 1e-9)
