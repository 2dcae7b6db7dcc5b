"""What would be read of an experiment, and how long it will take: `ml-monitoring experiments check`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Final

from ml_monitoring.exporter import durations
from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.inference import EffectKind, samples_needed
from ml_monitoring.exporter.sources.experiments.declaration import ExperimentDeclaration, ExperimentMetric
from ml_monitoring.exporter.sources.experiments.evidence import ALPHA
from ml_monitoring.exporter.sources.experiments.prometheus import ExperimentError, PrometheusApi
from ml_monitoring.exporter.sources.experiments.selectors import SeriesSelector, matching
from ml_monitoring.exporter.sources.experiments.sql import in_utc, read_rows
from ml_monitoring.exporter.sources.experiments.tracked import Stores

# The traffic of so many days says how long it will take.
_DAYS: Final = 7
_DAY: Final = 86_400.0
# Undeclared arms that are named.
_ARMS_SAID: Final = 5


@dataclass(frozen=True, slots=True)
class SurveyLine:
    """One thing that was found out."""

    subject: str
    ok: bool
    message: str


def survey(name: str, declaration: ExperimentDeclaration, stores: Stores, now: float) -> Iterator[SurveyLine]:
    """Yield what is found of an experiment, the experiment itself first."""
    yield SurveyLine(name, True, _outline(declaration, now))
    for metric_name, metric in declaration.metrics.items():
        subject = f"{name} {metric_name}"
        try:
            found = _by_query(metric_name, metric, declaration, stores, now)
            found = found or _by_selectors(metric, declaration, stores, now)
        except SourceError as error:
            yield SurveyLine(subject, False, f"{error} ({error.hint})" if error.hint else str(error))
            continue
        yield SurveyLine(subject, found.trials > 0, found.words)
        if found.trials > 0 and metric.role == "goal":
            yield SurveyLine(subject, True, _duration(metric, declaration, found, now))


@dataclass(frozen=True, slots=True)
class _Found:
    """Counts of the last days, in all arms together."""

    words: str
    trials: float
    total: float
    squares: float | None


def _outline(declaration: ExperimentDeclaration, now: float) -> str:
    start = declaration.start.timestamp()
    began = f"begins at {declaration.start:%Y-%m-%d %H:%M} UTC"
    if start <= now:
        began = f"runs since {declaration.start:%Y-%m-%d %H:%M} UTC"
    shares = _shares(declaration.shares)
    for change in declaration.changes:
        shares += f"; from {change.at:%Y-%m-%d %H:%M} on {_shares(declaration.shares_at(change.at.timestamp()))}"
    return f"{began}; {shares}; batches of {durations.format_seconds(declaration.step)}"


def _shares(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{arm} {share:.0%}" for arm, share in shares.items())


def _by_query(
    name: str, metric: ExperimentMetric, declaration: ExperimentDeclaration, stores: Stores, now: float
) -> _Found | None:
    if metric.query is None:
        return None
    session = stores.sessions[declaration.database]
    sums = [0.0, 0.0, 0.0]
    rows = 0
    others: dict[str, float] = {}
    begin = now - _DAYS * _DAY
    with session.transaction():
        in_utc(session)
        for row in read_rows(session, name, metric, begin, now):
            if not begin <= row.moment < now:
                continue
            if row.arm not in declaration.arms:
                others[row.arm] = others.get(row.arm, 0.0) + row.amounts[0]
                continue
            rows += 1
            for index, amount in enumerate(row.amounts):
                sums[index] += amount or 0.0
    words = f"{rows} rows of the last {_DAYS} days, {sums[0] / _DAYS:.0f} trials a day{_undeclared(others)}"
    return _Found(words, sums[0], sums[1], sums[2] or None)


def _by_selectors(metric: ExperimentMetric, declaration: ExperimentDeclaration, stores: Stores, now: float) -> _Found:
    api = stores.api
    selectors = metric.selectors
    if api is None or selectors is None:
        return _Found("cannot be read", 0.0, 0.0, None)
    for each in selectors:
        if each and (kind := api.kind(SeriesSelector.parse(each).metric)) == "gauge":
            raise ExperimentError(Reason.SCHEMA, f"{each} is a {kind}", hint="name a counter")
    trials, total, squares = (each and _increase(api, declaration.narrowed(each), now) for each in selectors)
    where = "in its arms"
    if not trials or not trials[1]:
        # Before it begins nothing has its arms' label; the traffic may be there.
        unsplit = [each and _increase(api, _unsplit(declaration, each), now) for each in selectors]
        if unsplit[0] and unsplit[0][1]:
            trials, total, squares = unsplit
            where = f"without the arms in the label {declaration.label}"
    series = sum(int(each[0]) for each in (trials, total, squares) if each)
    count = trials[1] if trials else 0.0
    words = f"{declaration.narrowed(selectors[0])}: {series} series {where}, {count / _DAYS:.0f} trials a day"
    if not count:
        words = f"{declaration.narrowed(selectors[0])}: nothing was counted in the last {_DAYS} days"
    words += _undeclared(_others(api, declaration, selectors[0], now))
    return _Found(words, count, total[1] if total else 0.0, squares[1] if squares else None)


def _others(api: PrometheusApi, declaration: ExperimentDeclaration, selector: str, now: float) -> dict[str, float]:
    """Return what was counted in the last days of arms that are not declared."""
    unsplit, label = _unsplit(declaration, selector), declaration.label
    found = api.range(f"sum by ({label}) (increase({unsplit}[{_DAYS}d]))", now, now, 1.0)
    counts = {each.labels.get(label, ""): each.samples[-1][1] for each in found if each.samples}
    return {arm: count for arm, count in counts.items() if arm and arm not in declaration.arms}


def _undeclared(counts: Mapping[str, float]) -> str:
    """Return in words which arms are counted though they are not declared: a name may be misspelt."""
    counted = {arm: count for arm, count in counts.items() if count > 0}
    if not counted:
        return ""
    most = sorted(counted, key=lambda arm: -counted[arm])[:_ARMS_SAID]
    listed = ", ".join(f"{textwrap.shorten(repr(arm), 60)} {counted[arm] / _DAYS:.3g} a day" for arm in most)
    return f"; not declared: {listed}" + (" and others" if len(counted) > len(most) else "")


def _unsplit(declaration: ExperimentDeclaration, selector: str) -> str:
    matchers = [matching(label, values) for label, values in declaration.selector.items()]
    return str(SeriesSelector.parse(selector).narrowed(*matchers))


def _increase(api: PrometheusApi, selector: str, now: float) -> tuple[float, float]:
    """Return how many series a selector has, and what they counted in the last days."""
    window = f"{_DAYS}d"
    found = []
    for query in (f"count(last_over_time({selector}[1d]))", f"sum(increase({selector}[{window}]))"):
        series = api.range(query, now, now, 1.0)
        found.append(series[0].samples[-1][1] if series and series[0].samples else 0.0)
    return found[0], found[1]


def _duration(metric: ExperimentMetric, declaration: ExperimentDeclaration, found: _Found, now: float) -> str:
    mean = found.total / found.trials
    deviation = 1.0
    if metric.kind == "mean":
        if not found.squares:
            return "how long it will take is not known without `squares`"
        deviation = sqrt(max(found.squares / found.trials - mean * mean, 0.0))
    present = declaration.shares_at(max(now, declaration.start.timestamp()))
    shares = {arm: share for arm, share in present.items() if share > 0}
    if declaration.baseline not in shares or len(shares) < 2:
        return "how long it will take is not known: the baseline, or all others, have no share at present"
    goals = sum(each.role == "goal" for each in declaration.metrics.values())
    alpha = ALPHA / (goals * (len(declaration.arms) - 1))
    smallest = min(share for arm, share in shares.items() if arm != declaration.baseline)
    pair = (smallest, shares[declaration.baseline])
    needed = samples_needed(
        EffectKind(metric.kind), mean, metric.effect * abs(mean), alpha, deviation=deviation, shares=pair
    )
    days = needed / sum(pair) / (found.trials / _DAYS)
    if not isfinite(days):
        return "how long it will take is not known: nothing varies"
    planned = ""
    if declaration.end is not None:
        whole = (declaration.end - declaration.start).total_seconds() / _DAY
        planned = f"; planned are {whole:.1f}" + ("" if whole >= days else ", too few")
    return (
        f"a difference of {metric.effect:.1%} of {mean:.4g} takes about {needed / sum(pair):.0f} trials in all arms: "
        f"{days:.1f} days at this traffic{planned}"
    )
