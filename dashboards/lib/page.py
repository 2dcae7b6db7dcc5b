"""A page is an outline: rows of panels. Here it gets its grid, its ids, its variables and becomes Grafana's JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ml_monitoring.alerting.model.alert import BoundAlert
from ml_monitoring.alerting.model.foreign import PLACE_LABELS, STORE_LABEL
from ml_monitoring.alerting.model.links import SERVICE_VARIABLE, panel_id
from ml_monitoring.dashboards import TAG
from ml_monitoring.dashboards.lib.finalise import finalise
from ml_monitoring.dashboards.lib.layout import COLUMNS, Position, flow
from ml_monitoring.dashboards.lib.links import menu, outside, way_back, with_chosen
from ml_monitoring.dashboards.lib.panels import Panel
from ml_monitoring.dashboards.lib.queries import Query, Scope
from ml_monitoring.dashboards.lib.style import Colour
from ml_monitoring.dashboards.lib.upstream import Json, as_json, grafana
from ml_monitoring.dashboards.lib.variables import DATASOURCE, Variable, places, stores

# Newest shape that 9.4 reads and that every later version migrates; older ones are refused by some of Grafana 12.
SCHEMA_VERSION = 39
REFRESH_CHOICES = ("5s", "15s", "30s", "1m", "5m", "15m", "1h")
SHARED_CROSSHAIR = 1
_ROW_HEIGHT = 1


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and the panels below it.

    Attributes:
        title: Heading.
        panels: Panels, laid out from left to right.
        collapsed: Whether the row starts folded; Grafana opens the one that holds the panel of a link.
    """

    title: str
    panels: tuple[Panel, ...]
    collapsed: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """Moments that are marked on every panel with a time axis.

    Attributes:
        query: A signal that has a sample where something happened; its title names the marks.
        text: What a mark says, in Grafana's legend syntax.
        colour: Of the mark.
        shown: Whether it is shown without being asked for; not where there are many.
    """

    query: Query
    text: str
    colour: Colour
    shown: bool = True


