"""Panels that more than one page shows."""

from __future__ import annotations

from ml_monitoring.alerting.experiments.business_recording import MODES
from ml_monitoring.alerting.experiments.business_signals import DATA_MODE
from ml_monitoring.alerting.model.links import runbook_url
from ml_monitoring.alerting.model.numbers import Links
from ml_monitoring.alerting.monitoring.signals import ALERT_HISTORY, FIRING_ALERTS, FIRING_BY_SEVERITY
from ml_monitoring.dashboards.lib.links import cell
from ml_monitoring.dashboards.lib.panels import Column, Panel, stat, state_timeline, table
from ml_monitoring.dashboards.lib.queries import Query
from ml_monitoring.dashboards.lib.style import SEVERITY, Colour

# What the figures of a page rest on; simulated ones must be seen as such from afar.
_MODES = dict(zip(MODES, (Colour.WARNING, Colour.NOTICE, Colour.NOTICE, Colour.GOOD), strict=True))


def data_mode(*, width: int = 4, height: int = 4) -> Panel:
    """Return the badge that says whether figures are real: LIVE, OPERATIONAL, MODEL or SIMULATED."""
    values = {str(code): (mode, _MODES[mode]) for code, mode in enumerate(MODES)}
    return stat(DATA_MODE, values=values, width=width, height=height)


def firing_by_severity() -> Panel:
    """Return how many alerts of each severity fire."""
    return stat(FIRING_BY_SEVERITY, width=8, show="value_and_name", colours=SEVERITY, empty="no alert fires")


def alert_timeline(*, width: int = 24, height: int = 6) -> Panel:
    """Return a band for each alert, where it fired."""
    fires = {"1": ("fires", Colour.WARNING)}
    return state_timeline(ALERT_HISTORY, width=width, height=height, values=fires, empty="no alert fired")


def firing_alerts(links: Links, *, width: int = 8, height: int = 8) -> Panel:
    """Return the alerts that fire, each with a link to its runbook, where the alerts themselves lead to."""
    # By the label that gives their order.
    severities = {str(rank): pair for rank, pair in enumerate(SEVERITY.items(), 1)}
    return table(
        (
            Column(
                "alertname", "Alert", link=("Open the runbook", runbook_url(cell("Alert"), runbooks=links.runbooks))
            ),
            Column("rank", "Severity", width=90, values=severities),
            Column("team", "Team", width=90),
        ),
        Query(FIRING_ALERTS, name="Instances"),
        title="Firing alerts",
        empty="no alert fires",
        sort_by="Severity",
        width=width,
        height=height,
    )
