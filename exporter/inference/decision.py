"""From lifts to a decision in words: goals and guardrails of all arms, with the error shared out among them.

With `alpha` for the experiment, each of the m comparisons of goals (metrics times arms) gets alpha / m: the probability
that any of them is ever decided wrongly is at most alpha (Bonferroni, on e-values, which hold at every look).
Guardrails are a family of their own. An arm is recommended only when all of its guardrails hold.

- J. Ville, Etude critique de la notion de collectif, 1939.
- V. Vovk, R. Wang, "E-values: calibration, combination and applications", Annals of Statistics 49(3), 2021.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf, log
from typing import Final

from ml_monitoring.exporter.inference.lift import EffectKind, Lift
from ml_monitoring.exporter.inference.metric import MetricState
from ml_monitoring.exporter.inference.planning import PowerLeft, power_left
from ml_monitoring.exporter.inference.ranking import ArmRank, rank
from ml_monitoring.exporter.inference.split import SplitReport

_SPLIT_ALPHA: Final = 0.001


class Finding(StrEnum):
    """What can be said of an arm by one metric."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "no relevant difference"
    HOLDS = "holds"
    BREACHED = "breached"
    OPEN = "open"
    UNANSWERABLE = "cannot be answered"


@dataclass(frozen=True, slots=True)
class Objective:
    """What a metric is for.

    Attributes:
        metric: Its name.
        guardrail: Whether it must not get worse, instead of being what is to be improved.
        higher_is_better: Its direction.
        smallest_effect: Smallest effect of interest; None when every difference counts.
        margin: Of a guardrail: by how much it may be worse.
        relative: Whether both are shares of the baseline's mean, instead of in the metric's unit.
    """

    metric: str
    guardrail: bool = False
    higher_is_better: bool = True
    smallest_effect: float | None = None
    margin: float = 0.0
    relative: bool = True


@dataclass(frozen=True, slots=True)
class ArmFinding:
    """What one metric says of one arm.

    Attributes:
        metric: The metric.
        arm: The arm.
        guardrail: Whether the metric is a guardrail.
        finding: The answer.
        lift: Behind it; None without data.
        rank: Probability of being best and expected loss.
        power: What is left to the smallest effect of interest.
        reason: Why it cannot be answered, or what to be careful of, in words.
    """

    metric: str
    arm: str
    guardrail: bool
    finding: Finding
    lift: Lift | None
    rank: ArmRank | None
    power: PowerLeft | None
    reason: str


@dataclass(frozen=True, slots=True)
class ExperimentDecision:
    """What can be said of an experiment.

    Attributes:
        findings: Of each metric and arm, goals first.
        baseline_ranks: Standing of the baseline by metric.
        recommended: The arm to go on with; empty while that is open.
        decided: Whether the question is answered.
        words: The decision in words.
        warnings: What is wrong with the data, in words.
        alpha: Of each comparison of a goal.
        guardrail_alpha: Of each comparison of a guardrail.
    """

    findings: tuple[ArmFinding, ...]
    baseline_ranks: Mapping[str, ArmRank]
    recommended: str
    decided: bool
    words: str
    warnings: tuple[str, ...]
    alpha: float
    guardrail_alpha: float


def decide(
    objectives: Sequence[Objective],
    states: Mapping[str, MetricState],
    split: SplitReport | None = None,
    alpha: float = 0.05,
) -> ExperimentDecision:
    """Return what can be said now.

    Args:
        objectives: Goals and guardrails.
        states: By the metrics' names.
        split: How traffic was split; a mismatch makes every answer doubtful.
        alpha: Probability of any wrong decision among goals, and among guardrails, at any time.
    """
    ordered = sorted(objectives, key=lambda item: item.guardrail)
    tests = {
        flag: sum(len(states[o.metric].design.challengers) for o in ordered if o.guardrail is flag)
        for flag in (False, True)
    }
    alphas = {flag: alpha / max(1, count) for flag, count in tests.items()}
    findings: list[ArmFinding] = []
    baseline_ranks: dict[str, ArmRank] = {}
    warnings: list[str] = []
    for objective in ordered:
        state = states[objective.metric]
        level = alphas[objective.guardrail]
        lifts = {arm: state.lift(arm, level) for arm in state.design.challengers}
        known = {arm: lift for arm, lift in lifts.items() if lift is not None}
        ranks = rank(state.design.baseline, known, higher_is_better=objective.higher_is_better)
        if state.design.baseline in ranks:
            baseline_ranks[objective.metric] = ranks[state.design.baseline]
        for arm, lift in lifts.items():
            finding, reason = _finding(objective, state, lift)
            if lift is None and not reason:
                finding, reason = _without_lift(objective, state, arm, level)
            smallest = objective.smallest_effect or objective.margin
            power = None
            if lift is not None and smallest:
                power = power_left(lift, smallest, level, relative=objective.relative)
            guardrail = objective.guardrail
            findings.append(ArmFinding(objective.metric, arm, guardrail, finding, lift, ranks.get(arm), power, reason))
            if reason:
                warnings.append(f"{objective.metric}, {arm}: {reason}")
    mismatch = split is not None and split.p_value is not None and split.p_value < _SPLIT_ALPHA
    if mismatch and split is not None:
        warnings.insert(
            0,
            f"traffic is not split as intended: {split.worst} has {split.observed[split.worst]:.2%} "
            f"instead of {split.intended[split.worst]:.2%}",
        )
    recommended, decided, words = _conclude(findings, states, mismatch=mismatch)
    return ExperimentDecision(
        tuple(findings), baseline_ranks, recommended, decided, words, tuple(warnings), alphas[False], alphas[True]
    )


