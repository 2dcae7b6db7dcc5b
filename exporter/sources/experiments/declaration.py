"""What is declared of an experiment: who runs it, its arms, its metrics, and when it is over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema, model_validator

from ml_monitoring.exporter.settings_hints import EXPERIMENT_PATTERN
from ml_monitoring.exporter.sources.experiments.selectors import SeriesSelector, matching
from ml_monitoring.exporter.stores import StoreName
from ml_monitoring.exporter.value_hints import share_hint
from ml_monitoring.exporter.values import NAME_PATTERN, NAMES_SCHEMA, Duration, Model, refuse, split_list

# A history is kept in at most so many batches.
_BATCHES: Final = 750
_STEPS: Final = (60, 300, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400)
_UNPLANNED: Final = 30 * 86_400.0

ExperimentName = Annotated[str, StringConstraints(pattern=EXPERIMENT_PATTERN)]
PartName = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Label = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]
OneOrMore = Annotated[tuple[str, ...], BeforeValidator(split_list), Field(min_length=1), WithJsonSchema(NAMES_SCHEMA)]


def _in_utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _selector(value: str) -> str:
    selector = SeriesSelector.parse(value)
    if problem := selector.problem():
        raise ValueError(f"{selector}: {problem}")
    return str(selector)


Moment = Annotated[datetime, AfterValidator(_in_utc)]
CounterSelector = Annotated[str, AfterValidator(_selector)]


class ExperimentMetric(Model):
    """One number that the arms are compared in.

    Attributes:
        kind: A share of trials (`proportion`), an average of amounts (`mean`), or events per exposure (`rate`).
        numerator: Selector of the counter of successes, or of events.
        denominator: Selector of the counter of trials, or of exposures.
        sum: Selector of the counter that sums the amounts up.
        count: Selector of the counter of amounts.
        squares: Selector of the counter that sums up the squares of the amounts, where there is one.
        counts: What a trial is: a `request`, or a `user` that is counted once.
        query: In place of selectors, SQL that gives arm, time, trials, and successes or the sum, and for a mean the sum
            of squares; `%(since)s` and `%(until)s` stand for the time that is read.
        direction: Whether more is better (`up`), or less (`down`).
        role: Whether the experiment is about it (`goal`), it must not become worse (`guardrail`), or it is only shown.
        margin: By what share a guardrail may be worse than at the baseline.
        absolute_margin: In place of it, by how much in the metric's unit: a share of what hardly ever happens, such as
            errors, says nothing.
        effect: Smallest relative difference that is of interest.
        value: Money that one success, event or unit of the amount is worth.
    """

    kind: Annotated[Literal["proportion", "mean", "rate"], Field(examples=["proportion"])]
    numerator: CounterSelector | None = None
    denominator: CounterSelector | None = None
    sum: CounterSelector | None = None
    count: CounterSelector | None = None
    squares: CounterSelector | None = None
    counts: Literal["request", "user"] = "request"
    query: Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)] | None = None
    direction: Literal["up", "down"] = "up"
    role: Literal["goal", "guardrail", "shown"] = "goal"
    margin: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    absolute_margin: Positive | None = None
    effect: Positive = 0.05
    value: Annotated[float, Field(allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        refuse((*self._problems_of_parts(), *self._problems_of_margins()))
        return self

    def _problems_of_parts(self) -> Iterator[str]:
        parts = {
            name: getattr(self, name) is not None for name in ("numerator", "denominator", "sum", "count", "squares")
        }
        given = [name for name, is_given in parts.items() if is_given]
        if self.query is not None:
            if given:
                yield f"query: given together with {given[0]}; keep one of them"
            return
        needed = ("sum", "count") if self.kind == "mean" else ("numerator", "denominator")
        if missing := [name for name in needed if name not in given]:
            yield f"a {self.kind} needs {' and '.join(missing)}, or a query"
        allowed = (*needed, "squares") if self.kind == "mean" else needed
        if odd := [name for name in given if name not in allowed]:
            yield f"a {self.kind} has no {odd[0]}"

    def _problems_of_margins(self) -> Iterator[str]:
        if (self.margin or self.absolute_margin) and self.role != "guardrail":
            yield "margin: only a guardrail has one"
        # What is a share of the baseline cannot fall by more than all of it.
        for name, falls in (("margin", self.direction == "up"), ("effect", self.direction == "down")):
            if falls and (given := getattr(self, name)) > 1:
                yield f"{name}: must be at most 1{share_hint(given)}"
        if self.margin and self.absolute_margin:
            yield "absolute_margin: given together with margin; keep one of them"

    @property
    def notes(self) -> Iterator[str]:
        """Yield what is rather not meant."""
        for name in ("margin", "effect"):
            if (given := getattr(self, name)) > 1:
                yield f"{name} {given:g} is {given:.0%} of the baseline{share_hint(given)}"

    @property
    def selectors(self) -> tuple[str, str, str | None] | None:
        """Return the selectors of trials, sums and sums of squares; None for a metric by SQL."""
        trials, total = (self.count, self.sum) if self.kind == "mean" else (self.denominator, self.numerator)
        return (trials, total, self.squares) if trials and total else None


class ShareChange(Model):
    """A change of the intended shares.

    Attributes:
        at: From when on. Without a time zone it is UTC.
        arms: All arms with their shares from then on, in any scale; 0 for an arm that gets no traffic.
    """

    at: Moment
    arms: Annotated[dict[PartName, Share], Field(min_length=2, max_length=32)]


class ExperimentDeclaration(Model):
    """An experiment: two or more arms, of which one is the baseline, compared in declared metrics.

    Attributes:
        title: The question it answers, in a sentence.
        team: Whose experiment it is.
        link: Where its design is written down.
        start: When it begins; what was counted before does not count. Without a time zone it is UTC.
        end: When it is planned to be over.
        stopped: When it was over indeed; nothing later is read.
        arms: Each arm by the value of `label`, with its intended share of the traffic at the start, in any scale.
        baseline: The arm that the others are compared with.
        label: Label whose value tells the arm.
        cell: Label of the cells that units are hashed into, where the services have them.
        selector: Further labels that all its series have, with one value each, or several.
        unit: What is put into an arm at random: each `request`, or a `user` (or session) with all its requests.
        changes: When the intended shares change, and what they are from then on.
        allocation: Whether the shares stay as declared (`fixed`), or a bandit or a rollout changes them (`changing`).
        exposure: Selector of the counter of units that were put into an arm; default the first metric's trials.
        database: Which of `sources.experiments.databases` its queries are for; default `sources.experiments.database`.
        minimum_duration: Nothing is decided earlier, so that each day of the week is seen.
        data_within: In so much time with traffic each goal and guardrail has to be counted in each arm; one that is not
            has no data, and nothing is decided without it. By default a quarter of the planned time, at most a day.
        batch: What is counted together; by default so that there are at most 750 until the planned end.
        metrics: What the arms are compared in.
    """

    title: str = ""
    team: str = ""
    link: str = ""
    start: Annotated[Moment, Field(examples=["2026-01-31"])]
    end: Moment | None = None
    stopped: Moment | None = None
    arms: Annotated[dict[PartName, Share], Field(min_length=2, max_length=32, examples=[{"old": 1, "new": 1}])]
    baseline: Annotated[PartName, Field(examples=["old"])]
    label: Label = "variant"
    cell: Label = "cell"
    selector: dict[Label, OneOrMore] = Field(default={})
    unit: Literal["request", "user"] = "request"
    changes: Annotated[tuple[ShareChange, ...], Field(max_length=100)] = ()
    allocation: Literal["fixed", "changing"] = "fixed"
    exposure: CounterSelector | None = None
    database: StoreName | None = None
    minimum_duration: Duration | None = None
    data_within: Duration | None = None
    batch: Duration | None = None
    metrics: Annotated[
        dict[PartName, ExperimentMetric],
        Field(min_length=1, max_length=64, examples=[{"sales": {"kind": "proportion", "query": "SELECT ..."}}]),
    ]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        refuse((*self._problems(), *self._problems_of_shares(), *self._problems_of_stores()))
        return self

    def _problems(self) -> Iterator[str]:
        if self.baseline not in self.arms:
            yield f"baseline: {self.baseline!r} is none of the arms {', '.join(self.arms)}"
        if not any(metric.role == "goal" for metric in self.metrics.values()):
            yield "metrics: at least one must have the role goal"
        for name in ("end", "stopped"):
            moment = getattr(self, name)
            if moment is not None and moment <= self.start:
                yield f"{name}: not after start"
        if self.batch is not None and self.batch < 1:
            yield "batch: shorter than a second"
        if taken := {self.label, self.cell} & self.selector.keys():
            yield f"selector: {min(taken)} tells arms or cells; leave it out"

    def _problems_of_shares(self) -> Iterator[str]:
        if self.changes and self.allocation != "fixed":
            yield "changes: says when shares change, but allocation says that nobody knows"
        before = self.start
        for index, change in enumerate(self.changes):
            if change.at <= before:
                yield f"changes.{index}.at: not after {'the change before' if index else 'start'}"
            before = change.at
            if odd := sorted(change.arms.keys() ^ self.arms.keys()):
                word = "is missing" if odd[0] in self.arms else "is none of the arms"
                yield f"changes.{index}.arms: {odd[0]!r} {word}; give all arms, those without traffic as 0"
        stages = [self.arms, *(change.arms for change in self.changes)]
        if not all(any(shares.values()) for shares in stages):
            yield "arms: all shares are 0 at a time"
        for arm in self.arms:
            # What a change does not say has been said.
            if not any(shares.get(arm, True) for shares in stages):
                yield f"arms: {arm!r} has no share at any time"

    def _problems_of_stores(self) -> Iterator[str]:
        by_query = [name for name, metric in self.metrics.items() if metric.query is not None]
        if by_query and len(by_query) < len(self.metrics):
            yield "metrics: some have a query and some have selectors; make two experiments of it"
        if by_query and (self.exposure is not None or self.selector):
            yield "exposure, selector: choose series, but the metrics have queries"
        if self.database and not by_query:
            yield "database: is for queries, but the metrics have selectors"

    @property
    def notes(self) -> Iterator[str]:
        """Yield what is rather not meant."""
        for name, metric in self.metrics.items():
            yield from (f"metrics.{name}.{note}" for note in metric.notes)

    @property
    def by_query(self) -> bool:
        """Tell whether the metrics are read by SQL."""
        return all(metric.query is not None for metric in self.metrics.values())

    @property
    def store(self) -> str:
        """Return which store it is read from, in words."""
        return f"database {self.database or ''}" if self.by_query else "Prometheus"

    @property
    def step(self) -> float:
        """Return the seconds of a batch."""
        if self.batch is not None:
            return self.batch
        planned = (self.end - self.start).total_seconds() if self.end else _UNPLANNED
        return next((step for step in _STEPS if planned <= step * _BATCHES), _STEPS[-1])

    @property
    def patience(self) -> float:
        """Return the seconds of traffic in which each metric has to be counted."""
        if self.data_within is not None:
            return self.data_within
        planned = (self.end - self.start).total_seconds() if self.end else _UNPLANNED
        return min(planned / 4, 86_400.0)

    @property
    def shares(self) -> dict[str, float]:
        """Return the intended shares at its start, which sum up to 1."""
        return _of_one(self.arms)

    def shares_at(self, moment: float) -> dict[str, float]:
        """Return the intended shares at a moment, which sum up to 1."""
        return _of_one(self._stages(moment)[-1])

    def changed(self, moment: float) -> float:
        """Return when the intended shares last changed before a moment, or began."""
        return max([self.start.timestamp(), *(at for each in self.changes if (at := each.at.timestamp()) <= moment)])

    def begun(self, moment: float) -> list[str]:
        """Return the arms that were to have traffic before a moment."""
        stages = self._stages(moment)
        return [arm for arm in self.arms if any(shares[arm] for shares in stages)]

    def changes_within(self, start: float, end: float) -> bool:
        """Tell whether the shares change between two moments, these themselves not counted."""
        return any(start < change.at.timestamp() < end for change in self.changes)

    def _stages(self, moment: float) -> list[Mapping[str, float]]:
        """Return all shares that were intended until a moment, the last ones last."""
        return [self.arms, *(change.arms for change in self.changes if change.at.timestamp() <= moment)]

    def narrowed(self, selector: str) -> str:
        """Return a metric's selector of this experiment's series alone."""
        matchers = [matching(label, values) for label, values in self.selector.items()]
        return str(SeriesSelector.parse(selector).narrowed(*matchers, matching(self.label, tuple(self.arms))))


def _of_one(shares: Mapping[str, float]) -> dict[str, float]:
    total = sum(shares.values())
    return {arm: share / total for arm, share in shares.items()}
