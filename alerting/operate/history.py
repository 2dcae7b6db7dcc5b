"""Ask Prometheus about the past, in pieces that it can answer."""

from __future__ import annotations

import re
import urllib.parse
from array import array
from dataclasses import dataclass, field
from typing import Any, Final

from ml_monitoring.exporter.http_client import RemoteError, fetch_json

# A little more than Prometheus takes for a query before it gives up, so that it says so itself.
TIMEOUT: Final = 150.0
# So many moments are asked for at once: a day of minutes.
_MOMENTS: Final = 1440
# Fewer do not help: what such a query takes is in its own windows.
_FEWEST_MOMENTS: Final = 20
# What is answered to a query that is too large, by Prometheus or by what stands before it; 413 is an answer too long.
_TOO_LARGE: Final = frozenset({413, 502, 503, 504})
# Besides for queries that cannot be evaluated, whatever their size.
_REFUSED: Final = 422
_LIMIT: Final = re.compile(r"too many|too large|exceed|limit|timed out")


@dataclass(frozen=True, slots=True)
class Samples:
    """What one series had.

    Attributes:
        labels: Its labels, without its name.
        times: Seconds of the Unix epoch.
        values: As many values.
    """

    labels: dict[str, str]
    times: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))


@dataclass(frozen=True, slots=True)
class History:
    """A span of the past in Prometheus.

    Attributes:
        url: Prometheus, without a slash at the end.
        start: Seconds of the Unix epoch.
        end: The same.
        step: Seconds between two moments.
    """

    url: str
    start: float
    end: float
    step: float

    def samples(self, expr: str) -> list[Samples]:
        """Return the series of an expression, with their values at each moment at which they have one.

        What is too much for one query is asked for in smaller pieces.

        Raises:
            RemoteError: Prometheus cannot be reached, or refuses, or takes too long for the smallest piece.
        """
        series: dict[tuple[tuple[str, str], ...], Samples] = {}
        moments, place, last = _MOMENTS, 0, int((self.end - self.start) // self.step)
        while place <= last:
            begin = self.start + place * self.step
            end = self.start + min(place + moments - 1, last) * self.step
            try:
                found = _ask(self.url, "query_range", query=expr, start=begin, end=end, step=self.step)
            except RemoteError as error:
                if not is_too_large(error) or moments <= _FEWEST_MOMENTS:
                    raise
                moments //= 2
                continue
            place += moments
            for one in found:
                labels = {name: value for name, value in one["metric"].items() if name != "__name__"}
                samples = series.setdefault(tuple(sorted(labels.items())), Samples(labels))
                samples.times.extend(float(moment) for moment, _ in one["values"])
                samples.values.extend(float(value) for _, value in one["values"])
        return list(series.values())


def is_too_large(error: RemoteError) -> bool:
    """Tell whether less at once may be answered."""
    return (
        error.timed_out or error.status in _TOO_LARGE or (error.status == _REFUSED and bool(_LIMIT.search(str(error))))
    )


def is_of_the_query(error: RemoteError) -> bool:
    """Tell whether another query may be answered."""
    return error.status == _REFUSED or is_too_large(error)


def values_at(url: str, expr: str, moment: float) -> list[float]:
    """Return the values of an expression at one moment.

    Args:
        url: Prometheus, without a slash at the end.
        expr: The expression.
        moment: Seconds of the Unix epoch.

    Raises:
        RemoteError: Prometheus cannot be reached, or refuses.
    """
    return [float(one["value"][1]) for one in _ask(url, "query", query=expr, time=moment)]


def names_between(url: str, start: float, end: float) -> frozenset[str]:
    """Return the names of all series that a Prometheus has in a span.

    Args:
        url: Prometheus, without a slash at the end.
        start: Seconds of the Unix epoch.
        end: The same.

    Raises:
        RemoteError: Prometheus cannot be reached, or refuses.
    """
    span = urllib.parse.urlencode({"start": start, "end": end})
    path = f"api/v1/label/__name__/values?{span}"
    return frozenset(fetch_json(url, path, timeout=TIMEOUT, program="Prometheus")["data"])


def _ask(url: str, kind: str, **parameters: str | float) -> list[dict[str, Any]]:
    answer = fetch_json(
        url, f"api/v1/{kind}?{urllib.parse.urlencode(parameters)}", timeout=TIMEOUT, program="Prometheus"
    )
    result: list[dict[str, Any]] = answer["data"]["result"]
    return result