def _finding(objective: Objective, state: MetricState, lift: Lift | None) -> tuple[Finding, str]:
    """Return what the metric says of an arm, and what to be careful of."""
    why = state.unanswerable()
    if why:
        return Finding.UNANSWERABLE, why
    if lift is None:
        return Finding.OPEN, ""
    lower, upper = _directed(lift, objective)
    if objective.guardrail:
        held = Finding.HOLDS if lower > -objective.margin else Finding.OPEN
        finding = Finding.BREACHED if upper < -objective.margin else held
    elif lower > 0 or upper < 0:
        finding = Finding.BETTER if lower > 0 else Finding.WORSE
    else:
        smallest = objective.smallest_effect or 0.0
        finding = Finding.SAME if -smallest < lower and upper < smallest else Finding.OPEN
    return finding, _overdispersed(lift)


def _directed(lift: Lift, objective: Objective) -> tuple[float, float]:
    """Return the interval so that above 0 is better."""
    lower: float | None = lift.absolute_lower
    upper: float | None = lift.absolute_upper
    if objective.relative and lift.relative_lower is None and lift.relative_upper is None:
        # Without a ratio only the sign is known.
        lower, upper = (0.0 if lift.absolute_lower > 0 else -inf), (0.0 if lift.absolute_upper < 0 else inf)
    elif objective.relative:
        lower, upper = lift.relative_lower, lift.relative_upper
    low = -inf if lower is None else lower
    high = inf if upper is None else upper
    return (low, high) if objective.higher_is_better else (-high, -low)


def _without_lift(objective: Objective, state: MetricState, arm: str, alpha: float) -> tuple[Finding, str]:
    """Return what there is to say of an arm without a lift."""
    design = state.design
    both = [state.totals(name) for name in (arm, design.baseline)]
    for name, sums in zip((arm, design.baseline), both, strict=True):
        if sums.trials <= 0:
            return Finding.OPEN, f"nothing was counted of {name}"
    if design.kind is EffectKind.MEAN or any(sums.total for sums in both):
        return Finding.OPEN, f"{arm} and {design.baseline} have not yet run side by side with anything to compare"
    if not objective.guardrail:
        return Finding.OPEN, "no event so far in either arm"
    if objective.relative:
        return (
            Finding.OPEN,
            "no event so far in either arm, and a margin is no share of nothing: give `absolute_margin`",
        )
    # The rule of three: if there were more events than the margin in the arm that may be worse, so many trials would
    # not all be without one. That is asked of one number of trials, and so at any time.
    trials = both[1 if objective.higher_is_better else 0].trials
    if design.randomised in ("request", design.counted) and trials * objective.margin >= -log(alpha):
        return Finding.HOLDS, ""
    return Finding.OPEN, "no event so far in either arm"


def _overdispersed(lift: Lift) -> str:
    """Return what varies more than chance, in words; empty when nothing does."""
    suspicious = [item for item in lift.dispersions if item.suspicious]
    if not suspicious:
        return ""
    # What says which process it was says most.
    return max(suspicious, key=lambda item: (item.source == "replicas", item.source == "change", item.factor)).words


def _conclude(
    findings: Sequence[ArmFinding], states: Mapping[str, MetricState], *, mismatch: bool
) -> tuple[str, bool, str]:
    """Return the arm to go on with, whether that is decided, and why in words."""
    if mismatch:
        return "", False, "traffic is not split as intended: fix that first, until then no comparison can be trusted"
    unanswerable = [found for found in findings if found.finding is Finding.UNANSWERABLE]
    breached = {found.arm: found.metric for found in findings if found.finding is Finding.BREACHED}
    arms = dict.fromkeys(found.arm for found in findings)
    recommended, words = "", "still open"
    if unanswerable:
        words = f"cannot be answered: {unanswerable[0].reason}"
    elif breached and len(breached) == len(arms):
        recommended = next(iter(states.values())).design.baseline
        listed = ", ".join(f"{arm} ({metric})" for arm, metric in breached.items())
        words = f"go on with {recommended}: guardrails are breached by {listed}"
    elif findings:
        goals = [found for found in findings if not found.guardrail and found.arm not in breached]
        recommended, words = _by_goals(goals, findings, states)
    return recommended, bool(recommended), words


def _by_goals(
    goals: Sequence[ArmFinding], findings: Sequence[ArmFinding], states: Mapping[str, MetricState]
) -> tuple[str, str]:
    """Return the arm that the goals speak for, of those that breach no guardrail, and why in words."""
    worse = {found.arm for found in goals if found.finding is Finding.WORSE}
    better = [found for found in goals if found.finding is Finding.BETTER and found.arm not in worse]
    if better:
        best = max(better, key=lambda found: found.rank.probability_best if found.rank else 0.0)
        guardrails = [found for found in findings if found.arm == best.arm and found.guardrail]
        waiting = [
            f"{found.metric} ({found.reason})" if found.lift is None and found.reason else found.metric
            for found in guardrails
            if found.finding is not Finding.HOLDS
        ]
        if waiting:
            return "", f"{best.arm} is better by {best.metric}; its guardrails are still open: {', '.join(waiting)}"
        return best.arm, f"go on with {best.arm}: better by {best.metric}"
    if goals and all(found.finding in (Finding.WORSE, Finding.SAME) for found in goals):
        word = "worse" if worse else "not relevantly different"
        baseline = next(iter(states.values())).design.baseline
        return baseline, f"go on with {baseline}: the others are {word}"
    return "", "still open"
