"""Whether two servers that answer PromQL give the same: Prometheus, and where it writes to."""

from __future__ import annotations

import json
import math
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from ml_monitoring.dashboards.render.engine import load
from ml_monitoring.dashboards.render.intervals import TimeRange
from ml_monitoring.dashboards.render.model import find_dashboards
from ml_monitoring.dashboards.render.prometheus import Prometheus

GENERATED = Path("dashboards/generated")

# VictoriaMetrics reckons these over raw counters in another way, by its makers' decision: it takes the last sample
# before the window into account and extrapolates nothing.
OVER_COUNTERS = re.compile(r"\b(rate|irate|increase|delta|idelta|deriv|changes|resets)\(")

Series = dict[tuple[tuple[str, str], ...], dict[float, float]]


@dataclass(frozen=True)
class Both:
    prometheus: str
    victoria: str
    start: float
    end: float
    step: float = 1

    def series(self, base: str, query: str) -> Series:
        """Return a range query's series without their names (which the two keep differently) and without NaN."""
        parameters = {"query": query, "start": self.start, "end": self.end, "step": self.step, "nocache": 1}
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        url = f"{base}/api/v1/query_range?{urllib.parse.urlencode(parameters)}"
        try:
            with opener.open(url, timeout=60) as answer:
                result = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{base} refuses {query}: {error.read().decode()}") from error
        found: Series = {}
        for each in result:
            labels = tuple(sorted((name, value) for name, value in each["metric"].items() if name != "__name__"))
            points = {at: float(value) for at, value in each["values"] if value != "NaN"}
            if points:
                found[labels] = points
        return found


def newest(series: Series) -> set[float]:
    return {max(points) for points in series.values()}


def panel_queries(both: Both, *, scrape: float) -> dict[str, str]:
    """Return every query that the dashboards send, with variables and intervals put in, by where it is asked."""
    prometheus = Prometheus(both.prometheus)
    span = TimeRange(both.start, both.end)
    return {
        f"{dashboard.uid}/{panel.title}/{letter}": query
        for dashboard in find_dashboards([], GENERATED)
        for panel in load(dashboard, prometheus, span, scrape=scrape).panels
        for letter, query in panel.queries.items()
    }


def differences(both: Both, query: str) -> str:
    """Return the first difference between the two answers; empty when they say the same."""
    here, there = both.series(both.prometheus, query), both.series(both.victoria, query)
    if here.keys() != there.keys():
        return f"only in one: {sorted(here.keys() ^ there.keys())[:2]}"
    for labels, points in here.items():
        for at in sorted(points.keys() | there[labels].keys()):
            one, other = points.get(at), there[labels].get(at)
            # VictoriaMetrics keeps about 15 digits: of a time stamp that is microseconds.
            if one is None or other is None or not math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-5):
                return f"{labels} at {at}: {one} and {other}"
    return ""
