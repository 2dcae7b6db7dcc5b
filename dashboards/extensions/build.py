"""From the folder's files to pages: whole ones, and panels on ours."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from ml_monitoring.alerting.extension_alerts import NO_LINES
from ml_monitoring.alerting.extension_files import (
    PLACEHOLDERS,
    definitions,
    read_definition,
    unknown_series,
    without_value,
)
from ml_monitoring.alerting.extension_pages import (
    OWN_ROW,
    OwnLimit,
    OwnPage,
    OwnPanel,
    OwnPanelFile,
    OwnQuery,
    OwnVariable,
)
from ml_monitoring.alerting.extensions import no_page, own_uid, page_name_problem, page_uid
from ml_monitoring.alerting.model.alert import Alert
from ml_monitoring.alerting.model.foreign import FOREIGN
from ml_monitoring.alerting.model.signal import UID_PREFIX, Signal
from ml_monitoring.dashboards.extensions import modules
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import (
    Column,
    Panel,
    bargauge,
    gauge,
    stat,
    state_timeline,
    table,
    text,
    timeseries,
)
from ml_monitoring.dashboards.lib.queries import Query, Scope
from ml_monitoring.dashboards.lib.style import FORMATS
from ml_monitoring.dashboards.lib.variables import Variable, datasource, label_values
from ml_monitoring.exporter import durations
from ml_monitoring.exporter.catalog import CATALOG, Unit
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.settings_file import Layers
from ml_monitoring.exporter.settings_hints import Location
from ml_monitoring.exporter.suggestions import suggestion
from ml_monitoring.exporter.value_hints import share_hint

_FACTORIES: Final[Mapping[str, Callable[..., Panel]]] = {
    "timeseries": timeseries,
    "stat": stat,
    "bargauge": bargauge,
    "gauge": gauge,
    "table": table,
    "state_timeline": state_timeline,
}
# Of a label in a legend; and what a series is called that has none of them, such as that of a NULL.
_LABELS: Final = re.compile(r"\{\{.*?\}\}")
# Of what a rule finds about a link.
_LINK: Final = re.compile(r"link to ([^\s,]+)")
_NAMELESS: Final = "(empty)"
# Names of signals of panels, which the user has not given: of one whose kind does not fit, or of several.
_INTERNAL: Final = re.compile(r"^own_panel_\w+: |: own_panel_\w+(?:, own_panel_\w+)*$")
# How the value of an alert is shown that no panel shows, where lines do not fit.
_OF_UNITS: Final[Mapping[Unit, Callable[..., Panel]]] = {
    **dict.fromkeys(NO_LINES, stat),
    Unit.FLAG: state_timeline,
}


@dataclass(slots=True)
class Built:
    """What the folder adds.

    Attributes:
        pages: Its pages.
        rows: Title of a row and panel, by the uid of the page that it is added to.
        files: The file of each page, and those of panels that are added to one, by its uid.
    """

    pages: list[Page] = field(default_factory=list)
    rows: dict[str, list[tuple[str, Panel]]] = field(default_factory=dict)
    files: dict[str, list[Path]] = field(default_factory=dict)


def read(folder: Path, context: PageContext) -> Built:
    """Return what a folder adds to the dashboards.

    Raises:
        ConfigError: Something cannot be used; all problems are listed with file and line.
    """
    built = Built()
    problems: list[str] = []
    for path in definitions(folder, "pages", problems, (".yml", ".yaml", ".py")):
        try:
            if problem := page_name_problem(path.stem):
                raise ConfigError([f"{path}: {problem}"])
            page = modules.build(path, context) if path.suffix == ".py" else _page(path, context)
        except ConfigError as error:
            problems += error.problems
        else:
            built.pages.append(page)
            built.files.setdefault(page.uid, []).append(path)
    for path in definitions(folder, "panels", problems):
        try:
            given, layers = read_definition(path, OwnPanelFile)
            uid = page_uid(given.page, folder)
            if not uid:
                raise ConfigError([layers.problem(("page",), no_page(given.page, folder))])
            panel = _Maker(context, layers, uid, ()).panel(given, (), path.stem)
        except ConfigError as error:
            problems += error.problems
        else:
            built.rows.setdefault(uid, []).append((given.row, panel))
            built.files.setdefault(uid, []).append(path)
    if problems:
        raise ConfigError(problems)
    return built


def taken_titles(pages: Sequence[Page], built: Built) -> Iterator[str]:
    """Yield the sentence about each page of the folder that is called like another page, ours or of the folder."""
    titles = {page.title: f"the page {page.uid.removeprefix(UID_PREFIX)} has" for page in pages}
    for page in built.pages:
        (path, *_) = built.files[page.uid]
        if other := titles.get(page.title):
            said = f"title: {other} this title already: choose another one"
            yield f"{_line_of(path, 'title', page.title) or path}: {said}"
        titles.setdefault(page.title, f"{path.name} has")


def placed(finding: str, paths: Sequence[Path]) -> str:
    """Return what a rule for dashboards finds on a page of the folder, with its file and, where known, the line."""
    head, _, said = finding.partition(": ")
    link = _LINK.match(said)
    wanted = [("url", f"/d/{link[1]}")] if link else []
    title = head.partition("/")[2]
    # Of a query its letter follows.
    wanted += [("title", title), ("title", title[:-2])]
    found = (place for key, text in wanted for path in paths if (place := _line_of(path, key, text)))
    return f"{next(found, modules.named(paths))}: {finding}"


def _line_of(path: Path, key: str, text: str) -> str:
    """Return the file with the line in which a key has a text, which may go on behind a `?`; empty where none has."""
    if path.suffix == ".py":
        return ""
    layers = Layers.of_file(path)
    at = (at for at in layers.locations if at[-1:] == (key,) and str(layers.value(at)).partition("?")[0] == text)
    return str(layers.place(found)) if (found := next(at, None)) else ""


def extended(pages: Sequence[Page], built: Built, alerts: Sequence[Alert]) -> Iterator[Page]:
    """Yield all pages, with the panels that are added to them, and one for each alert that no panel over time shows.

    Args:
        pages: Our own.
        built: What the folder adds.
        alerts: The user's own.
    """
    for page in (*pages, *built.pages):
        added = built.rows.get(page.uid, [])
        waiting = [alert.signal for alert in alerts if alert.signal.dashboard == page.uid]
        there = [*(panel for row in page.rows for panel in row.panels), *(panel for _, panel in added)]
        # A link to a value of the end of a night would show that all is well.
        shown = {panel.lead.name for panel in there if panel.lead and panel.is_over_time >= panel.lead.over_time}
        added = [*added, *((OWN_ROW, _of_alert(signal)) for signal in waiting if signal.name not in shown)]
        yield replace(page, rows=tuple(_with_panels(page, added))) if added else page


def _with_panels(page: Page, added: Sequence[tuple[str, Panel]]) -> Iterator[Row]:
    by_row: dict[str, list[Panel]] = {}
    for title, panel in added:
        by_row.setdefault(title, []).append(panel)
    for row in page.rows:
        yield replace(row, panels=(*row.panels, *by_row.pop(row.title, ())))
    for title, panels in by_row.items():
        # A link to a panel must find it open.
        is_linked = any(panel.lead and panel.lead.dashboard == page.uid and _is_alerts(panel.lead) for panel in panels)
        yield Row(title, tuple(panels), collapsed=not is_linked)


def _is_alerts(signal: Signal) -> bool:
    return not signal.name.startswith("own_panel_")


def _of_alert(signal: Signal) -> Panel:
    return _OF_UNITS.get(signal.unit, timeseries)(signal)


def _page(path: Path, context: PageContext) -> Page:
    given, layers = read_definition(path, OwnPage)
    uid = own_uid(path.stem)
    maker = _Maker(context, layers, uid, tuple(variable.label for variable in given.variables))
    rows = []
    problems: list[str] = []
    for number, row in enumerate(given.rows):
        panels = []
        for index, panel in enumerate(row.panels):
            try:
                panels.append(maker.panel(panel, ("rows", number, "panels", index), f"{path.stem}_{number}_{index}"))
            except ConfigError as error:
                problems += error.problems
        rows.append(Row(row.title, tuple(panels), collapsed=row.collapsed))
    if problems:
        raise ConfigError(problems)
    return Page(
        uid=uid,
        title=given.title,
        description=given.question,
        folder=given.folder,
        variables=(datasource(), *map(_variable, given.variables)),
        rows=tuple(rows),
        since=given.since,
        refresh=given.refresh,
        tags=("own",),
        links=tuple((link.title, link.url) for link in given.links),
    )


def _variable(given: OwnVariable) -> Variable:
    foreign = given.metric not in CATALOG and given.metric not in FOREIGN
    return label_values(given.label, given.metric, title=given.title, may_be_empty=True, foreign=foreign)


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes the panels of one file.

    Attributes:
        context: What a deployment's numbers say.
        layers: The file.
        uid: The page.
        choices: Labels that its choices narrow.
    """

    context: PageContext
    layers: Layers
    uid: str
    choices: tuple[str, ...]

    def panel(self, given: OwnPanel, place: Location, name: str) -> Panel:
        """Return a panel; what is wrong with it is said with its place, now or when it is drawn.

        Raises:
            ConfigError: It cannot be drawn.
        """
        try:
            made = self._made(given, name)
        except ValueError as error:
            raise self._refused(place, error) from None
        link = (given.link.title, given.link.url) if given.link else None

        def render(scope: Scope) -> Any:
            try:
                return made.render(scope)
            except ValueError as error:
                raise self._refused(place, error) from None

        return replace(made, render=render, link=link)

    def _refused(self, place: Location, error: ValueError) -> ConfigError:
        """Return what is wrong with a panel with the key that says it, and without names that only we know."""
        said = str(error)
        if internal := _INTERNAL.search(said):
            of_one = "thresholds" if "thresholds" in said else "kind"
            key, said = ("queries" if internal.start() else of_one), _INTERNAL.sub("", said)
        else:
            head, _, rest = said.partition(": ")
            key, said = (head, rest) if head in OwnPanel.model_fields else ("", said)
        return ConfigError([self.layers.problem((*place, key) if key else place, said)])

    def _made(self, given: OwnPanel, name: str) -> Panel:
        sizes = {key: value for key in ("width", "height") if (value := getattr(given, key)) is not None}
        if given.kind == "text":
            return text(given.title, given.text, **sizes)
        queries = list(self._queries(given, f"own_panel_{name.replace('-', '_')}"))
        factory = _FACTORIES[given.kind]
        more = {key: value for key in ("empty", "states") if (value := getattr(given, key)) is not None}
        if foreign := sorted(more.keys() - inspect.signature(factory).parameters.keys()):
            raise ValueError(f"{', '.join(foreign)}: has no meaning for kind: {given.kind}")
        title = given.title or queries[0].signal.title
        if given.kind == "table":
            labels = queries[0].signal.by
            if not labels:
                raise ValueError("by: a table needs a label at least, whose values are its rows")
            columns = [Column(label, label.replace("_", " ").capitalize()) for label in labels]
            return table(columns, *queries, title=title, **sizes, **more)
        return factory(*queries, title=title, **sizes, **more)

    def _queries(self, given: OwnPanel, name: str) -> Iterator[Query]:
        if given.alert:
            signal = self.context.signals.get(given.alert)
            if signal is None:
                raise ValueError(f"alert: there is no {given.alert}{suggestion(given.alert, self.context.signals)}")
            yield Query(signal, name=given.legend, decimals=given.decimals, nameless=_nameless(given.legend, signal))
            return
        asked = given.queries or (OwnQuery.model_construct(expr=given.expr, legend=given.legend),)
        for number, query in enumerate(asked):
            measure = query.unit or given.unit
            assert measure is not None  # noqa: S101  # the model has checked it
            unit, suffix = measure
            # Limits are in the panel's unit, which a column of another one does not have.
            of_query = query.thresholds or (given.thresholds if measure == given.unit else ())
            for problem in unknown_series(query.expr):
                raise ValueError(f"expr: {problem}")
            signal = Signal(
                name=f"{name}_{number}",
                title=given.title,
                question=given.question,
                expr=query.expr.strip(),
                unit=unit,
                dashboard=self.uid,
                by=given.by,
                filters=self.choices if given.filters is None else given.filters,
                legend=query.legend,
                # What is of no unit of ours may be below 0.
                signed=given.signed or unit is Unit.ANY,
                suffix=suffix,
            )
            # Before the page asks, so that a placeholder that is none has its place.
            try:
                signal.promql(self.context.selectors)
            except ValueError as error:
                raise ValueError(f"expr: {without_value(error, (*self.context.selectors, *PLACEHOLDERS))}") from None
            yield Query(
                signal,
                name=query.legend if given.queries else "",
                limits=tuple(_limit(limit, unit) for limit in of_query),
                decimals=given.decimals if query.decimals is None else query.decimals,
                # Bars begin at 0, as lines do.
                form=replace(FORMATS[unit], low=0) if unit is Unit.ANY and not suffix else None,
                nameless=_nameless(query.legend, signal),
            )


def _nameless(legend: str, signal: Signal) -> str:
    """Return what a series is called whose labels in the legend are all empty; nothing where there are other words."""
    text = legend or signal.legend_format
    return _NAMELESS if text and not _LABELS.sub("", text).strip() else ""


def _limit(given: OwnLimit, unit: Unit) -> tuple[str, float, str]:
    comparison, value = (">", given.above) if given.above is not None else ("<", given.below)
    if isinstance(value, str) and unit is Unit.SECONDS:
        value = durations.parse(value)
    if not isinstance(value, int | float):
        wanted = "a duration such as 5m, or seconds" if unit is Unit.SECONDS else "a number"
        wanted += share_hint(value) if unit is Unit.RATIO else ""
        raise ValueError(f"thresholds: {value!r} is not {wanted}")  # noqa: TRY004  # said like the others
    return comparison, float(value), given.severity
