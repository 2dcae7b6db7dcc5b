"""Reports: PDFs or pages of HTML with a cover, as a YAML file lists them."""

from __future__ import annotations

import itertools
import math
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ml_monitoring.dashboards.render.dates import format_date
from ml_monitoring.dashboards.render.display import Style
from ml_monitoring.dashboards.render.engine import DashboardData, PanelData
from ml_monitoring.dashboards.render.errors import QueryError, RenderError
from ml_monitoring.dashboards.render.intervals import TimeRange
from ml_monitoring.dashboards.render.markdown import content_of, to_blocks
from ml_monitoring.dashboards.render.model import Dashboard
from ml_monitoring.dashboards.render.pdf import Cover, write_pdf, write_sheets
from ml_monitoring.dashboards.render.prometheus import Prometheus
from ml_monitoring.dashboards.render.query_options import QueryOptions
from ml_monitoring.dashboards.render.text import to_fixed
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.settings_file import Layers

_OVER_TIME = {"timeseries", "state-timeline", "heatmap"}
# The share of the time range that may be without data, and the least that charts show.
_MOST_EMPTY, _LEAST_SECONDS = 0.1, 300
_KEYS = {
    *("title", "dashboards", "from", "to", "data_mode", "modes", "assumptions", "assumptions_panel", "leave_out"),
    "variables",
}


@dataclass(frozen=True, slots=True)
class Report:
    """One entry of the list of reports."""

    name: str
    title: str
    dashboards: tuple[str, ...]
    start: str
    end: str
    data_mode: str
    modes: Mapping[str, tuple[str, str]]
    assumptions: tuple[str, ...]
    assumptions_panel: str
    leave_out: tuple[str, ...]
    variables: Mapping[str, list[str]]


def read_reports(path: Path) -> list[Report]:
    """Return the reports of a file.

    Raises:
        ConfigError: If it cannot be read, or an entry says something that is not known.
    """
    reports = []
    layers = Layers.of_file(path)
    for name, entry in layers.data.items():
        if not isinstance(entry, dict):
            raise ConfigError([layers.problem((name,), "must hold settings like `title: text`")])
        if unknown := entry.keys() - _KEYS:
            raise ConfigError([layers.problem((name, key), "unknown key") for key in sorted(unknown)])
        if not entry.get("dashboards"):
            raise ConfigError([layers.problem((name,), "needs a list of dashboards")])
        reports.append(
            Report(
                name=str(name),
                title=str(entry.get("title") or name),
                dashboards=tuple(str(one) for one in entry["dashboards"]),
                start=str(entry.get("from") or "now-24h"),
                end=str(entry.get("to") or "now"),
                data_mode=str(entry.get("data_mode") or ""),
                modes={
                    str(value): (str(mode.get("name")), str(mode.get("means") or ""))
                    for value, mode in (entry.get("modes") or {}).items()
                },
                assumptions_panel=str(entry.get("assumptions_panel") or ""),
                leave_out=tuple(str(one) for one in entry.get("leave_out") or []),
                assumptions=tuple(str(one) for one in entry.get("assumptions") or []),
                variables={
                    str(key): [str(one) for one in (value if isinstance(value, list) else [value])]
                    for key, value in (entry.get("variables") or {}).items()
                },
            )
        )
    return reports


