"""A dashboard with its data: every panel's queries asked in parallel, each panel judged on its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from ml_monitoring.dashboards.render import events, fields
from ml_monitoring.dashboards.render.errors import QueryError, RenderError, UnsupportedPanelError
from ml_monitoring.dashboards.render.events import Annotation
from ml_monitoring.dashboards.render.frames import Field, FieldKind, Frame, frames_of
from ml_monitoring.dashboards.render.intervals import (
    DEFAULT_SCRAPE,
    TimeRange,
    parse_duration,
    query_steps,
)
from ml_monitoring.dashboards.render.layout import panel_width
from ml_monitoring.dashboards.render.model import Dashboard, DashboardPanel
from ml_monitoring.dashboards.render.prometheus import Answer, Prometheus
from ml_monitoring.dashboards.render.repeats import expand
from ml_monitoring.dashboards.render.transforms import transform
from ml_monitoring.dashboards.render.variable_values import resolve_variables
from ml_monitoring.dashboards.render.variables import Variables

Json = dict[str, Any]

# Panels that are drawn without a query.
WITHOUT_QUERY = frozenset({"text", "row", "dashlist", "news", "annolist", "welcome", "gettingstarted"})
ALERT_LIST = "alertlist"


@dataclass(frozen=True, slots=True)
class PanelData:
    """A panel and what its queries gave. Drawing does not change it.

    Attributes:
        panel: The panel.
        title: Its heading with variables replaced.
        span: The time range that it shows.
        variables: The variables as the panel sees them.
        frames: The data after transformations, with settings and names.
        error: What went wrong, empty when nothing did.
        unsupported: Whether the error is that the renderer does not know the panel.
        seconds: The longest of its queries.
        samples: Samples that Prometheus touched for it.
        queries: The PromQL that was asked, by the query's letter.
        alerts: For an alert list, Prometheus's alerting rules.
        warnings: Prometheus's remarks.
        instead_of: The panels in whose place it says why they are not drawn.
    """

    panel: DashboardPanel
    title: str
    span: TimeRange
    variables: Variables
    frames: Sequence[Frame] = ()
    error: str = ""
    unsupported: bool = False
    seconds: float = 0.0
    samples: int = 0
    queries: Mapping[str, str] = field(default_factory=dict)
    alerts: Sequence[Json] = ()
    warnings: tuple[str, ...] = ()
    instead_of: tuple[PanelData, ...] = ()

    @property
    def series(self) -> int:
        """Return how many fields hold values; rows, where the panel is a table."""
        if self.panel.type == "table":
            return sum(frame.length for frame in self.frames)
        return sum(len(frame.value_fields) for frame in self.frames if frame.length)

    @property
    def no_value(self) -> str:
        """Return what the panel says when it has no data."""
        return str(self.panel.defaults.get("noValue") or "No data")

    @property
    def means_something_by_emptiness(self) -> bool:
        """Return whether the panel says in words of its own what no data means, such as "no alert fires"."""
        return len(self.no_value.split()) > 1 and self.no_value.lower() != "no data"

    @property
    def empty(self) -> bool:
        """Return whether the panel asked and got nothing."""
        if self.error or self.panel.type in WITHOUT_QUERY or self.panel.type == ALERT_LIST:
            return False
        return not any(
            value is not None and value == value  # noqa: PLR0124 - NaN is the one that differs from itself
            for frame in self.frames
            for column in frame.value_fields or frame.fields
            for value in column.values
        )


@dataclass(frozen=True, slots=True)
class DashboardData:
    """A dashboard with the data of its panels.

    Attributes:
        dashboard: The dashboard.
        span: The time range.
        variables: Its variables.
        panels: Rows and panels in reading order.
        annotations: Events to mark on time axes.
        problems: Annotation queries that went wrong, and why.
    """

    dashboard: Dashboard
    span: TimeRange
    variables: Variables
    panels: tuple[PanelData, ...]
    annotations: tuple[Annotation, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def unsupported(self) -> list[PanelData]:
        """Return the panels that the renderer does not know."""
        return [one for one in self.panels if one.unsupported]

    @property
    def failed(self) -> list[PanelData]:
        """Return the panels that went wrong."""
        return [one for one in self.panels if one.error and not one.unsupported]


@dataclass(frozen=True, slots=True)
class _Asked:
    target: Json
    expr: str
    legend: str
    future: Future[Answer]


def load(
    dashboard: Dashboard,
    prometheus: Prometheus,
    span: TimeRange,
    *,
    selected: Mapping[str, list[str]] | None = None,
    width: int = 1600,
    scrape: float = DEFAULT_SCRAPE,
    only: DashboardPanel | None = None,
    builtin: Mapping[str, str] | None = None,
    on_panel: Callable[[PanelData], None] = lambda _: None,
) -> DashboardData:
    """Run a dashboard's queries.

    Args:
        dashboard: The dashboard.
        prometheus: Whom to ask.
        span: The time range.
        selected: Values of variables chosen by the user.
        width: Width of the page in pixels; a panel asks for a point a pixel.
        scrape: The data source's scrape interval in seconds.
        only: Run this panel alone.
        builtin: More of Grafana's own variables, named without their leading underscores.
        on_panel: Called when a panel is done.

    Raises:
        RenderError: If a variable cannot be read. What goes wrong with a panel stays in its data.
    """
    variables = resolve_variables(dashboard, prometheus, span, selected or {}).with_builtin(**builtin or {})
    panels = expand(dashboard.panels, variables)
    if only is not None:
        panels = [panel for panel in panels if panel.id == only.id and panel.type != "row"]
    begun = [_begin(panel, variables, prometheus, span, width=width, scrape=scrape) for panel in panels]
    marks = [] if only else events.ask(dashboard.annotations, variables, prometheus, span, scrape=scrape)
    by_id: dict[int, PanelData] = {}
    done = []
    for beginning, asked in begun:
        data = _finish(beginning, asked, prometheus, by_id)
        by_id.setdefault(data.panel.id, data)
        done.append(data)
        on_panel(data)
    annotations, problems = events.collect(marks)
    return DashboardData(dashboard, span, variables, tuple(done), tuple(annotations), tuple(problems))


def _begin(
    panel: DashboardPanel, variables: Variables, prometheus: Prometheus, span: TimeRange, *, width: int, scrape: float
) -> tuple[PanelData, list[_Asked]]:
    own = variables.scoped(panel.scope)
    data = PanelData(panel, own.title(panel.title), span, own)
    asked: list[_Asked] = []
    if panel.type in WITHOUT_QUERY or panel.type == ALERT_LIST:
        return data, asked
    try:
        data = replace(data, span=own_span(panel, own, span))
        for target in panel.targets:
            _check_source(target.get("datasource") or panel.raw.get("datasource"))
            asked += _ask(target, data, prometheus, max_points=_max_points(panel, width), scrape=scrape)
    except RenderError as error:
        data = replace(data, error=str(error), unsupported=isinstance(error, UnsupportedPanelError))
    return replace(data, queries={str(one.target.get("refId") or "A"): one.expr for one in asked}), asked


def _max_points(panel: DashboardPanel, width: int) -> int:
    given = panel.raw.get("maxDataPoints")
    return int(given) if given else max(100, int(panel_width(panel.grid.w, width)))


def own_span(panel: DashboardPanel, variables: Variables, span: TimeRange) -> TimeRange:
    """Return the time range of a panel, which may have one of its own."""
    if panel.raw.get("timeFrom"):
        span = TimeRange(
            span.end - parse_duration(variables.title(str(panel.raw["timeFrom"])).removeprefix("now-")), span.end
        )
    if panel.raw.get("timeShift"):
        shift = parse_duration(variables.title(str(panel.raw["timeShift"])))
        span = TimeRange(span.start - shift, span.end - shift)
    return span


def _check_source(source: Any) -> None:
    kind = source.get("type") if isinstance(source, dict) else ""
    uid = source.get("uid") if isinstance(source, dict) else source
    if uid == "-- Dashboard --" or kind in (None, "", "prometheus", "mixed"):
        return
    if kind == "datasource" and uid in ("-- Mixed --", "-- Dashboard --"):
        return
    what = "an expression of Grafana's server" if kind == "__expr__" else f"a data source of type {kind}"
    raise UnsupportedPanelError(f"it reads {what}; only Prometheus is asked here")


def _ask(target: Json, data: PanelData, prometheus: Prometheus, *, max_points: int, scrape: float) -> Iterator[_Asked]:
    expr = str(target.get("expr") or "").strip()
    if not expr:
        return
    steps = query_steps(
        data.span,
        max_data_points=max_points,
        scrape=scrape,
        min_step=data.variables.title(str(target.get("interval") or "")),
        panel_step=data.variables.title(str(data.panel.raw.get("interval") or "")),
        factor=int(target.get("intervalFactor") or 1),
    )
    variables = data.variables.of_query(steps, data.span)
    expr = variables.query(expr)
    legend = variables.title(str(target.get("legendFormat") or ""))
    if target.get("range", not target.get("instant")) or not target.get("instant"):
        yield _Asked(target, expr, legend, prometheus.range(expr, data.span, steps.step))
    if target.get("instant"):
        yield _Asked(target, expr, legend, prometheus.instant(expr, data.span.end))


def _finish(
    data: PanelData, asked: Sequence[_Asked], prometheus: Prometheus, others: Mapping[int, PanelData]
) -> PanelData:
    errors = [data.error] if data.error else []
    answers: list[Answer] = []
    gathered: list[Frame] = []
    for one in asked:
        try:
            answer = one.future.result()
        except QueryError as error:
            errors.append(f"query {one.target.get('refId', '')}: {error}")
            continue
        answers.append(answer)
        gathered += frames_of(
            answer,
            ref_id=str(one.target.get("refId") or "A"),
            form=str(one.target.get("format") or "time_series"),
            legend_format=one.legend,
            expr=one.expr,
        )
    data = replace(
        data,
        error="; ".join(errors),
        seconds=max((answer.seconds for answer in answers), default=0.0),
        samples=sum(answer.samples or 0 for answer in answers),
        warnings=tuple(warning for answer in answers for warning in answer.warnings),
    )
    frames: Sequence[Frame] = gathered
    try:
        if data.panel.type == ALERT_LIST:
            data = replace(data, alerts=prometheus.alerts())
        frames = _tell_apart([*gathered, *_reused(data.panel, others)], data.panel)
        frames = transform(frames, data.panel.raw.get("transformations") or [], data.variables)
        config = data.panel.raw.get("fieldConfig") or {}
        return replace(data, frames=fields.configured(frames, config, data.variables, data.panel.type))
    except RenderError as error:
        return replace(
            data,
            frames=frames,
            error=data.error or str(error),
            unsupported=isinstance(error, UnsupportedPanelError),
        )


def _reused(panel: DashboardPanel, others: Mapping[int, PanelData]) -> Iterator[Frame]:
    """Return the data of other panels, where a query says so."""
    for target in panel.targets:
        other = others.get(int(target.get("panelId") or -1)) if not target.get("expr") else None
        if other is not None:
            yield from (
                frame.with_fields([column.copy(config={}) for column in frame.fields]) for frame in other.frames
            )


def _tell_apart(frames: list[Frame], panel: DashboardPanel) -> list[Frame]:
    """Return the frames with the values of several table queries called by the query's letter, as Grafana does.

    A query without a result has a time and a value column all the same, and no labels, which counts for what merges.
    """
    letters = [str(target.get("refId")) for target in panel.targets if target.get("format") == "table"]
    if len(letters) < 2 or not frames:
        return frames
    answered = {frame.ref_id for frame in frames}
    empty = [
        Frame([Field("Time", FieldKind.TIME, []), Field("Value", FieldKind.NUMBER, [])], letter)
        for letter in letters
        if letter not in answered
    ]
    lettered = [
        frame.with_fields(
            [one.copy(name=f"Value #{frame.ref_id}") if one.name == "Value" else one for one in frame.fields]
        )
        if frame.ref_id in letters
        else frame
        for frame in (*frames, *empty)
    ]
    order = [str(target.get("refId")) for target in panel.targets]
    return sorted(lettered, key=lambda frame: order.index(frame.ref_id) if frame.ref_id in order else -1)
