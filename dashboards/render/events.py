"""Events marked on time axes: annotation queries, and the regions that Grafana makes of their points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from ml_monitoring.dashboards.render.errors import QueryError, RenderError
from ml_monitoring.dashboards.render.frames import legend
from ml_monitoring.dashboards.render.intervals import Steps, TimeRange, parse_duration, query_steps
from ml_monitoring.dashboards.render.prometheus import Answer, Prometheus
from ml_monitoring.dashboards.render.variables import Variables

Json = dict[str, Any]

# Without a step of its own, an annotation query has this one.
_STEP = "60s"
_JOIN = 60.0
# What Grafana's server asks for where a query says nothing.
_POINTS = 100


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


@dataclass(frozen=True, slots=True)
class AnnotationQuery:
    """An annotation query that was sent.

    Attributes:
        settings: The annotation's.
        join: How far apart two points of one region may be, in seconds.
        answer: What it gives.
        problem: What went wrong before it could be sent.
    """

    settings: Json
    join: float
    answer: Future[Answer] | None
    problem: str = ""

    @property
    def name(self) -> str:
        """Return how messages call it."""
        return f"annotation {self.settings.get('name') or '(without a name)'}"


def ask(
    listed: Sequence[Json], variables: Variables, prometheus: Prometheus, span: TimeRange, *, scrape: float
) -> list[AnnotationQuery]:
    """Send the annotation queries to Prometheus.

    As Grafana asks: at most 100 points, so over long ranges far fewer than the step wants; variables of the query
    itself, such as `$__rate_interval`, are replaced as in panels.
    """
    sent = []
    for one in listed:
        expr = str(one.get("expr") or (one.get("target") or {}).get("expr") or "")
        if not expr or (one.get("hide") and not one.get("enable", True)):
            continue
        least = variables.title(str(one.get("step") or _STEP))
        # A bare number counts seconds.
        least = f"{least}s" if least.isdecimal() else least
        try:
            # A step that is a variable says nothing about how far apart the points of a region are.
            join = _JOIN if "$" in least else parse_duration(least)
            steps = query_steps(span, max_data_points=_POINTS, scrape=scrape, min_step=least)
        except RenderError as error:
            sent.append(AnnotationQuery(one, _JOIN, None, str(error)))
            continue
        # The step is the query's own bound, but rates keep to the data source's interval.
        rate = max(steps.step + scrape, 4 * scrape)
        query = variables.of_query(Steps(steps.step, rate), span).query(expr)
        sent.append(AnnotationQuery(one, join, prometheus.range(query, span, steps.step)))
    return sent


def collect(sent: Sequence[AnnotationQuery]) -> tuple[list[Annotation], list[str]]:
    """Return the events, and what went wrong: a query that fails marks nothing, and is to be seen."""
    found: list[Annotation] = []
    problems: list[str] = []
    for one in sent:
        if one.answer is None:
            problems.append(f"{one.name}: {one.problem}")
            continue
        try:
            answer = one.answer.result()
        except QueryError as error:
            problems.append(f"{one.name}: {error}")
            continue
        colour = str(one.settings.get("iconColor") or "rgba(0, 211, 255, 1)")
        for series in answer.series:
            title = legend(str(one.settings.get("titleFormat") or one.settings.get("name") or ""), series.labels, "")
            found += [
                Annotation(start, end, title, colour)
                for start, end in regions(_moments(series.points, one.settings), one.join * 1000)
            ]
    return found, problems


def _moments(points: Sequence[tuple[float, float]], settings: Json) -> list[float]:
    """Return when something was (milliseconds): where the value is above zero, or what the value says."""
    if settings.get("useValueForTime") in (True, "on"):
        # Grafana reads the value as milliseconds.
        return [float(math.floor(value)) for _, value in points if math.isfinite(value)]
    return [moment * 1000 for moment, value in points if value > 0]


def regions(moments: Sequence[float], join: float) -> list[tuple[float, float]]:
    """Return begin and end of the events: moments that are no further apart than `join` are one.

    A query that is true at every step is one event over the whole range.
    """
    found: list[tuple[float, float]] = []
    for moment in moments:
        if found and found[-1][1] + join >= moment:
            found[-1] = (found[-1][0], moment)
        else:
            found.append((moment, moment))
    return found
