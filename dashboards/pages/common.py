"""Panels that more than one page shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ml_monitoring.alerting.domains import ALERTS
from ml_monitoring.alerting.experiments.business_recording import MODES
from ml_monitoring.alerting.experiments.business_signals import DATA_MODE
from ml_monitoring.alerting.experiments.signals import (
    AB_DIFFERENCE,
    AB_HIGH,
    AB_LOW,
    AB_POINTS,
    AB_SUCCESS,
    DIFFERENCES,
)
from ml_monitoring.alerting.fleet.signals import FLEET_OOM_EVENTS
from ml_monitoring.alerting.model.foreign import SERVICE_LABEL
from ml_monitoring.alerting.model.links import SERVICE_VARIABLE, runbook_url
from ml_monitoring.alerting.model.settings import Business
from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.alerting.monitoring.signals import (
    ALERT_HISTORY,
    ALERTS_PAGE,
    FIRING_ALERTS,
    FIRING_BY_SEVERITY,
    FIRING_SINCE,
    TROUBLE_SINCE,
)
from ml_monitoring.alerting.overview.signals import state as state_of
from ml_monitoring.alerting.overview.signals import watching
from ml_monitoring.alerting.services.quality_recording import QUALITIES
from ml_monitoring.alerting.services.signals import SLO_BUDGET_LEFT
from ml_monitoring.alerting.variants.recording import STANDINGS
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.page import Row
from ml_monitoring.dashboards.lib.panels import Column, Panel, light, stat, state_timeline, table, timeseries
from ml_monitoring.dashboards.lib.panels.tables import EMPTY_CELL
from ml_monitoring.dashboards.lib.queries import Query
from ml_monitoring.dashboards.lib.style import ABOVE_ZERO, SEVERITY, Colour
from ml_monitoring.dashboards.lib.variables import Variable, label_values

# What the figures of a page rest on; simulated ones must be seen as such from afar.
_MODES = dict(zip(MODES, (Colour.WARNING, Colour.NOTICE, Colour.NOTICE, Colour.GOOD), strict=True))

# Of an error budget nothing is left, or less than a quarter.
BUDGET = (("<", ABOVE_ZERO, "critical"), ("<", 0.25, "warning"))


def words_of(names: Sequence[str], *colours: Colour) -> dict[str, tuple[str, Colour]]:
    """Return what the codes 0, 1, ... of a verdict are called, and in which colours."""
    return {str(code): pair for code, pair in enumerate(zip(names, colours, strict=True))}


def colours_of(words: Mapping[str, tuple[str, Colour]]) -> dict[str, Colour]:
    """Return the colours of a verdict's words, for series that have them in their names."""
    return dict(words.values())


# How a variant stands beside the others of its persona.
STANDING_WORDS = words_of(STANDINGS, Colour.WARNING, Colour.MUTED, Colour.MUTED, Colour.GOOD)
# What an experiment says of a metric of the candidate.
DIFFERENCE_WORDS = words_of(DIFFERENCES, Colour.MUTED, Colour.FAILURE, Colour.GOOD)
# Of a server: how likely it is in trouble, what share of a resource is used, and what share of its requests fails.
RISK = ((">", 0.4, "warning"), (">", 0.7, "critical"))
USED = ((">", 0.8, "warning"), (">", 0.95, "critical"))
FAILING = ((">", 0.05, "critical"),)

# Nothing fires is a row of its own, which the watchdog gives.
NOT_EVALUATED = "no rule is evaluated, or no data from Prometheus"

# Where a server may not say what failed.
NOT_COUNTED = "no counted failures, or no data from Prometheus"

# How a model does on traffic, beside its test.
QUALITY_WORDS = words_of(QUALITIES, Colour.MUTED, Colour.GOOD, Colour.FAILURE, Colour.WARNING)


def service() -> Variable:
    """Return the choice of a service, of which a model server may have several."""
    return label_values(
        SERVICE_LABEL, "ml_http_requests_total", name=SERVICE_VARIABLE, title="Service", may_be_empty=True
    )


def judged(context: PageContext, signal: Signal) -> tuple[tuple[str, float, str], ...]:
    """Return the limits of the alerts on a signal, for another one that tells the same of fewer things."""
    return tuple(
        (one.comparison, one.threshold, one.severity)
        for one in context.alerts
        if one.signal is signal and one.comparison
    )


def oom_events() -> Panel:
    """Return the graph of servers of a fleet that ran out of memory."""
    return timeseries(
        Query(FLEET_OOM_EVENTS, colour=Colour.FAILURE),
        width=24,
        height=6,
        bars=True,
        empty="no servers out of memory, or no data from Prometheus",
    )


def data_mode(*, width: int = 4, height: int = 4) -> Panel:
    """Return the badge that says whether figures are real: LIVE, OPERATIONAL, MODEL or SIMULATED."""
    values = {str(code): (mode, _MODES[mode]) for code, mode in enumerate(MODES)}
    return stat(DATA_MODE, values=values, width=width, height=height)


