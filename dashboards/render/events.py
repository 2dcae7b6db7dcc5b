"""Events marked on time axes: annotation queries, and the regions that Grafana makes of their points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from ml_monitoring.dashboards.render.errors import QueryError
from ml_monitoring.dashboards.render.frames import legend
from ml_monitoring.dashboards.render.intervals import SAFE_RESOLUTION, TimeRange, query_steps
from ml_monitoring.dashboards.render.prometheus import Answer, Prometheus
from ml_monitoring.dashboards.render.variables import Variables

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Annotation:
    """One event.

    Attributes:
        start: When it began, in milliseconds.
        end: When it ended; the same as `start` for a moment.
        title: What it is.
        colour: Grafana's name of its colour.
    """

    start: float
    end: float
    title: str
    colour: str


Mark = tuple[Json, float, Future[Answer]]


def ask(
    listed: Sequence[Json], variables: Variables, prometheus: Prometheus, span: TimeRange, *, scrape: float
) -> list[Mark]:
    """Ask for the annotations that come from Prometheus."""
    marks = []
    for one in listed:
        if one.get("hide") and not one.get("enable", True):
            continue
        expr = str(one.get("expr") or (one.get("target") or {}).get("expr") or "")
        if expr:
            least = str(one.get("step") or "60s")
            steps = query_steps(span, max_data_points=SAFE_RESOLUTION, scrape=scrape, min_step=least)
            query = variables.of_query(steps, span).query(expr)
            marks.append((one, steps.step, prometheus.range(query, span, steps.step)))
    return marks


def collect(marks: Sequence[Mark]) -> Iterator[Annotation]:
    """Return the events; an annotation query that fails marks nothing, as in Grafana."""
    for settings, step, future in marks:
        try:
            answer = future.result()
        except QueryError:
            continue
        colour = str(settings.get("iconColor") or "rgba(0, 211, 255, 1)")
        for series in answer.series:
            title = legend(str(settings.get("titleFormat") or settings.get("name") or ""), series.labels, "")
            if settings.get("useValueForTime") == "on" or settings.get("useValueForTime") is True:
                for value in sorted({value for _, value in series.points}):
                    # Grafana reads the value as milliseconds.
                    yield Annotation(value, value, title, colour)
                continue
            begun: float | None = None
            last = 0.0
            for moment, value in (*series.points, (float("inf"), 0.0)):
                if begun is not None and (not value or moment - last > step * 1.5):
                    yield Annotation(begun * 1000, last * 1000, title, colour)
                    begun = None
                if value:
                    begun = moment if begun is None else begun
                    last = moment