@dataclass(frozen=True, slots=True)
class Page:
    """One dashboard.

    Attributes:
        uid: Fixed, so that links to it last.
        title: Name in Grafana.
        description: What the page answers, and for whom.
        folder: Grafana's folder, one for each audience.
        variables: Choices at the top, the data source first; each narrows the panels whose signals can be filtered by
            its name. Those of clusters and namespaces are added.
        rows: The outline.
        since: Start of the time range that is shown first.
        refresh: How often the page asks again; not oftener than Prometheus scrapes.
        tags: Beside the tag of all pages.
        marks: What is marked beside the alerts.
        back: Title and uid of the page that led here, for a link at the top.
        links: Titles and addresses of more links at the top.
        stores_of: Sources whose stores can be chosen although no variable is narrowed by them.
        pages: Of each page by uid, the variables that links to it hand on.
    """

    uid: str
    title: str
    description: str
    folder: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]
    since: str = "now-6h"
    refresh: str = "30s"
    tags: tuple[str, ...] = field(default=())
    marks: tuple[Mark, ...] = ()
    back: tuple[str, str] | None = None
    links: tuple[tuple[str, str], ...] = ()
    stores_of: tuple[str, ...] = ()
    pages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def handed_on(self) -> tuple[str, ...]:
        """Return the variables that links to other pages hand on where those have them: of stores, and of services."""
        of_stores = (variable.name for variable in stores(self.variables, self.stores_of, shown=False))
        return (*of_stores, *(each.name for each in self.variables if each.name == SERVICE_VARIABLE))

    def to_json(
        self,
        alerts: tuple[BoundAlert, ...],
        selectors: Mapping[str, str] | None = None,
        *,
        cluster_variables: bool = False,
        store_variable: bool = False,
    ) -> Json:
        """Return the dashboard as Grafana loads it.

        Args:
            alerts: All alerts: they colour the panels of their signals, and are marked on the page that they link to.
            selectors: Whose series of other programs' metrics are meant, see `Thresholds.scope`; needed where a signal
                names them.
            cluster_variables: Whether the choice of a cluster and a namespace is shown.
            store_variable: Whether that of a store is, on pages of sources that can be given by names.

        Raises:
            ValueError: If two panels get one id.
        """
        source, *others = self.variables
        variables = [
            source,
            *places(shown=cluster_variables),
            *stores(others, self.stores_of, shown=store_variable),
            *others,
        ]
        names = frozenset(variable.name for variable in variables)
        has_stores = any(name.endswith(f"_{STORE_LABEL}") for name in names)
        shown = (*(PLACE_LABELS * cluster_variables), *((STORE_LABEL,) * (store_variable and has_stores)))
        scope = Scope(self.uid, names, alerts, selectors or {}, shown)
        dashboard = grafana.Dashboard(
            title=self.title,
            uid=self.uid,
            description=self.description,
            tags=[TAG, *self.tags],
            schemaVersion=SCHEMA_VERSION,
            editable=False,
            graphTooltip=SHARED_CROSSHAIR,
            timezone="browser",
            refresh=self.refresh,
            time=grafana.Time(self.since, "now"),
            timePicker=grafana.TimePicker(refreshIntervals=list(REFRESH_CHOICES), timeOptions=[]),
            templating=grafana.Templating(list=[variable.template for variable in variables]),
            annotations=grafana.Annotations(list=self._annotations(scope)),
            links=[*([way_back(*self.back)] if self.back else []), menu(), *(outside(*link) for link in self.links)],
            panels=self._panels(scope),
        )
        finished: Json = with_chosen(finalise(as_json(dashboard)), self.handed_on, self.pages)
        return finished

    def _panels(self, scope: Scope) -> list[Any]:
        ids = _Ids(self)
        top = 0
        placed: list[Any] = []
        for row in self.rows:
            heading = grafana.RowPanel(title=row.title, collapsed=row.collapsed)
            _place(heading, ids.of_row(row), Position(0, top, COLUMNS, _ROW_HEIGHT))
            positions, bottom = flow([panel.size for panel in row.panels], top + _ROW_HEIGHT)
            inside = [
                _place(_rendered(panel, scope), ids.of_panel(panel), position)
                for panel, position in zip(row.panels, positions, strict=True)
            ]
            if row.collapsed:
                heading.panels = inside
                placed.append(heading)
                top += _ROW_HEIGHT
            else:
                placed += [heading, *inside]
                top = bottom
        return placed

    def _annotations(self, scope: Scope) -> list[Json]:
        return [*self._alert_marks(scope), *(self._mark(mark, scope) for mark in self.marks)]

    def _mark(self, mark: Mark, scope: Scope) -> Json:
        return {
            "name": mark.query.signal.title,
            "datasource": DATASOURCE,
            "enable": mark.shown,
            "hide": False,
            "iconColor": str(mark.colour),
            "expr": mark.query.expr(scope),
            "titleFormat": mark.query.signal.title,
            "textFormat": mark.text,
            "tagKeys": ",".join(mark.query.signal.by),
            "step": "60s",
        }

    def _alert_marks(self, scope: Scope) -> list[Json]:
        # Not the watchdog, which compares nothing and always fires.
        names = sorted(alert.name for alert in scope.alerts if alert.signal.dashboard == self.uid and alert.comparison)
        if not names:
            return []
        within = ",".join(f'{label}=~"${label}"' for label in PLACE_LABELS)
        firing = f'ALERTS{{alertstate="firing",alertname=~"{"|".join(names)}",{within}}}'
        return [
            {
                "name": "Alert start",
                "datasource": DATASOURCE,
                "enable": True,
                "hide": False,
                "iconColor": str(Colour.WARNING),
                # A mark where an alert begins; its whole duration would colour every panel of the page.
                "expr": (
                    f"count by (cluster, namespace, alertname, severity, team) ({firing} unless {firing} offset 1m)"
                ),
                "titleFormat": "{{alertname}}",
                "textFormat": "{{severity}}, team {{team}}",
                "tagKeys": "severity",
                "step": "60s",
            }
        ]


class _Ids:
    """Stable panel ids: a signal's own for the panel that its alerts link to, else made from the title.

    Links lead to the first panel over time that leads with the signal, else to the first that does; not to one that
    Grafana repeats where there is another.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._taken: dict[int, str] = {}
        self._linked: dict[str, Panel] = {}
        panels = [panel for row in page.rows for panel in row.panels]
        for panel in sorted(panels, key=lambda panel: (not panel.is_over_time, bool(panel.repeat))):
            if panel.lead and panel.lead.dashboard == page.uid:
                self._linked.setdefault(panel.lead.name, panel)

    def of_panel(self, panel: Panel) -> int:
        lead = panel.lead
        if lead and self._linked.get(lead.name) is panel and panel_id(lead.name) not in self._taken:
            return self._take(lead.name)
        return self._take(f"{self._page.uid}/{panel.title}")

    def of_row(self, row: Row) -> int:
        return self._take(f"{self._page.uid}/row/{row.title}")

    def _take(self, name: str) -> int:
        number = panel_id(name)
        if number in self._taken:
            raise ValueError(f"{self._page.uid}: two panels get one id: {name} and {self._taken[number]}")
        self._taken[number] = name
        return number


def _rendered(panel: Panel, scope: Scope) -> Any:
    rendered = panel.render(scope)
    if panel.link:
        title, url = panel.link
        rendered.links = [grafana.DashboardLink(title=title, type="link", uri=url, keepTime=False)]
    if panel.repeat:
        if panel.repeat not in scope.variables:
            raise ValueError(f"{scope.uid}: {panel.title} is repeated by {panel.repeat}, which is no variable")
        rendered.repeat = grafana.Repeat(variable=panel.repeat, direction="h", maxPerRow=COLUMNS // panel.size.width)
    return rendered


def _place(panel: Any, number: int, position: Position) -> Any:
    panel.id = number
    panel.gridPos = grafana.GridPos(h=position.height, w=position.width, x=position.x, y=position.y)
    return panel
