"""From counts to a judgement: what the inference is given of an experiment, and what its answers mean here."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, Self

from ml_monitoring.exporter.inference import (
    ArmCounts,
    ArmFinding,
    Batch,
    EffectKind,
    ExperimentDecision,
    Finding,
    Lift,
    MetricDesign,
    MetricState,
    Objective,
    SplitReport,
    SplitState,
    Sums,
    decide,
)
from ml_monitoring.exporter.sources.experiments.declaration import ExperimentDeclaration, ExperimentMetric
from ml_monitoring.exporter.sources.experiments.history import BatchHistory, Counter, Increments
from ml_monitoring.exporter.sources.experiments.judgement import Decision, Judgement, MetricStanding
from ml_monitoring.exporter.sources.experiments.presence import MetricSilence, Presence
from ml_monitoring.exporter.sources.experiments.selectors import SeriesSelector
from ml_monitoring.exporter.sources.experiments.sql import columns_of

# Probability that any goal of an experiment is ever decided wrongly, and any guardrail.
ALPHA: Final = 0.05
_DAY: Final = 86_400.0
# As that of the inference: a mismatch that nothing else is believed with.
_MISMATCH: Final = 0.001
# What differences of large counters lose.
_ROUNDED: Final = 1e-6
# By how much, and how many, more successes than trials there may be by the times at which they are counted.
_SLIGHTLY: Final = 1.05
_FEW: Final = 20.0
# An experiment whose first counts come so much later than its start is not counted from its start on.
_LATE: Final = _DAY


class ExperimentEvidence:
    """What the inference keeps of the batches of an experiment.

    Args:
        declaration: Of the experiment.
    """

    def __init__(self, declaration: ExperimentDeclaration) -> None:
        self._declaration = declaration
        arms = tuple(declaration.arms)
        self._states = {name: MetricState(_design(declaration, metric)) for name, metric in declaration.metrics.items()}
        self._split = SplitState(arms, declaration.unit, exposed_units(declaration))
        # Arms that have begun, in the order of the declaration.
        self._begun: list[str] = []
        self._presence = Presence()

    def add(self, start: float, end: float, increments: Increments) -> None:
        """Add a batch."""
        declaration = self._declaration
        by_column: dict[str, dict[str, list[tuple[Counter, float]]]] = {}
        for counter, amount in increments.items():
            by_column.setdefault(counter.what, {}).setdefault(counter.arm, []).append((counter, amount))
        seen = {counter.arm for counter in increments}
        self._begun = [arm for arm in declaration.arms if arm in seen or arm in self._begun]
        self._presence.add(end, *_present(declaration, by_column))
        if declaration.changes_within(start, end):
            # Arms are compared within batches, so that none may reach over a change.
            return
        shares = None
        if declaration.allocation == "fixed":
            intended = declaration.shares_at(start)
            shares = {arm: intended[arm] for arm in self._begun}
        for name, metric in declaration.metrics.items():
            counted = counted_as(name, metric)
            arms = {arm: _counts(by_column, counted, arm) for arm in self._begun}
            self._states[name].add(Batch(start, end, arms, shares))
        exposure = (exposed_as(declaration), "", None)
        exposed = {arm: _counts(by_column, exposure, arm) for arm in self._begun}
        self._split.add(Batch(start, end, exposed, shares))

    def judge(self, history: BatchHistory) -> Judgement:
        """Return what follows."""
        declaration = self._declaration
        objectives = [
            Objective(
                name,
                guardrail=metric.role == "guardrail",
                higher_is_better=metric.direction == "up",
                smallest_effect=metric.effect if metric.role == "goal" else None,
                margin=metric.margin if metric.absolute_margin is None else metric.absolute_margin,
                relative=metric.absolute_margin is None,
            )
            for name, metric in declaration.metrics.items()
            if metric.role != "shown"
        ]
        split = self._split.report() if declaration.allocation == "fixed" else None
        found = decide(objectives, self._states, split, ALPHA)
        exposures = {arm: history.total(exposed_as(declaration), arm) for arm in declaration.arms}
        seconds = history.batches * history.step
        begun = declaration.begun(history.end)
        asked = {arm: count for arm, count in exposures.items() if count or arm in begun}
        unseen = _unseen(declaration, history)
        uncounted = {name: why for name, why in unseen.items() if not _may_be_zero(declaration.metrics[name])}
        uncounted |= self._impossible()
        silent = self._silent(found)
        missing = {name: each.words for name, each in silent.items() if each.missing} | uncounted
        waiting = {
            name: each.words
            for name, each in silent.items()
            if not each.missing and declaration.metrics[name].role == "guardrail"
        }
        decision, arm, reason = next(
            _decisions(declaration, found, split, asked, seconds=seconds, missing=missing, waiting=waiting)
        )
        open_goals = [
            each.power
            for each in found.findings
            if each.power is not None and not each.guardrail and each.finding is Finding.OPEN
        ]
        caveats = [
            f"{each.metric}, {each.arm}: {each.reason}"
            for each in found.findings
            if each.reason and (each.lift is not None or each.metric not in missing)
        ]
        caveats += [f"{name}: {why}" for name, why in (missing | unseen).items()]
        if history.first * history.step >= _LATE:
            # Where Prometheus has forgotten what was before, nobody would see it.
            days = int(history.first * history.step / _DAY)
            first = f"first {days} days" if days > 1 else "first day"
            hint = "" if declaration.by_query else "; `cache` keeps what Prometheus forgets"
            caveats.append(f"start: nothing was counted on the {first}{hint}")
        if split is not None and split.reason:
            caveats.append(f"split: {split.reason}")
        return Judgement(
            decision,
            arm,
            reason,
            tuple(caveats),
            exposures,
            tuple(self._standings(found, history, uncounted, missing)),
            split.p_value if split is not None else None,
            max((power.left for power in open_goals), default=None),
            max((power.days_left * _DAY for power in open_goals), default=None),
            split.intended if split is not None and declaration.changes else {},
            awaited=bool(waiting),
        )

    def dump(self) -> dict[str, Any]:
        """Return what `load` takes back, for JSON."""
        return {
            "metrics": {name: state.dump() for name, state in self._states.items()},
            "split": self._split.dump(),
            "begun": self._begun,
            "presence": self._presence.dump(),
        }

    @classmethod
    def load(cls, declaration: ExperimentDeclaration, dumped: Mapping[str, Any]) -> Self:
        """Return what was dumped."""
        loaded = cls(declaration)
        loaded._states = {
            name: MetricState.load(_design(declaration, metric), dumped["metrics"][name])
            for name, metric in declaration.metrics.items()
        }
        arms = tuple(declaration.arms)
        loaded._split = SplitState.load(arms, dumped["split"], declaration.unit, exposed_units(declaration))
        loaded._begun = list(dumped["begun"])
        loaded._presence = Presence.load(dumped["presence"])
        return loaded

    def _impossible(self) -> Iterator[tuple[str, str]]:
        """Yield the proportions that have more successes than trials, and what to say of that."""
        for name, metric in self._declaration.metrics.items():
            for arm in self._declaration.arms if metric.kind == "proportion" else ():
                trials, successes, _squares = self._states[name].totals(arm)
                # A success may be counted in the batch before its trial.
                if successes > trials * _SLIGHTLY + _FEW:
                    total = counted_as(name, metric)[1]
                    yield name, f"{arm} has more successes than trials: {total} does not count a part of them"
                    break

    def _silent(self, found: ExperimentDecision) -> dict[str, MetricSilence]:
        """Return the metrics that are silent in an arm that has traffic."""
        declaration = self._declaration
        silences = {}
        open_metrics = {each.metric for each in found.findings if each.finding is Finding.OPEN}
        for name, metric in declaration.metrics.items():
            trials = {arm: self._states[name].totals(arm).trials for arm in declaration.arms}
            silence = self._presence.silence(name, trials, declaration.patience)
            # What a goal has said stays said; a guardrail has to hold now.
            if silence is not None and (metric.role != "goal" or name in open_metrics):
                silences[name] = silence
        return silences

    def _standings(
        self,
        found: ExperimentDecision,
        history: BatchHistory,
        uncounted: Container[str],
        missing: Container[str],
    ) -> Iterator[MetricStanding]:
        declaration = self._declaration
        findings = {(each.metric, each.arm): each for each in found.findings}
        days = history.batches * history.step / _DAY
        for name, metric in declaration.metrics.items():
            state = self._states[name]
            traffic = sum(state.totals(arm).trials for arm in declaration.arms) / days if days else 0.0
            worth = None if metric.value is None else metric.value * traffic
            for arm in declaration.arms:
                sums = state.totals(arm)
                if name in uncounted:
                    yield MetricStanding(arm, name, sums.trials)
                    continue
                value = sums.total / sums.trials if sums.trials > 0 else None
                finding = findings.get((name, arm))
                if arm == declaration.baseline:
                    lift, ranked = None, found.baseline_ranks.get(name)
                elif finding is not None:
                    lift, ranked = finding.lift, finding.rank
                else:
                    lift, ranked = state.lift(arm, found.guardrail_alpha), None
                baseline = state.totals(declaration.baseline)
                scale = abs(baseline.total / baseline.trials) if baseline.trials > 0 else 0.0
                standing = MetricStanding(
                    arm,
                    name,
                    sums.trials,
                    value,
                    probability_best=ranked.probability_best if ranked else None,
                    expected_loss=ranked.expected_loss / scale if ranked and scale else None,
                )
                if finding is not None and finding.guardrail and _is_known(finding, missing):
                    breached, holds = (finding.finding is each for each in (Finding.BREACHED, Finding.HOLDS))
                    standing = replace(standing, breached=breached, holds=holds)
                yield replace(standing, **_of_lift(lift, worth)) if lift is not None else standing


def _is_known(finding: ArmFinding, missing: Container[str]) -> bool:
    """Tell whether a guardrail says anything at present."""
    if finding.finding is Finding.BREACHED:
        return True
    return finding.metric not in missing and (finding.lift is not None or finding.finding is Finding.HOLDS)


def _present(
    declaration: ExperimentDeclaration, by_column: Mapping[str, Mapping[str, list[tuple[Counter, float]]]]
) -> tuple[list[str], dict[str, list[str]]]:
    """Return the arms of which anything was counted in a batch, and those with trials by metric."""
    columns = {
        what: {arm for arm, counted in arms.items() if any(amount > 0 for _counter, amount in counted)}
        for what, arms in by_column.items()
    }
    counted = {}
    for name, metric in declaration.metrics.items():
        trials = counted_as(name, metric)[0]
        counted[name] = [arm for arm in declaration.arms if arm in columns.get(trials, ())]
    return [arm for arm in declaration.arms if any(arm in arms for arms in columns.values())], counted


def counted_as(name: str, metric: ExperimentMetric) -> tuple[str, str, str | None]:
    """Return what trials, sums and squares of a metric are counted as."""
    if metric.selectors is not None:
        return metric.selectors
    trials, total, squares = columns_of(name)
    return trials, total, squares if metric.kind == "mean" else None


def exposed_as(declaration: ExperimentDeclaration) -> str:
    """Return what exposures are counted as: by default the trials of the first metric."""
    if declaration.exposure is not None:
        return declaration.exposure
    name, metric = next(iter(declaration.metrics.items()))
    return counted_as(name, metric)[0]


def exposed_units(declaration: ExperimentDeclaration) -> str:
    """Return what an exposure is one of."""
    if declaration.exposure is not None:
        return declaration.unit
    return next(iter(declaration.metrics.values())).counts


def _design(declaration: ExperimentDeclaration, metric: ExperimentMetric) -> MetricDesign:
    arms = tuple(declaration.arms)
    return MetricDesign(EffectKind(metric.kind), arms, declaration.baseline, declaration.unit, metric.counts)


def _counts(
    by_column: Mapping[str, Mapping[str, list[tuple[Counter, float]]]],
    counted: tuple[str, str, str | None],
    arm: str,
) -> ArmCounts:
    """Return what one arm counted in a batch: altogether, by cell and by process."""
    # Squares that nobody counts would say that nothing varies.
    squares = 0.0 if counted[2] and by_column.get(counted[2], {}).get(arm) else None
    whole: list[Any] = [0.0, 0.0, squares]
    cells: dict[str, list[Any]] = {}
    replicas: dict[str, list[Any]] = {}
    for index, what in enumerate(counted):
        for counter, amount in by_column.get(what, {}).get(arm, ()) if what else ():
            whole[index] += amount
            for groups, key in ((cells, counter.cell), (replicas, counter.replica)):
                if key:
                    groups.setdefault(key, [0.0, 0.0, squares])[index] += amount
    return ArmCounts(_sums(whole), _groups(cells, whole[0]), _groups(replicas, whole[0]))


def _groups(groups: Mapping[str, list[Any]], trials: float) -> dict[str, Sums]:
    """Return the sums of cells or processes; nothing where only the numerator is counted by them."""
    if sum(each[0] for each in groups.values()) < trials / 2:
        return {}
    return {key: _sums(each) for key, each in groups.items() if each[0] > 0 or not each[1]}


def _sums(counted: list[Any]) -> Sums:
    """Return sums; without squares where these are fewer than any values have."""
    sums = Sums(*counted)
    fewer = sums.squares is not None and sums.squares * sums.trials < sums.total * sums.total * (1 - _ROUNDED)
    return sums._replace(squares=None) if fewer else sums


def _unseen(declaration: ExperimentDeclaration, history: BatchHistory) -> dict[str, str]:
    """Return the metrics that have trials, but no series of what is counted in them, and what to say of that."""
    seen = {what for what, _arm in history.totals}
    found = {}
    for name, metric in declaration.metrics.items():
        trials, total, _squares = counted_as(name, metric)
        if trials in seen and total not in seen:
            zero = " so far, which counts as 0" if _may_be_zero(metric) else " in any arm"
            found[name] = f"no series of {total}{zero}"
    return found


def _may_be_zero(metric: ExperimentMetric) -> bool:
    """Tell whether series that are not there may be of what never happened: then they have their trials' name."""
    names = {SeriesSelector.parse(each).name for each in (metric.selectors or ())[:2] if each}
    return len(names) == 1 and metric.kind != "mean"


