"""What is exposed of one experiment."""

from __future__ import annotations

from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.sources.experiments.judgement import Decision, Judgement, MetricStanding
from ml_monitoring.exporter.sources.experiments.tracked import TrackedExperiment

_PREFIX = "ml_monitoring_experiment_"


def add_experiment(families: FamilySet, tracked: TrackedExperiment, now: float, *, stale: bool) -> None:
    """Add an experiment's samples; without its numbers where they are too old."""
    name, declaration, history = tracked.name, tracked.declaration, tracked.history

    def add(metric: str, value: float | None, *labels: str) -> None:
        families[f"{_PREFIX}{metric}"].add(value, name, *labels)

    add("info", 1, declaration.team, declaration.title, declaration.baseline, declaration.unit, declaration.link)
    if tracked.error or tracked.succeeded is not None:
        add("up", not tracked.error)
    add("start_timestamp_seconds", history.start)
    add("planned_end_timestamp_seconds", declaration.end.timestamp() if declaration.end else None)
    add("running", tracked.running(now))
    add("share_change_timestamp_seconds", declaration.changed(now) if declaration.changes else None)
    add("batch_seconds", history.step)
    if declaration.allocation == "fixed":
        known = tracked.judgement.intended if tracked.judgement else {}
        for arm, share in (known or declaration.shares_at(now)).items():
            add("intended_share_ratio", share, arm)
    if history.batches:
        add("read_timestamp_seconds", history.end)
    add("last_exposure_timestamp_seconds", history.exposed)
    judgement = None if stale else tracked.judgement
    if history.start > now:
        add("decision_info", 1, Decision.PLANNED, "", "it has not begun")
    elif stale:
        add("decision_info", 1, Decision.UNKNOWN, "", "its counts cannot be read")
    elif judgement is None:
        add("decision_info", 1, Decision.UNKNOWN, "", "its counts are being read")
    else:
        _add_judgement(families, name, judgement)


def _add_judgement(families: FamilySet, name: str, judgement: Judgement) -> None:
    def add(metric: str, value: float | None, *labels: str) -> None:
        families[f"{_PREFIX}{metric}"].add(value, name, *labels)

    add("decision_info", 1, judgement.decision, judgement.arm, judgement.reason)
    add("decided", judgement.decision.is_final)
    add("proceed", judgement.proceeds)
    # Without the figures behind the second colon, each of which would be a series of its own.
    for caveat in dict.fromkeys(": ".join(caveat.split(": ", 2)[:2]) for caveat in judgement.caveats):
        add("caveat_info", 1, caveat)
    total = sum(judgement.exposures.values())
    for arm, exposures in judgement.exposures.items():
        add("exposures", exposures, arm)
        add("share_ratio", exposures / total if total else None, arm)
    add("split_p_value", judgement.split_p_value)
    add("trials_left", judgement.trials_left)
    add("time_left_seconds", judgement.time_left)
    for standing in judgement.standings:
        _add_standing(families, name, standing)


def _add_standing(families: FamilySet, name: str, found: MetricStanding) -> None:
    for metric, value in (
        ("trials", found.trials),
        ("metric_value", found.value),
        ("lift_ratio", found.lift),
        ("lift_lower_ratio", found.lower),
        ("lift_upper_ratio", found.upper),
        ("p_value", found.p_value),
        ("probability_best", found.probability_best),
        ("expected_loss_ratio", found.expected_loss),
        ("overdispersion_ratio", found.overdispersion),
        ("overdispersed", found.overdispersed),
        ("guardrail_breached", found.breached),
        ("value_per_day", found.money),
        ("value_per_day_lower", found.money_lower),
        ("value_per_day_upper", found.money_upper),
    ):
        families[f"{_PREFIX}{metric}"].add(value, name, found.arm, found.metric)
