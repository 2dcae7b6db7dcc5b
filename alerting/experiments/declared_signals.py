"""Signals of the pages `experiments` and `experiment`: what do declared experiments say, and is it sound?

`max without (instance)` makes one series out of those of several exporters on one Prometheus.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.exporter.catalog import Unit

PAGE: Final = "ml-monitoring-experiments"
DETAIL_PAGE: Final = "ml-monitoring-experiment"
_ONE = ("experiment",)
_ARM = ("experiment", "arm")
_METRIC = ("experiment", "arm", "metric")
_PREFIX = "ml_monitoring_experiment_"
RUNNING: Final = f"on (cluster, namespace, job, store, experiment) (max without (instance) ({_PREFIX}running) == 1)"

EXPOSED: Final = (
    "on (cluster, namespace, job, store, experiment) "
    f"(max without (instance) ({_PREFIX}last_exposure_timestamp_seconds))"
)


def _gauge(
    name: str,
    title: str,
    question: str,
    *,
    unit: Unit,
    by: tuple[str, ...] = _ONE,
    page: str = PAGE,
    legend: str = "",
    signed: bool = False,
) -> Signal:
    """Return the signal of a gauge as it is; its name is that of the metric without the prefix."""
    return Signal(
        name=f"experiment_{name}",
        title=title,
        question=question,
        expr=f"max without (instance) ({_PREFIX}{name}{{<filter>}})",
        unit=unit,
        dashboard=page,
        by=by,
        filters=("experiment", "metric") if page == DETAIL_PAGE and "metric" in by else _ONE,
        legend=legend,
        signed=signed,
    )


def _age(name: str, title: str, question: str, expr: str, *, signed: bool = False) -> Signal:
    return Signal(name, title, question, expr, Unit.SECONDS, PAGE, by=_ONE, filters=_ONE, signed=signed)


# Overview
EXPERIMENTS_RUNNING: Final = Signal(
    name="experiments_running",
    title="Running",
    question="How many experiments have begun and were not stopped?",
    expr=f"sum without (experiment) (max without (instance) ({_PREFIX}running{{<filter>}}))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    filters=_ONE,
    legend="running",
)

EXPERIMENTS_BY_DECISION: Final = Signal(
    name="experiments_by_decision",
    title="By decision",
    question="How many experiments are decided, and how?",
    expr=f"count without (experiment, arm, reason) (max without (instance) ({_PREFIX}decision_info{{<filter>}}))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("decision",),
    filters=_ONE,
)


def _how_many(name: str, title: str, question: str, decisions: str) -> Signal:
    said = f"max by (cluster, namespace, job, store, experiment) ({_PREFIX}decision_info"
    return Signal(
        name=name,
        title=title,
        question=question,
        expr=(
            f'count by (cluster, namespace) ({said}{{decision=~"{decisions}",<filter>}}))'
            f" or 0 * count by (cluster, namespace) ({said}{{<filter>}}))"
        ),
        unit=Unit.COUNT,
        dashboard=PAGE,
        filters=_ONE,
        legend=title.lower(),
    )


EXPERIMENTS_HARMFUL: Final = _how_many(
    "experiments_harmful",
    "Doing harm",
    "In how many experiments is an arm worse than the baseline, or breaches a guardrail?",
    "guardrail breached|worse",
)

EXPERIMENTS_NOT_SOUND: Final = _how_many(
    "experiments_not_sound",
    "Not sound",
    "What how many experiments say cannot be believed, or they cannot say anything?",
    "invalid|unanswerable|no data",
)

EXPERIMENTS_NAMED: Final = Signal(
    name="experiments_named",
    title="What they say (the first six)",
    question="Which experiments do harm, are not sound, or are decided? The most urgent come first.",
    expr="topk by (cluster, namespace) (6, "
    + " or ".join(
        f"{rank} * max without (instance) ({_PREFIX}decision_info{{{matcher}<filter>}})"
        for rank, matcher in (
            (4, 'decision=~"guardrail breached|worse",'),
            (3, 'decision=~"invalid|unanswerable|no data|unknown",'),
            (2, 'decision=~"better|no difference",'),
            (1, ""),
        )
    )
    + ")",
    unit=Unit.INFO,
    dashboard=PAGE,
    by=("experiment", "decision"),
    filters=_ONE,
    legend="{{experiment}}: {{decision}}",
)

EXPERIMENT_DECISION: Final = Signal(
    name="experiment_decision",
    title="Decision",
    question="What does each experiment say, and why?",
    expr=f"max without (instance) ({_PREFIX}decision_info{{<filter>}})",
    unit=Unit.INFO,
    dashboard=PAGE,
    by=("experiment", "decision", "arm", "reason"),
    filters=_ONE,
    legend="{{decision}} {{arm}}",
    over_time=False,
)

EXPERIMENT_CAVEATS: Final = Signal(
    name="experiment_caveats",
    title="What the data cannot tell",
    question="Which answers are to be taken with care, and why?",
    expr=f"max without (instance) ({_PREFIX}caveat_info{{<filter>}})",
    unit=Unit.INFO,
    dashboard=PAGE,
    by=("experiment", "caveat"),
    filters=_ONE,
)

_EACH: Final = "cluster, namespace, job, store, experiment"
# What the codes mean.
SOUNDNESS: Final = ("not sound", "with caveats", "sound")
EXPERIMENT_SOUNDNESS: Final = Signal(
    name="experiment_soundness",
    title="Soundness",
    question="Can what the experiment says be believed?",
    expr=(
        f'0 * group by ({_EACH}) ({_PREFIX}decision_info{{decision=~"invalid|unanswerable|no data",<filter>}})'
        f" or group by ({_EACH}) ({_PREFIX}caveat_info{{<filter>}})"
        f" or 2 * group by ({_EACH}) ({_PREFIX}info{{<filter>}})"
        # What is not known, or has not begun, is not sound.
        f' unless group by ({_EACH}) ({_PREFIX}decision_info{{decision=~"unknown|planned",<filter>}})'
    ),
    unit=Unit.ANY,
    dashboard=DETAIL_PAGE,
    by=("experiment",),
    filters=_ONE,
)

EXPERIMENT_UP: Final = _gauge("up", "Readable", "Could the counts of each experiment be read?", unit=Unit.FLAG)
EXPERIMENT_DECIDED: Final = _gauge("decided", "Decided", "Which experiments are decided?", unit=Unit.FLAG)
EXPERIMENT_PROCEED: Final = _gauge("proceed", "May go on", "May each experiment go on?", unit=Unit.FLAG)
EXPERIMENT_SPLIT_P_VALUE: Final = _gauge(
    "split_p_value",
    "Split (p-value)",
    "Are units put into arms as declared? Below 0.001 no result is to be believed.",
    unit=Unit.ANY,
)
EXPERIMENT_TIME_LEFT: Final = _gauge(
    "time_left_seconds",
    "Time left",
    "How long will it take until the smallest effect of interest is found?",
    unit=Unit.SECONDS,
)
EXPERIMENT_TRIALS_LEFT: Final = _gauge(
    "trials_left",
    "Trials left",
    "How many more trials does it take until the smallest effect of interest is found?",
    unit=Unit.COUNT,
    page=DETAIL_PAGE,
)

EXPERIMENT_AGE: Final = _age(
    "experiment_age",
    "Running for",
    "How long has each experiment been running?",
    f"time() - max without (instance) ({_PREFIX}start_timestamp_seconds{{<filter>}}) > 0",
)

EXPERIMENT_LAG: Final = _age(
    "experiment_lag",
    "Behind by",
    "How far is what is counted behind, beyond the batch that is under way?",
    f"time() - max without (instance) ({_PREFIX}read_timestamp_seconds{{<filter>}}) "
    f"- max without (instance) ({_PREFIX}batch_seconds{{<filter>}})",
)

EXPERIMENT_OVERDUE: Final = _age(
    "experiment_overdue",
    "Overdue",
    "By how much is each experiment past its planned end? Below 0: it is not.",
    f"time() - max without (instance) ({_PREFIX}planned_end_timestamp_seconds{{<filter>}})",
    signed=True,
)

EXPERIMENT_SILENCE: Final = _age(
    "experiment_silence",
    "Nothing exposed for",
    "For how long has nothing been put into an arm, up to what is counted?",
    f"max without (instance) ({_PREFIX}read_timestamp_seconds{{<filter>}}) - "
    f"(max without (instance) ({_PREFIX}last_exposure_timestamp_seconds{{<filter>}}) "
    f"or max without (instance) ({_PREFIX}start_timestamp_seconds{{<filter>}}))",
)

EXPERIMENT_EXPOSURES: Final = Signal(
    name="experiment_exposures",
    title="Exposed units",
    question="How many units were put into an arm since the start?",
    expr=f"sum without (arm) (max without (instance) ({_PREFIX}exposures{{<filter>}}))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_ONE,
    filters=_ONE,
)

EXPERIMENT_GUARDRAIL: Final = _gauge(
    "guardrail_breached",
    "Guardrail breached",
    "Is an arm worse than the baseline by more than the margin of a guardrail?",
    unit=Unit.FLAG,
    by=_METRIC,
    page=DETAIL_PAGE,
    legend="{{experiment}} {{arm}} {{metric}}",
)
EXPERIMENT_OVERDISPERSED: Final = _gauge(
    "overdispersed",
    "Overdispersed",
    "Does a metric vary more than independent trials do?",
    unit=Unit.FLAG,
    by=_METRIC,
    page=DETAIL_PAGE,
    legend="{{experiment}} {{arm}} {{metric}}",
)

# One experiment
_LINE = "{{arm}} {{metric}}"


def _of_metric(
    name: str, title: str, question: str, unit: Unit, legend: str = _LINE, *, signed: bool = False
) -> Signal:
    return _gauge(name, title, question, unit=unit, by=_METRIC, page=DETAIL_PAGE, legend=legend, signed=signed)


EXPERIMENT_INFO: Final = Signal(
    name="experiment_info",
    title="Question",
    question="What does the experiment ask, and whose is it?",
    expr=f"max without (instance) ({_PREFIX}info{{<filter>}})",
    unit=Unit.INFO,
    dashboard=DETAIL_PAGE,
    by=("experiment", "title", "team", "baseline", "unit", "link"),
    filters=_ONE,
    legend="{{title}}",
)
EXPERIMENT_LIFT: Final = _of_metric(
    "lift_ratio",
    "Change",
    "By what share of the baseline is each arm higher or lower than that?",
    Unit.RATIO,
    signed=True,
)
EXPERIMENT_LIFT_LOWER: Final = _of_metric(
    "lift_lower_ratio",
    "Change, lower end",
    "How low may the change be, whenever one looks?",
    Unit.RATIO,
    f"{_LINE} lower",
    signed=True,
)
EXPERIMENT_LIFT_UPPER: Final = _of_metric(
    "lift_upper_ratio",
    "Change, upper end",
    "How high may the change be, whenever one looks?",
    Unit.RATIO,
    f"{_LINE} upper",
    signed=True,
)


def _once_narrow(signal: Signal) -> Signal:
    """Return the signal from when its interval says something: that of the first minutes would be all that one sees."""
    width = f"({EXPERIMENT_LIFT_UPPER.expr}) - ({EXPERIMENT_LIFT_LOWER.expr})"
    return replace(signal, name=f"{signal.name}_once_narrow", expr=f"({signal.expr}) and {width} < 1")


EXPERIMENT_CHANGE: Final = _once_narrow(EXPERIMENT_LIFT)
EXPERIMENT_CHANGE_LOWER: Final = _once_narrow(EXPERIMENT_LIFT_LOWER)
EXPERIMENT_CHANGE_UPPER: Final = _once_narrow(EXPERIMENT_LIFT_UPPER)

EXPERIMENT_VALUE: Final = _of_metric(
    "metric_value", "Value", "What is the share, mean or rate of each metric in each arm?", Unit.ANY
)
EXPERIMENT_TRIALS: Final = _of_metric("trials", "Trials", "How many trials is each value based on?", Unit.COUNT)
EXPERIMENT_P_VALUE: Final = _of_metric(
    "p_value", "p-value", "Could the difference be chance? It may be looked at at any time.", Unit.ANY
)
EXPERIMENT_PROBABILITY_BEST: Final = _of_metric(
    "probability_best", "P(best)", "How likely is each arm the best in each metric?", Unit.RATIO
)
EXPERIMENT_OVERDISPERSION: Final = _of_metric(
    "overdispersion_ratio",
    "Overdispersion",
    "How many times as large as that of independent trials is the variance?",
    Unit.ANY,
)
EXPERIMENT_MONEY: Final = _of_metric(
    "value_per_day", "Worth a day", "What is each arm worth a day over the baseline?", Unit.CURRENCY
)
EXPERIMENT_MONEY_LOWER: Final = _of_metric(
    "value_per_day_lower", "Worth a day, lower end", "How little may it be worth?", Unit.CURRENCY, f"{_LINE} lower"
)
EXPERIMENT_MONEY_UPPER: Final = _of_metric(
    "value_per_day_upper", "Worth a day, upper end", "How much may it be worth?", Unit.CURRENCY, f"{_LINE} upper"
)
EXPERIMENT_ARM_EXPOSURES: Final = Signal(
    name="experiment_arm_exposures",
    title="Exposed units by arm",
    question="How many units were put into each arm since the start?",
    expr=f"max without (instance) ({_PREFIX}exposures{{<filter>}})",
    unit=Unit.COUNT,
    dashboard=DETAIL_PAGE,
    by=_ARM,
    filters=_ONE,
    legend="{{arm}}",
)
EXPERIMENT_SHARE: Final = _gauge(
    "share_ratio",
    "Split",
    "What share of the units did each arm get?",
    unit=Unit.RATIO,
    by=_ARM,
    page=DETAIL_PAGE,
    legend="{{arm}}",
)
EXPERIMENT_INTENDED: Final = _gauge(
    "intended_share_ratio",
    "Intended split",
    "What share is each arm meant to get?",
    unit=Unit.RATIO,
    by=_ARM,
    page=DETAIL_PAGE,
    legend="{{arm}} intended",
)


def _marks(name: str, title: str, question: str, metric: str) -> Signal:
    """Return the moments in which a flag went up."""
    up = f"max by (cluster, namespace, store, experiment) ({_PREFIX}{metric}{{{{<filter>}}}}{{}}) > 0"
    expr = f"{up.format('')} unless {up.format(' offset 1m')}"
    return Signal(name, title, question, expr, Unit.ANY, DETAIL_PAGE, by=_ONE, filters=_ONE)


EXPERIMENT_START_MARKS: Final = _marks("experiment_start_marks", "Start", "When did the experiment begin?", "running")
_CHANGED: Final = (
    f"max by (cluster, namespace, store, experiment) ({_PREFIX}share_change_timestamp_seconds{{{{<filter>}}}}{{}})"
)
EXPERIMENT_CHANGE_MARKS: Final = Signal(
    "experiment_change_marks",
    "Change of shares",
    "When did the intended shares change, as declared?",
    f"{_CHANGED.format('')} > {_CHANGED.format(' offset 1m')}",
    Unit.ANY,
    DETAIL_PAGE,
    by=_ONE,
    filters=_ONE,
)
EXPERIMENT_DECISION_MARKS: Final = _marks(
    "experiment_decision_marks", "Decision", "When was the experiment decided?", "decided"
)
