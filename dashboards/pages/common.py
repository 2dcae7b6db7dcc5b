"""Panels that more than one page shows."""

from __future__ import annotations

from ml_monitoring.alerting.domains import ALERT_GROUPS
from ml_monitoring.alerting.experiments.business_recording import MODES
from ml_monitoring.alerting.experiments.business_signals import DATA_MODE
from ml_monitoring.alerting.model.links import runbook_url
from ml_monitoring.alerting.monitoring.signals import (
    ALERT_HISTORY,
    ALERTS_PAGE,
    FIRING_ALERTS,
    FIRING_BY_SEVERITY,
    FIRING_ELSEWHERE,
)
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.links import cell, page_url
from ml_monitoring.dashboards.lib.page import Row
from ml_monitoring.dashboards.lib.panels import Column, Panel, alert_list, stat, state_timeline, table
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
    return stat(
        FIRING_BY_SEVERITY,
        width=8,
        show="value_and_name",
        colours=SEVERITY,
        empty="no firing alerts, or no data from Prometheus",
    )


def alert_timeline(*, width: int = 24, height: int = 6) -> Panel:
    """Return a band for each alert, where it fired."""
    fires = {"1": ("fires", Colour.WARNING)}
    return state_timeline(
        ALERT_HISTORY,
        width=width,
        height=height,
        values=fires,
        empty="no alerts that fired, or no data from Prometheus",
    )


def firing_alerts(
    context: PageContext, *domains: str, title: str = "Firing alerts", width: int = 8, height: int = 8
) -> Panel:
    """Return the alerts that fire, each with a link to its runbook, where the alerts themselves lead to.

    Args:
        context: Says where runbooks are.
        domains: Groups of alerts that are meant; by default all.
        title: Heading.
        width: Columns.
        height: Grid units.
    """
    # By the label that gives their order.
    severities = {str(rank): pair for rank, pair in enumerate(SEVERITY.items(), 1)}
    runbook = runbook_url(cell("Alert"), runbooks=context.links.runbooks)
    return table(
        (
            Column("alertname", "Alert", link=("Open the runbook", runbook)),
            Column("rank", "Severity", width=88, values=severities),
            Column("team", "Team", width=80),
        ),
        Query(FIRING_ALERTS, name="Count", matchers=_within("=~", domains)),
        title=title,
        empty="no firing alerts, or no data from Prometheus",
        sort_by="Severity",
        width=width,
        height=height,
    )


def domain_alerts(context: PageContext, *domains: str) -> Row:
    """Return the firing alerts of a page's domains, and how many others there are, with a link to them."""
    others = stat(Query(FIRING_ELSEWHERE, matchers=_within("!~", domains)), height=6)
    return Row(
        "Alerts",
        (
            firing_alerts(context, *domains, width=20, height=6),
            others.linked("All alerts", page_url(ALERTS_PAGE, {})),
        ),
    )


def recent_alerts(*domains: str) -> Panel:
    """Return Grafana's own list of the alerts of a page's domains, pending ones too."""
    return alert_list(
        "Recent alerts",
        "Which alerts of this domain fire, or are about to?",
        labels=f"{{{_within('=~', domains)}}}",
        width=24,
        height=7,
    )


def _within(comparison: str, domains: tuple[str, ...]) -> str:
    names = "|".join(sorted(alert.name for domain in domains for alert in ALERT_GROUPS[domain]))
    return f'alertname{comparison}"{names}"' if names else ""
