"""Panels that more than one page shows."""

from __future__ import annotations

from collections.abc import Sequence

from ml_monitoring.alerting.domains import ALERTS
from ml_monitoring.alerting.experiments.business_recording import MODES
from ml_monitoring.alerting.experiments.business_signals import DATA_MODE
from ml_monitoring.alerting.experiments.signals import AB_DIFFERENCE, AB_HIGH, AB_LOW, AB_POINTS, DIFFERENCES
from ml_monitoring.alerting.model.links import runbook_url
from ml_monitoring.alerting.monitoring.signals import (
    ALERT_HISTORY,
    ALERTS_PAGE,
    FIRING_ALERTS,
    FIRING_BY_SEVERITY,
    FIRING_SINCE,
    TROUBLE_SINCE,
)
from ml_monitoring.alerting.overview.signals import STATES
from ml_monitoring.alerting.variants.variant_signals import STANDINGS
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.links import cell
from ml_monitoring.dashboards.lib.page import Row
from ml_monitoring.dashboards.lib.panels import Column, Panel, light, stat, state_timeline, table
from ml_monitoring.dashboards.lib.panels.tables import EMPTY_CELL
from ml_monitoring.dashboards.lib.queries import Query
from ml_monitoring.dashboards.lib.style import SEVERITY, Colour

# What the figures of a page rest on; simulated ones must be seen as such from afar.
_MODES = dict(zip(MODES, (Colour.WARNING, Colour.NOTICE, Colour.NOTICE, Colour.GOOD), strict=True))


def words_of(names: Sequence[str], *colours: Colour) -> dict[str, tuple[str, Colour]]:
    """Return what the codes 0, 1, ... of a verdict are called, and in which colours."""
    return {str(code): pair for code, pair in enumerate(zip(names, colours, strict=True))}


# How a variant stands beside the others of its persona.
STANDING_WORDS = words_of(STANDINGS, Colour.WARNING, Colour.MUTED, Colour.GOOD)


def data_mode(*, width: int = 4, height: int = 4) -> Panel:
    """Return the badge that says whether figures are real: LIVE, OPERATIONAL, MODEL or SIMULATED."""
    values = {str(code): (mode, _MODES[mode]) for code, mode in enumerate(MODES)}
    return stat(DATA_MODE, values=values, width=width, height=height)


def verdict(
    question: str,
    *panels: Panel,
    page: str,
    state: Panel | None = None,
    also: tuple[str, ...] = (),
    only: str = "",
    named: str = "",
) -> Row:
    """Return what opens a page: its question, the answer in a word and a colour, since when, and the numbers behind.

    Args:
        question: In words, for the heading.
        panels: The numbers that answer it; 16 columns of them fill the line.
        page: Whose alerts give the state.
        state: Says the answer instead, where the page decides more than whether an alert fires.
        also: Pages whose alerts count too, as far as `named` says.
        only: More matchers that alerts must meet.
        named: How names of alerts begin.
    """
    state = state or light(STATES[page], page=ALERTS_PAGE, title="State", height=4)
    since = stat(
        Query(TROUBLE_SINCE, matchers=_linked_to(page, *also, only=only, named=named)),
        title="Firing since",
        empty=EMPTY_CELL,
    )
    return Row(question, (state, since, *panels))


def differences() -> Panel:
    """Return what the experiment says of each metric: the difference, its interval at all times, and a word."""
    words = words_of(DIFFERENCES, Colour.MUTED, Colour.FAILURE, Colour.GOOD)
    return table(
        (Column("metric", "Metric"), Column("origin", "Origin")),
        Query(AB_DIFFERENCE, name="Verdict", values=words),
        Query(AB_POINTS, name="Better by"),
        Query(AB_LOW, name="At least"),
        Query(AB_HIGH, name="At most"),
        title="How much better the candidate is (pp)",
        empty="no experiments on traffic, or no data from Prometheus",
        width=13,
        height=7,
    )


def firing_by_severity(*, width: int = 8) -> Panel:
    """Return how many alerts of each severity fire."""
    return stat(
        FIRING_BY_SEVERITY,
        width=width,
        show="value_and_name",
        colours=SEVERITY,
        empty="no firing alerts, or no data from Prometheus",
    )


def alert_timeline(*, width: int = 24, height: int = 6) -> Panel:
    """Return a band for each alert, where it fired, in the colour of its severity."""
    severities = {str(3 - rank): pair for rank, pair in enumerate(SEVERITY.items())}
    return state_timeline(
        ALERT_HISTORY,
        width=width,
        height=height,
        values=severities,
        empty="no alerts that fired, or no data from Prometheus",
    )


def firing_alerts(
    context: PageContext, *pages: str, only: str = "", named: str = "", width: int = 12, height: int = 7
) -> Panel:
    """Return the alerts that fire, the worst first, each with a link to its runbook; alerts themselves lead there.

    Args:
        context: Says where runbooks are.
        pages: Those whose alerts are meant; by default all.
        only: More matchers that they must meet.
        named: How their names begin.
        width: Columns.
        height: Grid units.
    """
    # By the label that gives their order.
    severities = {str(rank): pair for rank, pair in enumerate(SEVERITY.items(), 1)}
    runbook = runbook_url(cell("Alert"), runbooks=context.links.runbooks)
    matchers = _linked_to(*pages, only=only, named=named)
    return table(
        (
            Column("alertname", "Alert", link=("Open the runbook", runbook)),
            Column("rank", "Severity", width=88, values=severities),
            Column("team", "Team", width=80),
        ),
        Query(FIRING_ALERTS, name="Count", matchers=matchers),
        Query(FIRING_SINCE, name="Since", matchers=matchers),
        title="Firing alerts",
        empty="no firing alerts, or no data from Prometheus",
        sort_by="Severity",
        width=width,
        height=height,
    )


def _linked_to(*pages: str, only: str = "", named: str = "") -> str:
    """Return the matchers of the alerts that link to one of the pages; all alerts of the page of all, and of none."""
    linked = (alert.name for alert in ALERTS if alert.signal.dashboard in pages)
    names = sorted(name for name in linked if name.startswith(named))
    ours = [f'alertname=~"{"|".join(names)}"'] if names and ALERTS_PAGE not in pages else []
    return ",".join([*ours, *([only] if only else [])])