def write(
    report: Report,
    dashboards: Sequence[Dashboard],
    queries: QueryOptions,
    style: Style,
    directory: Path,
    *,
    forms: Sequence[str] = ("pdf",),
    on_panel: Callable[[PanelData], None] = lambda _: None,
) -> tuple[list[Path], list[DashboardData]]:
    """Write a report and return its files, and what is in them.

    Args:
        report: The report.
        dashboards: Its dashboards.
        queries: How they are queried; what it leaves open is the report's.
        style: Colours and time zone.
        directory: Where to; it exists.
        forms: `pdf`, `html`, or both.
        on_panel: Called when a panel is loaded, and again when it is drawn.
    """
    queries = replace(
        queries,
        start=queries.start or report.start,
        end=queries.end or report.end,
        selected={**report.variables, **queries.selected},
    )
    loaded = [queries.load(one, on_panel=on_panel) for one in dashboards]
    note = ""
    if (begin := begin_of(loaded)) is not None:
        # Before it there is nothing to see; what is there would be a stroke at the edge.
        note = f"most charts have no data before (asked for from {queries.start})"
        queries = replace(queries, start=f"{begin:.0f}")
        loaded = [queries.load(one) for one in dashboards]
    cover = replace(_cover(report, queries, loaded), note=note)
    loaded = [
        replace(data, panels=tuple(one for one in data.panels if one.title not in report.leave_out)) for data in loaded
    ]
    drawn: list[PanelData] = []

    def keep(one: PanelData) -> None:
        drawn.append(one)
        on_panel(one)

    written = []
    for form in forms:
        drawn.clear()
        path = directory / f"{report.name}-{format_date(queries.now * 1000, 'YYYY-MM-DD')}.{form}"
        draw = write_sheets if form == "html" else write_pdf
        draw(loaded, style, path, cover=cover, on_panel=keep)
        written.append(path)
    ends = itertools.accumulate(len(data.panels) for data in loaded)
    return written, [
        replace(data, panels=tuple(drawn[end - len(data.panels) : end])) for data, end in zip(loaded, ends, strict=True)
    ]


def begin_of(loaded: Sequence[DashboardData]) -> float | None:
    """Return when the data of most charts begin, in seconds; None where they fill most of the time range.

    A few with an older history, such as that of runs in MLflow, do not make the others strokes at the edge.
    """
    begins: dict[tuple[str, str], float] = {}
    for data in loaded:
        for one in data.panels:
            # A series without labels may be a number that the query fills in.
            moments = [
                frame.time.values[0] / 1000
                for frame in one.frames
                if frame.time is not None and frame.time.values and any(field.labels for field in frame.value_fields)
            ]
            if one.panel.type in _OVER_TIME and moments:
                # Copies of one panel count as one.
                key = data.dashboard.uid, str(one.panel.raw.get("title"))
                begins[key] = min([*moments, begins.get(key, math.inf)])
    span = loaded[0].span if loaded else TimeRange(0, 0)
    if not begins or (begin := statistics.median_low(begins.values())) - span.start < _MOST_EMPTY * span.seconds:
        return None
    # Charts are not to be a single point.
    return min(begin, span.end - _LEAST_SECONDS)


def _cover(report: Report, queries: QueryOptions, loaded: Sequence[DashboardData]) -> Cover:
    prometheus = queries.prometheus
    end = loaded[0].span.end if loaded else time.time()
    mode, means = "", ""
    if report.data_mode:
        series = prometheus.instant(report.data_mode, end).result().series
        value = to_fixed(series[0].points[0][1]) if series else ""
        mode, means = report.modes.get(value, ("UNKNOWN", "where the data come from is not known"))
    assumptions = [filled(one, prometheus, end) for one in report.assumptions]
    if report.assumptions_panel:
        assumptions += panel_lines(report.assumptions_panel, loaded)
    return Cover(
        report.title,
        prometheus.address,
        prometheus.version(),
        queries.now,
        mode,
        means,
        tuple(assumptions),
    )


def panel_lines(title: str, loaded: Sequence[DashboardData]) -> list[str]:
    """Return the lines of a text panel; a row of a table becomes `name: value`, and the one that names columns none.

    Raises:
        RenderError: If no page has such a panel.
    """
    found = [one for data in loaded for one in data.panels if one.panel.type == "text" and one.title == title]
    if not found:
        raise RenderError(f"no page of the report has a text panel called {title!r}")
    blocks = to_blocks(content_of(found[0]))
    return [": ".join(block.cells) if block.cells else block.text for block in blocks if not block.header]


def filled(text: str, prometheus: Prometheus, moment: float) -> str:
    """Return a text with each `{{ expr }}` replaced by the value of the PromQL expression, `no data` without one."""

    def value(found: re.Match[str]) -> str:
        try:
            series = prometheus.instant(found[1].strip(), moment).result().series
        except QueryError as error:
            raise QueryError(f"assumption {text!r}: {error}") from error
        return to_fixed(series[0].points[0][1]) if series else "no data"

    return re.sub(r"\{\{(.+?)\}\}", value, text)
