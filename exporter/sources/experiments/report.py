"""The report of one experiment, for people who decide: question, decision, results, caveats, design.

What is in it is put together once, and written as a page of HTML or as a sheet of paper.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Final

from ml_monitoring.exporter.html import page, span
from ml_monitoring.exporter.sources.experiments.declaration import ExperimentDeclaration, ExperimentMetric
from ml_monitoring.exporter.sources.experiments.gate import Gate
from ml_monitoring.exporter.sources.experiments.judgement import Decision, Judgement, MetricStanding
from ml_monitoring.exporter.sources.experiments.tracked import TrackedExperiment

NOTHING: Final = "-"
_ROLES: Final = ("goal", "guardrail", "shown")
GOOD, BAD, OPEN = "good", "bad", "open"
_TONES: Final = {
    Decision.BETTER: GOOD,
    Decision.NO_DIFFERENCE: GOOD,
    Decision.WORSE: BAD,
    Decision.GUARDRAIL_BREACHED: BAD,
    Decision.INVALID: BAD,
}
_METHOD: Final = (
    "Intervals hold at every look, for as long as the experiment runs: the probability that any goal is ever decided "
    "wrongly is at most 5 %, whatever the number of arms and goals, and that of any guardrail likewise."
)


@dataclass(frozen=True, slots=True)
class ResultRow:
    """How an arm stands in a metric.

    Attributes:
        cells: What the columns of `COLUMNS` say.
        lift: Relative difference to the baseline with its interval (lower, middle, upper); None of the baseline.
        tone: Whether that is good, bad, or open.
    """

    cells: tuple[str, ...]
    lift: tuple[float, float, float] | None
    tone: str


COLUMNS: Final = ("Metric", "Arm", "Trials", "Value", "Lift", "Interval", "Verdict")
NUMBERS: Final = range(2, 6)


@dataclass(frozen=True, slots=True)
class ExperimentReport:
    """What a report says.

    Attributes:
        title: The question, or the experiment's name.
        decision: In a word or two, with the arm that it is about.
        tone: Whether that is good, bad, or open.
        reason: Why, in a sentence.
        facts: Names and values of the design.
        rows: Results by metric and arm.
        caveats: What the data cannot tell.
        notes: How it was made.
    """

    title: str
    decision: str
    tone: str
    reason: str
    facts: tuple[tuple[str, str], ...]
    rows: tuple[ResultRow, ...]
    caveats: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def reach(self) -> float:
        """Return the largest difference that the intervals reach, for the scale of their drawing."""
        return max((abs(end) for row in self.rows if row.lift for end in row.lift), default=0.0) or 1.0


def report_of(tracked: TrackedExperiment, gate: Gate, made: float) -> ExperimentReport:
    """Return the report of an experiment that was read.

    Args:
        tracked: The experiment.
        gate: What it says of going on.
        made: When, in seconds since the epoch.
    """
    declaration, judgement = tracked.declaration, tracked.judgement
    about = f": {gate.arm}" if gate.arm else ""
    notes = [_METHOD]
    if gate.read is not None:
        notes.append(f"Counted until {_moment(gate.read)}; made {_moment(made)}.")
    return ExperimentReport(
        declaration.title or tracked.name,
        f"{gate.decision}{about}",
        _TONES.get(gate.decision, OPEN),
        gate.reason,
        tuple(_facts(tracked, judgement)),
        tuple(_rows(declaration, judgement)) if judgement else (),
        gate.caveats,
        tuple(notes),
    )


def as_html(report: ExperimentReport) -> str:
    """Return the report as a page that needs no other file."""
    parts = [
        f'<p class="{_CLASSES[report.tone]}"><strong>{escape(report.decision)}</strong></p>',
        f"<p>{escape(report.reason)}</p>",
        f"<table>{_html_row(COLUMNS, 'th')}{''.join(_html_result(row, report.reach) for row in report.rows)}</table>",
        _html_list("What the data cannot tell", report.caveats),
        "<h2>Design</h2><table>",
        *(f"<tr><th>{escape(name)}</th><td>{_linked(value)}</td></tr>" for name, value in report.facts),
        "</table>",
        *(f"<p>{escape(note)}</p>" for note in report.notes),
    ]
    return page(report.title, "\n".join(part for part in parts if part))


_CLASSES: Final = {GOOD: "up", BAD: "down", OPEN: "pending"}


def _html_row(cells: Sequence[str], tag: str, last: str = "") -> str:
    columns = (
        f"<{tag}{' class=number' if index in NUMBERS else ''}>{escape(cell)}</{tag}>"
        for index, cell in enumerate(cells)
    )
    return f"<tr>{''.join(columns)}<{tag}>{last}</{tag}></tr>"


def _html_result(row: ResultRow, reach: float) -> str:
    if row.lift is None:
        return _html_row(row.cells, "td")
    lower, middle, upper = (100 + 96 * value / reach for value in row.lift)
    drawing = (
        f'<svg viewBox="0 0 200 16" width="200" height="16" class="{_CLASSES[row.tone]}" role="img" '
        f'aria-label="{escape(row.cells[5])}">'
        '<path d="M100 0V16" stroke="#888" stroke-dasharray="2"/>'
        f'<path d="M{lower:.1f} 8H{upper:.1f}" stroke="currentColor" stroke-width="2"/>'
        f'<circle cx="{middle:.1f}" cy="8" r="4" fill="currentColor"/></svg>'
    )
    return _html_row(row.cells, "td", drawing)


def _html_list(title: str, items: Sequence[str]) -> str:
    if not items:
        return ""
    return f"<h2>{title}</h2><ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"


def _linked(value: str) -> str:
    text = escape(value)
    return f'<a href="{text}">{text}</a>' if value.startswith(("http://", "https://")) else text


def _facts(tracked: TrackedExperiment, judgement: Judgement | None) -> list[tuple[str, str]]:
    declaration = tracked.declaration
    begun = _moment(declaration.start.timestamp())
    facts = [("Experiment", tracked.name)]
    facts += [(name, value) for name, value in (("Team", declaration.team), ("Link", declaration.link)) if value]
    ends = (("stopped", declaration.stopped), ("planned until", declaration.end))
    end = next((f", {word} {_moment(moment.timestamp())}" for word, moment in ends if moment), "")
    facts.append(("Time", f"since {begun}{end}; {tracked.history.batches} batches of {span(tracked.history.step)}"))
    exposures = judgement.exposures if judgement else {}
    total = sum(exposures.values())
    intended = (judgement.intended if judgement else {}) or declaration.shares
    for arm, share in intended.items():
        words = [f"intended {share:.1%}"] if declaration.allocation == "fixed" else []
        if total:
            words.append(f"got {exposures[arm]:,.0f} ({exposures[arm] / total:.1%})")
        name = f"Arm {arm}" + (", the baseline" if arm == declaration.baseline else "")
        facts.append((name, ", ".join(words) or NOTHING))
    if judgement is not None and judgement.split_p_value is not None:
        facts.append(("Split", f"p-value of the intended shares {_probability(judgement.split_p_value)}"))
    for found in judgement.standings if judgement else ():
        if found.money_lower is not None and found.money_upper is not None:
            worth = f"{found.money_lower:,.0f} to {found.money_upper:,.0f} a day, at {_worth(declaration, found)}"
            facts.append((f"Worth of {found.arm} by {found.metric}", worth))
    facts.append(("Put into arms", f"each {declaration.unit}"))
    for name, metric in declaration.metrics.items():
        if metric.role == "goal":
            facts.append((f"Goal {name}", f"smallest effect of interest {metric.effect:.1%}"))
        elif metric.role == "guardrail":
            absolute = metric.absolute_margin
            margin = f"{metric.margin:.1%}" if absolute is None else f"{absolute:g} in its unit"
            facts.append((f"Guardrail {name}", f"may be worse by up to {margin}"))
    if judgement is not None and judgement.trials_left:
        left = f"{judgement.trials_left:,.0f} trials in each arm"
        if judgement.time_left is not None:
            left += f", {judgement.time_left / 86_400:.1f} days at this traffic"
        facts.append(("Left to the smallest effect of interest", left))
    return facts


def _rows(declaration: ExperimentDeclaration, judgement: Judgement) -> Iterator[ResultRow]:
    """Yield all rows: goals first, then guardrails, then what is only shown."""
    for role in _ROLES:
        yield from (
            _row(declaration, each) for each in judgement.standings if declaration.metrics[each.metric].role == role
        )


def _row(declaration: ExperimentDeclaration, found: MetricStanding) -> ResultRow:
    metric = declaration.metrics[found.metric]
    value = NOTHING if found.value is None else _value_format(metric)(found.value)
    name = found.metric if metric.role == "goal" else f"{found.metric} ({metric.role})"
    first = (name, found.arm, f"{found.trials:,.0f}", value)
    if found.lift is None or found.lower is None or found.upper is None:
        verdict = NOTHING if found.arm == declaration.baseline else "open" if found.trials else "no data"
        return ResultRow((*first, NOTHING, NOTHING, verdict), None, OPEN)
    verdict, tone = _verdict(metric, found)
    interval = f"{found.lower:+.1%} to {found.upper:+.1%}"
    return ResultRow((*first, f"{found.lift:+.1%}", interval, verdict), (found.lower, found.lift, found.upper), tone)


def _verdict(metric: ExperimentMetric, found: MetricStanding) -> tuple[str, str]:
    if metric.role == "guardrail":
        return ("breached", BAD) if found.breached else ("holds", GOOD) if found.holds else ("open", OPEN)
    if found.lower is None or found.upper is None or found.lower <= 0 <= found.upper:
        return "open", OPEN
    return ("better", GOOD) if (found.lower > 0) == (metric.direction == "up") else ("worse", BAD)


def _worth(declaration: ExperimentDeclaration, found: MetricStanding) -> str:
    metric = declaration.metrics[found.metric]
    return f"{metric.value:g} for each {_UNITS[metric.kind]}"


_UNITS: Final = {"proportion": "success", "mean": "unit of it", "rate": "event"}


def _value_format(metric: ExperimentMetric) -> Callable[[float], str]:
    return "{:.3%}".format if metric.kind == "proportion" else "{:.4g}".format


def _probability(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
