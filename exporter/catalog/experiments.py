"""Metrics of the source `experiments`: what is declared, what was counted, and what follows from it."""

from __future__ import annotations

from ml_monitoring.exporter.catalog.base import Metric, Unit, gauge

_ORIGIN = "experiments"
_ARM = ("experiment", "arm")
_METRIC = ("experiment", "arm", "metric")


def _gauge(name: str, help: str, unit: Unit, *labels: str) -> Metric:
    return gauge(f"ml_monitoring_experiment_{name}", help, unit, *(labels or ("experiment",)), origin=_ORIGIN)


EXPERIMENT_METRICS = (
    _gauge(
        "info",
        "An experiment that is declared: whose it is, what it asks, and how.",
        Unit.INFO,
        "experiment",
        "team",
        "title",
        "baseline",
        "unit",
        "link",
    ),
    _gauge("up", "Whether the experiment's counts could be read at the last attempt.", Unit.FLAG),
    _gauge(
        "decision_info",
        "What the experiment says: 1 for the decision in force, with the arm that it is about.",
        Unit.INFO,
        "experiment",
        "decision",
        "arm",
        "reason",
    ),
    _gauge("decided", "Whether there is a decision: a winner, a loser, or no difference of interest.", Unit.FLAG),
    _gauge(
        "proceed",
        "Whether the experiment may go on: 0 where something speaks against it; absent while that is not known.",
        Unit.FLAG,
    ),
    _gauge("caveat_info", "What the experiment's data cannot tell, and why.", Unit.INFO, "experiment", "caveat"),
    _gauge("start_timestamp_seconds", "When the experiment begins.", Unit.TIMESTAMP),
    _gauge("planned_end_timestamp_seconds", "When it is planned to be over; absent without a plan.", Unit.TIMESTAMP),
    _gauge("read_timestamp_seconds", "Until when everything is counted.", Unit.TIMESTAMP),
    _gauge("last_exposure_timestamp_seconds", "End of the last batch in which anything was counted.", Unit.TIMESTAMP),
    _gauge(
        "share_change_timestamp_seconds",
        "When the intended shares last changed, or began; absent where they are not declared to change.",
        Unit.TIMESTAMP,
    ),
    _gauge("batch_seconds", "What is counted together.", Unit.SECONDS),
    _gauge("running", "Whether the experiment has begun and was not stopped.", Unit.FLAG),
    _gauge("exposures", "Units that were put into the arm since the start.", Unit.COUNT, *_ARM),
    _gauge("intended_share_ratio", "Share of the units that the arm is meant to get.", Unit.RATIO, *_ARM),
    _gauge("share_ratio", "Share of the units that the arm got since the start.", Unit.RATIO, *_ARM),
    _gauge(
        "split_p_value",
        "How likely the split is at any time if units are put into arms as declared (sample-ratio mismatch).",
        Unit.ANY,
    ),
    _gauge("trials", "Trials, amounts or exposures of a metric in an arm since the start.", Unit.COUNT, *_METRIC),
    _gauge("metric_value", "Share, mean or rate of a metric in an arm since the start.", Unit.ANY, *_METRIC),
    _gauge("lift_ratio", "Relative difference of an arm to the baseline.", Unit.RATIO, *_METRIC),
    _gauge("lift_lower_ratio", "Lower end of its interval, which holds at all times at once.", Unit.RATIO, *_METRIC),
    _gauge("lift_upper_ratio", "Upper end of its interval, which holds at all times at once.", Unit.RATIO, *_METRIC),
    _gauge("p_value", "How likely such a difference is at any time without one.", Unit.ANY, *_METRIC),
    _gauge("probability_best", "Probability that the arm is the best in a metric.", Unit.RATIO, *_METRIC),
    _gauge(
        "expected_loss_ratio",
        "Part of the baseline's value that is expected to be given up by choosing the arm.",
        Unit.RATIO,
        *_METRIC,
    ),
    _gauge(
        "overdispersion_ratio",
        "Variance between batches or cells over what independent trials would have; 1 is as it should be.",
        Unit.RATIO,
        *_METRIC,
    ),
    _gauge(
        "overdispersed", "Whether a metric varies so much that its trials are not independent.", Unit.FLAG, *_METRIC
    ),
    _gauge(
        "guardrail_breached",
        "Whether an arm is worse than the baseline by more than the margin of a guardrail.",
        Unit.FLAG,
        *_METRIC,
    ),
    _gauge("trials_left", "Further trials of each arm until the smallest effect of interest is found.", Unit.COUNT),
    _gauge("time_left_seconds", "Time until then at the present traffic.", Unit.SECONDS),
    _gauge("value_per_day", "Money a day that an arm is worth over the baseline.", Unit.CURRENCY, *_METRIC),
    _gauge("value_per_day_lower", "Lower end of its interval.", Unit.CURRENCY, *_METRIC),
    _gauge("value_per_day_upper", "Upper end of its interval.", Unit.CURRENCY, *_METRIC),
)