def _decisions(
    declaration: ExperimentDeclaration,
    found: ExperimentDecision,
    split: SplitReport | None,
    exposures: Mapping[str, float],
    *,
    seconds: float,
    missing: Mapping[str, str],
    waiting: Mapping[str, str],
) -> Iterator[tuple[Decision, str, str]]:
    """Yield all that holds, the decision in force first: each with the arm that it is about, and the reason."""
    if not sum(exposures.values()):
        yield Decision.NO_DATA, "", "nothing was exposed since the start"
    if unexposed := [arm for arm, count in exposures.items() if not count]:
        yield Decision.NO_DATA, unexposed[0], f"nothing was exposed to {', '.join(unexposed)}"
    if split is not None and split.p_value is not None and split.p_value < _MISMATCH:
        yield Decision.INVALID, split.worst, found.words
    if breached := [each for each in found.findings if each.finding is Finding.BREACHED]:
        words = ", ".join(f"{each.arm} ({each.metric})" for each in breached)
        yield Decision.GUARDRAIL_BREACHED, breached[0].arm, f"a guardrail is breached by {words}"
    if any(each.finding is Finding.UNANSWERABLE for each in found.findings):
        yield Decision.UNANSWERABLE, "", found.words
    worse = [each.arm for each in found.findings if each.finding is Finding.WORSE]
    goals_known = all(declaration.metrics[name].role != "goal" for name in missing)
    if found.recommended == declaration.baseline and worse and goals_known:
        yield Decision.WORSE, worse[0], found.words
    for name, why in missing.items():
        if (role := declaration.metrics[name].role) != "shown":
            yield Decision.NO_DATA, "", f"{name}: {why}: it cannot be decided without this {role}"
    if not found.decided:
        open_guardrails = (f"guardrail {name}: {why}" for name, why in waiting.items())
        yield Decision.COLLECTING, "", "; ".join([found.words, *open_guardrails])
    if declaration.minimum_duration is not None and seconds < declaration.minimum_duration:
        yield Decision.COLLECTING, "", "the minimum duration is not over"
    if found.recommended == declaration.baseline:
        yield Decision.NO_DIFFERENCE, "", found.words
    yield Decision.BETTER, found.recommended, found.words


def _of_lift(lift: Lift, worth: float | None) -> dict[str, Any]:
    """Return what a lift says of an arm.

    Args:
        lift: Of the arm.
        worth: Money a day of one more unit of the metric in each trial.
    """
    figures: dict[str, Any] = {
        "lift": lift.relative,
        "lower": lift.relative_lower,
        "upper": lift.relative_upper,
        "p_value": lift.p_value,
        "overdispersion": lift.dispersion.factor,
        "overdispersed": any(each.suspicious for each in lift.dispersions),
    }
    if worth is not None:
        ends = sorted((worth * lift.absolute_lower, worth * lift.absolute_upper))
        figures |= {"money": worth * lift.absolute, "money_lower": ends[0], "money_upper": ends[1]}
    return figures
