"""MLflow: runs that fail, hang or stop, results that spread until one is much worse, models and traces."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ml_monitoring.exporter.sources.mlflow.registry import lead_error
from ml_monitoring.exporter.sources.mlflow.rising import LossCurve
from tools.soundness.scenario import Scenario
from tools.soundness.world import BEGIN, DAY, Floats, Series, World

_STORE = {"job": "ml-monitoring", "instance": "a:9847"}
_EXPORTER = {**_STORE, "experiment": "churn"}
_RUNS = {"low": 2, "usual": 12, "high": 200}
_RUNS_A_DAY = 'sum without (status) (max without (instance) (delta(mlflow_runs{status=~"FINISHED|FAILED"}[1d])))'


def _ended(world: World, a_day: float) -> Floats:
    return world.events(a_day / DAY)


def _last(happened: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return for each scrape the number of the last one at which something happened."""
    return np.maximum.accumulate(np.where(happened, np.arange(len(happened)), 0))


def _failing(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield runs of which 5 % fail."""
    ended = _ended(world, traffic)
    failed = world.share(ended, world.choose(0.05, size or 0.05))
    for status, counted in (("FINISHED", ended - failed), ("FAILED", failed)):
        yield world.gauge("mlflow_runs", {**_EXPORTER, "status": status}, np.cumsum(counted))


def _successes(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield when runs last finished and failed; of ten runs one fails, and nobody works at weekends."""
    at_work = world.moments // DAY % 7 < 5
    ended = _ended(world, traffic) * at_work
    failed = world.share(ended, world.choose(0.1, size or 0.1))
    yield world.gauge("mlflow_runs", {**_EXPORTER, "status": "FAILED"}, np.cumsum(failed))
    for status, counted in (("FINISHED", ended - failed), ("FAILED", failed)):
        happened = counted > 0
        # Both have been seen before.
        happened[0] = True
        when = BEGIN + world.moments[_last(happened)]
        yield world.gauge("mlflow_last_run_timestamp_seconds", {**_EXPORTER, "status": status}, when)


def _running(world: World, hours: float, size: float | None) -> Iterator[Series]:
    """Yield when the oldest running run began: one after the other, of so many hours on average."""
    start = np.full(world.scrapes, np.nan)
    begin = 0
    while begin < world.scrapes:
        # Twice the mean at most; a pause between two.
        lasts = int(world.random.uniform(0.2, 2) * hours * 60)
        start[begin : begin + lasts] = BEGIN + 60 * begin
        begin += lasts + int(world.random.exponential(120)) + 1
    if size is not None:
        start[world.onset :] = BEGIN + 60 * world.onset
    yield world.gauge("mlflow_running_run_start_timestamp_seconds", _EXPORTER, start)


def _champion(world: World, weeks: float, size: float | None) -> Iterator[Series]:
    """Yield when the champion was registered: every so many weeks there is a new one, until there is none for long."""
    week = 7 * DAY / 60
    registered = np.full(world.scrapes, BEGIN - world.random.uniform(0, weeks) * 7 * DAY)
    moment = world.random.uniform(0, weeks) * week
    while moment < world.scrapes:
        registered[int(moment) :] = BEGIN + 60 * moment
        moment += world.random.uniform(0.5, 1.5) * weeks * week
    if size is not None:
        registered = np.where(world.faulty, BEGIN + 60 * world.onset - size * DAY, registered)
    labels = {**_STORE, "model": "churn", "alias": "champion"}
    yield world.gauge("mlflow_model_aliased_version_timestamp_seconds", labels, registered)


def _candidates(world: World, rows: float, size: float | None, *, among: int = 100) -> Iterator[Series]:
    """Yield the lead of a candidate that is the best of so many runs, none of which is better than the champion.

    Each day there is another one. All are right in 80 % of so many rows, and each test set is another one.
    """
    days = int(world.scrapes * 60 / DAY) + 1
    lead, error = np.zeros(world.scrapes), np.zeros(world.scrapes)
    for day in range(days):
        first, last = day * 1440, (day + 1) * 1440
        better = size if size is not None and first >= world.onset else 0.0
        base = world.random.binomial(int(rows), 0.8) / rows
        best = world.random.binomial(int(rows), 0.8 + (better or 0.0), among).max() / rows
        lead[first:last] = (best - base) / base
        error[first:last] = lead_error((best, base), (rows, rows))
    labels = {**_STORE, "model": "churn", "alias": "candidate"}
    yield world.gauge("mlflow_model_metric_lead_ratio", {**labels, "metric": "accuracy"}, lead)
    yield world.gauge("mlflow_model_metric_lead_error_ratio", {**labels, "metric": "accuracy"}, error)
    yield world.gauge("mlflow_model_candidates", labels, float(among))


def _results(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield the latest and the best loss of runs that spread by a tenth; a fault multiplies it."""
    ended = _ended(world, traffic) > 0
    ended[0] = True
    loss = world.random.normal(1, 0.1, world.scrapes) * world.choose(1, size or 1)
    last = _last(ended)
    yield world.gauge("mlflow_metric_latest", {**_EXPORTER, "model_variant": "b", "metric": "loss"}, loss[last])
    best = np.minimum.accumulate(np.where(ended, loss, np.inf))
    yield world.gauge("mlflow_metric_best", {**_EXPORTER, "metric": "loss"}, best)
    finished = {**_EXPORTER, "status": "FINISHED"}
    yield world.gauge("mlflow_last_run_timestamp_seconds", finished, BEGIN + world.moments[last])


def _traces(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield traces of which 1 % fail, and now and then some in a row."""
    ended = world.events(traffic / 60 * world.daily)
    burst = world.bursts(4, 3)
    failed = world.share(ended, world.choose(0.01, size or 0.01)) + burst
    for status, counted in (("OK", ended + burst - failed), ("ERROR", failed)):
        yield world.counter("mlflow_traces_total", {**_EXPORTER, "status": status}, counted)


def _answers(world: World, traffic: float, size: float | None) -> Iterator[Series]:
    """Yield durations of traces, of which 1 % take a minute, half of them in a bad minute thrice a month."""
    ended = world.events(traffic / 60 * world.daily)
    jammed = world.random.random(world.scrapes) < 3 / (30 * 1440)
    slow = world.share(ended, np.where(jammed, 0.5, world.choose(0.01, size or 0.01)))
    for le, counted in (("5.0", 0.7 * (ended - slow)), ("30.0", ended - slow), ("60.0", ended), ("+Inf", ended)):
        labels = {**_EXPORTER, "le": le}
        yield world.counter("mlflow_trace_duration_seconds_bucket", labels, np.floor(counted))


def _logging(world: World, minutes: float, size: float | None) -> Iterator[Series]:
    """Yield when the running run last logged a metric: every so many minutes on average, twice that at most."""
    last = np.zeros(world.scrapes)
    moment = 0
    while moment < world.scrapes:
        lasts = int(world.random.uniform(0.2, 2) * minutes) + 1
        last[moment : moment + lasts] = BEGIN + 60 * moment
        moment += lasts
    if size is not None:
        last[world.onset :] = BEGIN + 60 * world.onset
    yield world.gauge("mlflow_training_last_metric_timestamp_seconds", _EXPORTER, last)


def _losses(world: World, a_day: float, size: float | None) -> Iterator[Series]:
    """Yield how many runs have a loss that is no number: some times a day that of one, for a few minutes."""
    lost = world.spells(30 * a_day, 1, 8)
    yield world.gauge("mlflow_training_runs_not_finite", _EXPORTER, np.where(world.faulty, size or 0, lost))


def _curve(random: np.random.Generator, values: int) -> Floats:
    """Draw the loss of a healthy training without noise: it falls fast, then slowly, and has the whims of one kind."""
    passed = np.arange(values) / values
    begin = random.uniform(1, 10)
    end = begin * random.uniform(0.05, 0.8)
    loss = end + (begin - end) * (1 + passed / random.uniform(0.01, 0.4)) ** -random.uniform(0.5, 1.5)
    kind = random.choice(["plain", "warm-up", "spikes", "cycles", "restarts", "overfitting", "plateau"])
    if kind == "warm-up":
        ramp = int(values * random.uniform(0.01, 0.1))
        loss[ramp:] = loss[: values - ramp].copy()
        loss[:ramp] = begin * np.linspace(1, random.uniform(0.8, 1.1), ramp)
    elif kind == "spikes":
        for at in random.integers(0, values, random.poisson(5)):
            lasts = random.uniform(1, values / 200 + 2)
            loss[at:] += random.uniform(0.2, 3) * begin * np.exp(-np.arange(values - at) / lasts)
    elif kind == "cycles":
        # Of the learning rate, which the loss follows.
        rate = 1 - abs(2 * (passed * random.choice([3, 5, 10, 20]) % 1) - 1)
        loss += random.uniform(0.05, 0.4) * (begin - loss) * rate
    elif kind == "restarts":
        # Each cycle is twice as long as the one before.
        cycle = np.floor(np.log2(15 * passed + 1))
        rate = (1 + np.cos(np.pi * (15 * passed + 1 - 2**cycle) / 2**cycle)) / 2
        loss += random.uniform(0.05, 0.4) * (begin - loss) * rate
    elif kind == "overfitting":
        best = random.uniform(0.2, 0.8)
        loss *= 1 + random.uniform(0.02, 0.15) * np.clip((passed - best) / (1 - best), 0, 1)
    elif kind == "plateau":
        loss[:] = end
    return loss


def _noise(random: np.random.Generator, values: int) -> Floats:
    """Draw factors around 1 that are more or less like those before."""
    like = random.choice([0, 0.3, 0.6, 0.9])
    noise = random.normal(0, random.uniform(0.01, 0.1), values)
    for at in range(1, values):
        noise[at] = like * noise[at - 1] + np.sqrt(1 - like**2) * noise[at]
    return np.exp(noise)


def _trainings(world: World, size: float | None) -> Iterator[tuple[int, int]]:
    """Yield from which scrape to which each training lasts; where there is a fault, one that is under way then."""
    if size is not None:
        yield max(0, world.onset - int(60 * world.random.uniform(2, 20))), world.scrapes
        return
    begin = 0
    while begin < world.scrapes:
        end = begin + int(60 * world.random.uniform(4, 72))
        yield begin, end
        begin = end + int(world.random.exponential(120)) + 1


def _rising(world: World, minutes: float, size: float | None) -> Iterator[Series]:
    """Yield whether the loss of a training rises, which logs a value each so many minutes.

    A fault takes an hour to bring the loss to so many times what it was in the beginning.
    """
    rises = np.zeros(world.scrapes)
    for begin, end in _trainings(world, size):
        values = int((end - begin) / minutes)
        loss, noise = _curve(world.random, values), _noise(world.random, values)
        if size is not None:
            fault = size * np.median(loss[: values // 50 + 1])
            since = begin + minutes * np.arange(values) - world.onset
            loss += (fault - loss) * np.clip(since / 60, 0, 1)
        curve = LossCurve()
        seen = 0
        for at in range(begin, min(end, world.scrapes)):
            if seen < values and begin + minutes * seen <= at:
                curve.add(float(loss[seen] * noise[seen]))
                seen += 1
            rises[at] = curve.rises
    yield world.gauge("mlflow_training_runs_rising", _EXPORTER, rises)


def _gpus(world: World, pauses: float, size: float | None) -> Iterator[Series]:
    """Yield the utilization of a training's GPUs: it spreads widely, and some times a day data is loaded."""
    used = np.clip(world.random.normal(0.7, 0.2, world.scrapes), 0.06, 1)
    used[world.spells(30 * pauses, 1, 15)] = 0
    if size is not None:
        used = np.where(world.faulty, size, used)
    yield world.gauge("mlflow_training_gpu_lowest_utilization_ratio", _EXPORTER, used)


_of_runs = partial(Scenario, traffic=_RUNS, unit="runs a day", query=_RUNS_A_DAY)
_of_traces = partial(
    Scenario,
    traffic={"low": 0.2, "usual": 10, "high": 300},
    unit="traces a minute",
    query="sum without (status) (max without (instance) (60 * rate(mlflow_traces_total[1h])))",
)

SCENARIOS: tuple[Scenario, ...] = (
    _of_runs(
        alert="MlflowNoSuccessfulRun",
        healthy="a tenth of the runs fails, nobody works at weekends, and the experiment is known for two weeks",
        simulate=_successes,
        faults={"all fail": 1},
        # It compares with the pauses of two weeks; at weekends nothing fails.
        known_for=15 * DAY,
        warm_up=15 * DAY,
        horizon=5 * DAY,
        step=300,
        recorded_every=300,
    ),
    _of_runs(
        alert="MlflowFailedRunRatioHigh",
        healthy="5 % of the runs fail",
        simulate=_failing,
        faults={"60 % fail": 0.6, "all fail": 1},
        horizon=2 * DAY,
        cannot={
            ("low", "60 % fail"): "less than one run within the window",
            ("low", "all fail"): "less than one run within the window; MlflowNoSuccessfulRun finds it",
            ("usual", "60 % fail"): "three runs within the window",
        },
        step=300,
    ),
    _of_runs(
        alert="MlflowMetricWorseThanBest",
        healthy="a loss spreads by 10 % from run to run",
        simulate=_results,
        faults={"twice the loss": 2, "three times the loss": 3},
        warm_up=8 * DAY,
        horizon=3 * DAY,
        step=900,
        recorded_every=900,
    ),
    Scenario(
        alert="MlflowRunHanging",
        healthy="one run after the other, up to twice as long as usual",
        simulate=_running,
        traffic={"low": 0.5, "usual": 3, "high": 10},
        unit="hours that a run takes",
        faults={"it never ends": 1},
        horizon=2 * DAY,
        step=300,
    ),
    Scenario(
        alert="MlflowTrainingSilent",
        healthy="a run that logs metrics, with pauses up to twice as long as usual",
        simulate=_logging,
        traffic={"low": 50, "usual": 5, "high": 1},
        unit="minutes between two metrics",
        faults={"it hangs": 1},
        horizon=DAY,
        step=300,
    ),
    Scenario(
        alert="MlflowTrainingLossNotFinite",
        healthy="a loss is NaN for up to eight minutes some times a day",
        simulate=_losses,
        traffic={"low": 0.1, "usual": 1, "high": 5},
        unit="such values a day",
        faults={"it stays so": 1},
        horizon=DAY,
        step=60,
    ),
    Scenario(
        alert="MlflowTrainingLossRising",
        healthy=(
            "one run after the other, of 4 to 72 hours, whose loss falls, with warm-up, spikes, cycles or restarts of "
            "the learning rate, a plateau, or overfitting of up to 15 %"
        ),
        simulate=_rising,
        traffic={"low": 15, "usual": 2, "high": 1},
        unit="minutes between two values",
        faults={"back to where it began": 1, "twice what it was in the beginning": 2},
        horizon=2 * DAY,
        cannot={
            (level, "back to where it began"): "a loss that fell little, or with much noise, was mostly as high before"
            for level in ("low", "usual", "high")
        },
        step=60,
    ),
    Scenario(
        alert="MlflowTrainingGpuIdle",
        healthy="utilization spreads by 20 points, and data is loaded for up to 15 minutes some times a day",
        simulate=_gpus,
        traffic={"low": 1, "usual": 5, "high": 20},
        unit="pauses a day",
        faults={"3 % used": 0.03, "none used": 0},
        horizon=DAY,
        step=60,
    ),
    Scenario(
        alert="MlflowChampionOld",
        healthy="the champion is replaced after half to one and a half of the usual time",
        simulate=_champion,
        traffic={"low": 1, "usual": 4, "high": 7},
        unit="weeks between two champions",
        faults={"91 days old": 91, "a year old": 365},
        step=3600,
    ),
    Scenario(
        alert="MlflowCandidateBetter",
        healthy="each day the best of 100 runs is the candidate, and none of them is better than the champion",
        simulate=_candidates,
        traffic={"low": 200, "usual": 1000, "high": 10_000},
        unit="rows of the test sets",
        faults={"5 points better": 0.05, "18 points better": 0.18},
        cannot={
            ("low", "5 points better"): "of 200 rows the best of 100 equal runs is as much better by chance",
        },
        step=1800,
    ),
    _of_traces(
        alert="MlflowTraceErrorRatioHigh",
        healthy="1 % of the traces fail, and four times a month a few in a row",
        simulate=_traces,
        faults={"30 % fail": 0.3, "all fail": 1},
        cannot={
            ("low", "30 % fail"): "three traces within the window",
            ("low", "all fail"): "three traces within the window, of ten that it takes",
        },
    ),
    _of_traces(
        alert="MlflowTraceLatencyHigh",
        healthy="1 % of the traces take a minute, half of them in a bad minute thrice a month",
        simulate=_answers,
        faults={"a fifth takes a minute": 0.2, "all take a minute": 1},
        cannot={("low", "a fifth takes a minute"): "of three traces within the window one is slow by chance, too"},
    ),
)