def verdict(
    context: PageContext,
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
        context: Says which alerts the user has beside ours.
        question: In words, for the heading.
        panels: The numbers that answer it; 16 columns of them fill the line.
        page: Whose alerts give the state.
        state: Says the answer instead, where the page decides more than whether an alert fires.
        also: Pages whose alerts count too, as far as `named` says.
        only: More matchers that alerts must meet.
        named: How names of alerts begin.
    """
    if state is None:
        unwatched = context.unwatched(watching(page, context.own_alerts))
        answer = state_of(page, context.own_alerts, unwatched=unwatched, only=only)
        state = light(answer, page=ALERTS_PAGE, title="State", height=4)
    since = stat(
        Query(TROUBLE_SINCE, matchers=_linked_to(context, page, *also, only=only, named=named)),
        title="Active since",
        empty=EMPTY_CELL,
    )
    return Row(question, (state, since, *panels))


def chosen(**variables: str) -> str:
    """Return the matchers of alerts that are about what is chosen on the page, or about no such thing.

    Args:
        variables: The page's variable for each label.
    """
    return ",".join(f'{label}=~"|${variable}"' for label, variable in variables.items())


def differences(business: Business, *, width: int) -> Panel:
    """Return what the experiment says of each metric: both variants, the difference, its interval at all times, a word.

    Args:
        business: Says which variants are compared.
        width: Columns.
    """
    return table(
        (
            # What is counted of each metric is what went well.
            Column("metric", "Metric", values={"errors": ("answered without an error", Colour.CLEAR)}),
            Column("origin", "Origin"),
        ),
        *(Query(AB_SUCCESS, name=name, where={"variant": name}) for name in _compared(business)),
        Query(AB_DIFFERENCE, name="Verdict", values=DIFFERENCE_WORDS),
        Query(AB_POINTS, name="Diff", decimals=2),
        Query(AB_LOW, name="Low", decimals=2),
        Query(AB_HIGH, name="High", decimals=2),
        title=f"Live, whole test: share that went well, and how much better {business.candidate} is (pp)",
        empty="no experiments on traffic, or no data from Prometheus",
        width=width,
        height=6,
    )


def error_budgets(context: PageContext, *, width: int = 16, height: int = 4) -> Panel:
    """Return how much of each objective's error budget is left, with the objective; below 0 it is missed."""
    slos = context.slos
    objectives = {
        "availability": f"{100 * slos.availability:g}% answered",
        "latency": f"{100 * slos.latency:g}% within {1000 * slos.latency_threshold:g} ms",
    }
    return stat(
        *(
            Query(SLO_BUDGET_LEFT, name=f"{name} {{{{job}}}}", matchers=f'slo="{slo}"', limits=BUDGET)
            for slo, name in objectives.items()
        ),
        title=f"Error budget remaining ({slos.period})",
        width=width,
        height=height,
        show="value_and_name",
        at_most=(-1, "< -100 %"),
        empty=NOT_COUNTED,
    )


def _compared(business: Business) -> tuple[str, str]:
    return business.baseline, business.candidate


def firing_by_severity(*, width: int = 8) -> Panel:
    """Return how many alerts of each severity fire."""
    return stat(
        # One after the other, the worst first: Prometheus gives what it counts in any order.
        *(Query(FIRING_BY_SEVERITY, name=one, matchers=f'severity="{one}"') for one in SEVERITY),
        width=width,
        show="value_and_name",
        colours=SEVERITY,
        empty=NOT_EVALUATED,
    )


def alert_timeline(*, width: int = 24, height: int = 6) -> Panel:
    """Return a band for each alert, where it fired, in the colour of its severity."""
    severities = {str(3 - rank): pair for rank, pair in enumerate(SEVERITY.items())}
    return state_timeline(
        ALERT_HISTORY,
        width=width,
        height=height,
        values=severities,
        empty="no rule was evaluated or none fired, or no data from Prometheus",
    )


def firing_alerts(
    context: PageContext, *pages: str, only: str = "", named: str = "", width: int = 12, height: int = 7
) -> Panel:
    """Return the alerts that fire, the worst first, each with a link to its runbook; alerts themselves lead there.

    Args:
        context: Says where runbooks are, and which alerts the user has beside ours.
        pages: Those whose alerts are meant; by default all.
        only: More matchers that they must meet.
        named: How their names begin.
        width: Columns.
        height: Grid units.
    """
    # By the label that gives their order.
    severities = {str(rank): pair for rank, pair in enumerate((*SEVERITY.items(), ("none", Colour.MUTED)), 1)}
    # Not the text of the cell: where no other alert fires, it is the watchdog that says so.
    runbook = runbook_url("${__value.raw}", runbooks=context.links.runbooks)
    matchers = _linked_to(context, *pages, only=only, named=named)
    return table(
        (
            Column(
                "alertname",
                "Alert",
                values={"MlMonitoringWatchdog": ("none fires", Colour.CLEAR)},
                link=("Open the runbook", runbook),
            ),
            Column("rank", "Severity", width=88, values=severities),
            Column("team", "Team", width=80),
        ),
        Query(FIRING_ALERTS, name="Count", matchers=matchers),
        Query(FIRING_SINCE, name="Active since", matchers=matchers),
        title="Firing alerts",
        empty=NOT_EVALUATED,
        sort_by="Severity",
        width=width,
        height=height,
    )


def _linked_to(context: PageContext, *pages: str, only: str = "", named: str = "") -> str:
    """Return the matchers of the alerts that link to one of the pages; all alerts of the page of all, and of none."""
    linked = (alert.name for alert in ALERTS if alert.signal.dashboard in pages)
    # What the further pages share with the first one is a part of ours only.
    own = (alert.name for alert in context.own_alerts if alert.signal.dashboard in (pages[:1] if named else pages))
    names = sorted({*own, *(name for name in linked if name.startswith(named))})
    ours = [f'alertname=~"{"|".join(names)}"'] if names and ALERTS_PAGE not in pages else []
    return ",".join([*ours, *([only] if only else [])])
