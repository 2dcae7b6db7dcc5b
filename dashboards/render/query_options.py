"""How dashboards are queried: which Prometheus, which time range, which values of variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from ml_monitoring.dashboards.render.engine import DashboardData, PanelData, load
from ml_monitoring.dashboards.render.errors import meant
from ml_monitoring.dashboards.render.intervals import TimeRange, parse_range
from ml_monitoring.dashboards.render.model import Dashboard, DashboardPanel
from ml_monitoring.dashboards.render.prometheus import Prometheus


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """The same for all dashboards of a run.

    Attributes:
        prometheus: Where queries are sent.
        start: Begin of the time range; None takes the dashboard's.
        end: Its end.
        selected: Values of variables.
        scrape: The data source's scrape interval in seconds.
        now: What `now` means.
    """

    prometheus: Prometheus
    start: str | None
    end: str | None
    selected: Mapping[str, list[str]]
    scrape: float
    now: float

    def span(self, dashboard: Dashboard) -> TimeRange:
        """Return the time range of a dashboard."""
        start, end = dashboard.time
        return parse_range(self.start or start, self.end or end, now=self.now, zone=dashboard.timezone)

    def load(
        self,
        dashboard: Dashboard,
        *,
        width: int = 1600,
        only: DashboardPanel | None = None,
        on_panel: Callable[[PanelData], None] = lambda _: None,
    ) -> DashboardData:
        """Run a dashboard's queries. A variable that this dashboard has not is no mistake when another has it."""
        names = {str(variable.get("name")) for variable in dashboard.variables}
        start, end = dashboard.time
        return load(
            dashboard,
            self.prometheus,
            self.span(dashboard),
            selected={name: values for name, values in self.selected.items() if name in names},
            width=width,
            scrape=self.scrape,
            only=only,
            # As it was given: links lead to the last six hours, not to six hours of the past.
            builtin={"url_time_range": urlencode({"from": self.start or start, "to": self.end or end})},
            on_panel=on_panel,
        )

    def unknown_variables(self, dashboards: list[Dashboard]) -> list[str]:
        """Return a message for each selected variable that none of the dashboards has."""
        names = {str(variable.get("name")) for dashboard in dashboards for variable in dashboard.variables}
        known = f"they have {', '.join(sorted(names)) or 'no variables'}"
        return [
            f"--var {name}: none of the dashboards has it; {meant(name, names, known)}"
            for name in self.selected
            if name not in names
        ]
