"""Risk: how likely each server is in trouble, and how likely the fleet has an incident.

**The built-in score.** What a server measured lately becomes dangers from 0 to 1, in a straight line between
two values:

| danger  | 0 up to                     | 1 from        | highest normal |
|---------|-----------------------------|---------------|----------------|
| cpu     | 70 % in use, or its normal  | 95 %          |                |
| memory  | 85 % in use                 | 93 %          | 85 %           |
| growth  | memory 8 points over normal | 30 points     | 85 %           |
| latency | 1.3 times its normal        | four times    |                |
| error   | 1.5 times its normal        | six times     | 5 %            |
| failure | 5 % of the requests         | 15 %          |                |
| gc      | twice its normal            | eight times   |                |
| network | half its normal             | a tenth       |                |
| state   | anything else               | critical      |                |

Multiples are of the value plus a floor (0.2 ms, 0.2 points of errors, 3 ms of pause, 10 kB/s). They and the growth
begin no sooner than at two of the server's usual deviations. "Lately" is a moving average over the file's time with a
half-life of `RECENT`, to which no row adds more than half, so that a single bad row is no trouble; what gets better is
followed twice as fast, memory at once, and a value that is missing counts as normal. A logistic model joins the
dangers, `1 / (1 + exp(-(BIAS + sum(weight * danger))))`: `BuiltinRisk.dangers` says them, and `WEIGHTS` how much each
adds. Busy alone is no trouble, busy and slow is. What a busy server that answers well takes of memory is that of a job,
and counts half: `memory` and `growth` are less by `JOB_MEMORY` times what `cpu` is above the dangers of its answers
(latency, error, failure, gc and state), where latency or errors are measured. No other danger makes a score smaller.

An offline server's score rises to 1 with a half-life of `OFFLINE_PERSISTENCE`, so that a restart of a minute weighs
little. After it is back, or was silent, or is new beside others, its dangers count fully only after `WARM_UP`. A server
without any measurement has no score. When the file has a phase column, a server that is marked as a problem child (any
server, when no column marks them) gets 0.4 in `escalation` and 0.7 in `peak` on top.

**Normal** is each server's own mean, with a half-life of one hour of the file's time; of a day while it is in trouble,
so that trouble does not soon look normal, and a change that stays does in the end. A server without a past is compared
with what is normal for the others of its profile; at the very first look with their middle, as it is then, and only
large multiples of it count, since servers of a profile differ. What hits a whole profile before anything was learned is
therefore seen by its memory, errors, CPU and state only. The settings can say what is normal instead.

**The incident probability** is a logistic model of the log odds of the worst risk: it does not depend on how many
servers there are, and no risk can rise without it rising or staying. Means of the risks were tried and added nothing.
The weights were fitted on labelled simulations, see `tools.risk_fit`.

**Another model** is an object with `score`, made by a callable that a package gives in the entry-point group
`ml_monitoring.risk_models`; `examples/` holds one. It replaces the score, not the probability.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from importlib.metadata import entry_points
from math import log
from operator import mul
from statistics import median
from typing import Any, Final, NamedTuple, Protocol

GROUP: Final = "ml_monitoring.risk_models"
BUILTIN: Final = "builtin"
# A server above it is in trouble, and its values are not taken for normal.
TROUBLE: Final = 0.1
HALF_LIFE: Final = 3600.0
TROUBLE_HALF_LIFE: Final = 86400.0
RECENT: Final = 20.0
OFFLINE_PERSISTENCE: Final = 90.0
WARM_UP: Final = 120.0
JOB_MEMORY: Final = 0.5
PHASE_BONUS: Final = {"escalation": 0.4, "peak": 0.7}
DANGERS: Final = ("cpu", "memory", "growth", "latency", "error", "failure", "gc", "network", "state")
# Fitted by tools.risk_fit, in the order of DANGERS. Memory weighs a point more: it alone is enough for an alert.
WEIGHTS: Final = (0.74, 6.26, 2.5, 4.72, 4.31, 1.54, 3.63, 0.85, 4.65)
BIAS: Final = -4.98
# Of the log odds of the worst risk.
FLEET_WEIGHT: Final = 1.3
FLEET_BIAS: Final = -0.1
_OFFLINE, _CRITICAL = "offline", "critical_issue"
# Without rows for so many times the usual, a server was away.
_GAP, _SHORTEST_GAP = 3.0, 20.0
# Of one row in the recent values.
_LARGEST_WEIGHT = 0.5
# Servers that are gone are forgotten when there are more of them.
_MOST_GONE = 1_000


class Sample(NamedTuple):
    """What is known of one server at one moment, in base units; None where the file has no value.

    `timestamp` is in seconds since the epoch; cpu, memory and error are ratios from 0 to 1; latency and gc_pause are
    in seconds; disk_io and network in bytes per second.
    """

    timestamp: float
    server: str
    profile: str
    state: str | None
    cpu: float | None
    memory: float | None
    latency: float | None
    error: float | None
    disk_io: float | None
    network_receive: float | None
    network_transmit: float | None
    gc_pause: float | None
    phase: str | None
    problem_child: bool | None
    oom: bool | None


class RiskModel(Protocol):
    """Scores servers; called from one thread, once a refresh."""

    def score(self, samples: Sequence[Sample]) -> Sequence[float]:
        """Return the risk of each server, 0 to 1, in the order of the samples (one a server, its newest)."""


class Cause(StrEnum):
    """What makes a server's risk high, in words: the closed set behind `fleet_server_cause_info{cause}`."""

    CPU = "CPU"
    MEMORY = "memory"
    LATENCY = "latency"
    ERRORS = "errors"
    GC = "GC pauses"
    NETWORK = "network"
    STATE = "critical state"
    OFFLINE = "offline"
    PHASE = "incident phase"


# Of the dangers, in their order.
_CAUSES: Final = (
    *(Cause.CPU, Cause.MEMORY, Cause.MEMORY, Cause.LATENCY, Cause.ERRORS, Cause.ERRORS),
    *(Cause.GC, Cause.NETWORK, Cause.STATE),
)


class Failure(StrEnum):
    """Why a model could not be used: the closed set behind `fleet_risk_model_failures_total{reason}`."""

    LOAD = "load"
    RAISED = "raised"
    INVALID = "invalid"


class _Measure(NamedTuple):
    """One measurement whose normal is learned.

    Attributes:
        name: Of the sample's field.
        floor: Added before values are compared as multiples; 0 for those that are compared as they are.
        highest_normal: What is above it cannot be normal.
        is_ratio: Whether it is 0 to 1.
        in_seconds: Whether it is a time.
    """

    name: str
    floor: float = 0.0
    highest_normal: float = math.inf
    is_ratio: bool = False
    in_seconds: bool = False

    def scaled(self, value: float) -> float:
        """Return the value as it is compared: differences of logarithms are multiples."""
        return math.log(value + self.floor) if self.floor else value


MEASURES: Final = (
    _Measure("cpu", is_ratio=True),
    _Measure("memory", highest_normal=0.85, is_ratio=True),
    _Measure("latency", 0.0002, in_seconds=True),
    _Measure("error", 0.002, highest_normal=0.05, is_ratio=True),
    _Measure("gc_pause", 0.003, in_seconds=True),
    _Measure("network_receive", 1e4),
    _Measure("network_transmit", 1e4),
)
_NOTHING = [None] * len(MEASURES)
_MEMORY = 1
# From this place on less is worse.
_NETWORK_FROM = 5
_SCALES = tuple((Sample._fields.index(measure.name), measure.floor) for measure in MEASURES)
_HIGHEST = tuple(measure.scaled(measure.highest_normal) for measure in MEASURES)
# Places in DANGERS.
_CPU_DANGER, _FULL_DANGER, _GROWTH_DANGER, _ANSWERS = 0, 1, 2, slice(3, 7)
# How much above normal a multiple's danger begins and is 1, as logarithms; the network's below it.
_CPU = (0.70, 0.95)
_FULL = (0.85, 0.93)
_GROWTH = (0.08, 0.30)
_LATENCY = (math.log(1.3), math.log(4))
_ERROR = (math.log(1.5), math.log(6))
# These are of all requests, not multiples.
_FAILURE = (math.log(0.05 + 0.002), math.log(0.15 + 0.002))
_GC = (math.log(2), math.log(8))
_NETWORK = (math.log(2), math.log(10))
# Danger begins no sooner than at so many mean deviations.
_DEVIATIONS = 2.0
_FIRST_DEVIATION = 0.5
_GIVEN_DEVIATION = 0.04
_FIRST_STEP = 0.1
# No score is taken for surer than that.
_SUREST = 0.01


class _Known:
    """What is known of one server: its normals and mean deviations, scaled, its recent values, and its risk."""

    __slots__ = ("at", "back", "critical", "deviations", "normals", "profile", "recent", "risk", "seen", "step")

    def __init__(self, profile: str, normals: list[float | None], deviations: list[float], back: float) -> None:
        self.profile = profile
        self.normals = normals
        self.deviations = deviations
        self.recent = list(normals)
        self.critical = 0.0
        self.at = -math.inf
        # Between two rows, usually; when it came, or came back.
        self.step = 0.0
        self.back = back
        self.risk = math.nan
        self.seen = 1


class BuiltinRisk:
    """The documented score; learns what is normal while it scores.

    Args:
        normals: What is normal by profile and measurement, in base units; these are not learned.
    """

    def __init__(self, normals: Mapping[str, Mapping[str, float]] | None = None) -> None:
        self._given = {
            profile: [measure.scaled(given[measure.name]) if measure.name in given else None for measure in MEASURES]
            for profile, given in (normals or {}).items()
        }
        self._known: dict[str, _Known] = {}

    def score(self, samples: Sequence[Sample]) -> list[float]:
        """Return the risk of each server; NaN for one without any measurement."""
        known = self._known
        if unknown := [sample for sample in samples if sample.server not in known]:
            self._meet(unknown)
        if len(known) > 2 * len(samples) + _MOST_GONE:
            self._known = known = {sample.server: known[sample.server] for sample in samples}
        return [_with_bonus(sample, self._update(known[sample.server], sample)) for sample in samples]

    def dangers(self, server: str) -> dict[str, float]:
        """Return the dangers behind a server's score; times WEIGHTS, how much each of them adds."""
        return dict(zip(DANGERS, self._dangers(self._known[server]), strict=True))

    def cause(self, sample: Sample) -> Cause | None:
        """Return what adds most to the score of a server that was scored; None where nothing does."""
        if sample.state == _OFFLINE:
            return Cause.OFFLINE
        found = dict.fromkeys(Cause, 0.0)
        for cause, weight, danger in zip(_CAUSES, WEIGHTS, self._dangers(self._known[sample.server]), strict=True):
            found[cause] += weight * danger
        most = max(found, key=found.__getitem__)
        if found[most]:
            return most
        return Cause.PHASE if _bonus(sample) else None

    def normal(self, server: str) -> dict[str, float]:
        """Return what counts as normal for a server at present, in base units."""
        known = self._known[server]
        return {
            measure.name: math.exp(value) - measure.floor if measure.floor else value
            for measure, value in zip(MEASURES, self._normals(known), strict=True)
            if value is not None
        }

    def _normals(self, known: _Known) -> list[float | None]:
        given = self._given.get(known.profile)
        if given is None:
            return known.normals
        return [learned if fixed is None else fixed for learned, fixed in zip(known.normals, given, strict=True)]

    def _meet(self, unknown: Sequence[Sample]) -> None:
        """Begin with what is normal for the others of the profile, or with the middle of what is there."""
        wanted = {sample.profile for sample in unknown}
        rows: dict[str, list[list[float | None]]] = defaultdict(list)
        for known in self._known.values():
            if known.profile in wanted:
                rows[known.profile].append(known.normals)
        # The others' past says more than the present of the new ones.
        first = wanted - rows.keys()
        for sample in unknown:
            if sample.profile in first:
                rows[sample.profile].append(_scaled(sample))
        middle = {profile: _middle(found) for profile, found in rows.items()}
        fresh = not self._known
        for sample in unknown:
            normals, deviations = middle[sample.profile]
            back = -math.inf if fresh else sample.timestamp
            given = self._given.get(sample.profile) or _NOTHING
            spread = [off if fixed is None else _GIVEN_DEVIATION for off, fixed in zip(deviations, given, strict=True)]
            self._known[sample.server] = _Known(sample.profile, list(normals), spread, back)

    def _update(self, known: _Known, sample: Sample) -> float:
        """Take a server's newest row in and return its risk."""
        now = sample.timestamp
        elapsed = now - known.at
        if not elapsed:
            # A refresh that brought no new row.
            return known.risk
        known.at = now
        # The first look, and one after the file began again, stand for themselves.
        first = not 0 < elapsed < math.inf
        if sample.state == _OFFLINE:
            known.back = math.inf
            weight = 1.0 if first else 1.0 - 2.0 ** (-elapsed / OFFLINE_PERSISTENCE)
            known.risk = 1.0 if math.isnan(known.risk) else known.risk + weight * (1.0 - known.risk)
            return known.risk
        values = _scaled(sample)
        if values == _NOTHING:
            known.back, known.risk = math.inf, math.nan
            return math.nan
        critical = 1.0 if sample.state == _CRITICAL else 0.0
        if first:
            known.recent, known.critical = values, critical
            if elapsed < 0:
                known.back = -math.inf
        else:
            if known.back == math.inf or (known.step and elapsed > max(_GAP * known.step, _SHORTEST_GAP)):
                known.back = now
            known.step += 0.1 * (elapsed - known.step) if known.step else elapsed
            weight = min(_LARGEST_WEIGHT, 1.0 - 2.0 ** (-elapsed / RECENT))
            known.critical += weight * (critical - known.critical)
            _average(known.recent, values, self._normals(known), weight)
            if (memory := values[_MEMORY]) is not None:
                # It does not jump for a moment.
                known.recent[_MEMORY] = memory
        found = self._dangers(known)
        risk = known.risk = _logistic(BIAS + sum(map(mul, WEIGHTS, found)))
        if elapsed > 0 and now - known.back >= WARM_UP:
            _learn(known, values, elapsed, calm=risk < TROUBLE)
        return risk

    def _dangers(self, known: _Known) -> list[float]:
        found = dangers(known.recent, self._normals(known), known.deviations)
        found.append(known.critical)
        if found[_CPU_DANGER] and (found[_FULL_DANGER] or found[_GROWTH_DANGER]) and known.recent[2:4] != [None, None]:
            job = found[_CPU_DANGER] - max(*found[_ANSWERS], known.critical)
            found[_FULL_DANGER] *= 1.0 - JOB_MEMORY * max(0.0, job)
            found[_GROWTH_DANGER] *= 1.0 - JOB_MEMORY * max(0.0, job)
        since = known.at - known.back
        return found if since >= WARM_UP else [max(0.0, since) / WARM_UP * danger for danger in found]


def _average(
    recent: list[float | None], values: Sequence[float | None], normals: Sequence[float | None], weight: float
) -> None:
    """Let the recent values follow the newest, twice as fast where it is better; what is not measured is normal."""
    better = weight * (2.0 - weight)
    for place, value in enumerate(values):
        old = recent[place]
        new = normals[place] if value is None else value
        if old is None or new is None:
            recent[place] = new
        else:
            off = new - old
            worse = value is None or (off > 0.0) is (place < _NETWORK_FROM)
            recent[place] = old + (weight if worse else better) * off


def dangers(
    values: Sequence[float | None], normals: Sequence[float | None], deviations: Sequence[float]
) -> list[float]:
    """Return the dangers of one server's scaled values in the order of DANGERS."""
    cpu, memory, latency, error, gc, received, sent = (
        None if value is None or normal is None else value - normal
        for value, normal in zip(values, normals, strict=True)
    )
    found = [0.0] * (len(DANGERS) - 1)
    # What is usual needs no look at what is normal.
    if cpu is not None and values[0] is not None and values[0] > _CPU[0]:
        begin = max(_CPU[0], values[0] - cpu)
        found[0] = _ramp(values[0], begin, max(_CPU[1], begin + 0.05))
    if memory is not None and values[1] is not None:
        if values[1] > _FULL[0]:
            begin = max(_FULL[0], values[1] - memory)
            found[1] = _ramp(values[1], begin, max(_FULL[1], begin + 0.05))
        found[2] = _over(memory, _GROWTH, deviations[1])
    if latency is not None:
        found[3] = _over(latency, _LATENCY, deviations[2])
    if error is not None and values[3] is not None:
        found[4] = _over(error, _ERROR, deviations[3])
        if values[3] > _FAILURE[0]:
            begin = max(_FAILURE[0], values[3] - error)
            found[5] = _ramp(values[3], begin, max(_FAILURE[1], begin + _FAILURE[1] - _FAILURE[0]))
    if gc is not None:
        found[6] = _over(gc, _GC, deviations[4])
    if received is not None or sent is not None:
        # A partition takes both directions.
        best = max(-math.inf if off is None else off for off in (received, sent))
        found[7] = _over(-best, _NETWORK, deviations[5])
    return found


def _over(off: float, ramp: tuple[float, float], deviation: float) -> float:
    """Return the danger of a multiple, less where the server's values vary much."""
    if off <= ramp[0]:
        return 0.0
    begin = max(ramp[0], _DEVIATIONS * deviation)
    return _ramp(off, begin, max(ramp[1], 2.0 * begin))


def _ramp(value: float, begin: float, end: float) -> float:
    if value <= begin:
        return 0.0
    return 1.0 if value >= end else (value - begin) / (end - begin)


def _scaled(sample: Sample) -> list[float | None]:
    row: tuple[Any, ...] = sample
    return [
        None if (value := row[place]) is None else log(value + floor) if floor else value for place, floor in _SCALES
    ]


def _middle(rows: Sequence[Sequence[float | None]]) -> tuple[list[float | None], list[float]]:
    """Return the median of each measurement, as far as it can be normal, and how far servers are from it."""
    middle: list[float | None] = []
    deviations = []
    for column, highest in zip(zip(*rows, strict=True), _HIGHEST, strict=True):
        there = [value for value in column if value is not None]
        centre = median(there) if there else None
        middle.append(None if centre is None else min(centre, highest))
        # Of what is there: where all are bad, none is far from the others.
        off = 0.0 if centre is None else median(abs(value - centre) for value in there)
        deviations.append(max(_FIRST_DEVIATION, off))
    return middle, deviations


def _learn(known: _Known, values: Sequence[float | None], elapsed: float, *, calm: bool) -> None:
    # At first a plain average, so that one noisy moment does not count for an hour.
    weight = 1.0 - 2.0 ** (-elapsed / (HALF_LIFE if calm else TROUBLE_HALF_LIFE))
    if calm:
        weight = max(weight if elapsed < math.inf else 0.0, 1.0 / (known.seen + 1))
        known.seen += 1
    elif elapsed == math.inf:
        return
    normals, deviations, recent = known.normals, known.deviations, known.recent
    for place, value in enumerate(values):
        if value is None:
            continue
        normal = normals[place]
        if normal is None:
            normals[place] = min(value, _HIGHEST[place])
            continue
        deviation = deviations[place]
        # What begins to go wrong is not usual, as far as it is more than that.
        off = abs((recent[place] or 0.0) - normal)
        if off > _FIRST_STEP and off > 3.0 * deviation:
            off = max(3.0 * deviation, _FIRST_STEP)
        deviations[place] = deviation + weight * (off - deviation)
        normal += weight * (value - normal)
        highest = _HIGHEST[place]
        normals[place] = normal if normal < highest else highest


def _logistic(score: float) -> float:
    return 1.0 / (1.0 + math.exp(-score))


def worst_log_odds(risks: Iterable[float]) -> float:
    """Return the log odds of the worst risk, which the incident probability depends on; NaN without any risk."""
    worst = max((risk for risk in risks if not math.isnan(risk)), default=math.nan)
    worst = min(max(worst, _SUREST), 1.0 - _SUREST)
    return log(worst / (1.0 - worst))


def incident_probability(risks: Iterable[float]) -> float:
    """Return how likely the fleet has an incident, from the scores of its servers; NaN when none has one."""
    return _logistic(FLEET_BIAS + FLEET_WEIGHT * worst_log_odds(risks))


def installed_models() -> tuple[str, ...]:
    """Return the names of the models that can be chosen."""
    return (BUILTIN, *sorted(point.name for point in entry_points(group=GROUP)))


class Scorer:
    """Scores with the chosen model, and with the built-in one when that fails.

    Args:
        model: Name of an entry point, or `builtin`.
        options: Keyword arguments for the callable behind the entry point.
        normals: See `BuiltinRisk`.
    """

    def __init__(
        self,
        model: str = BUILTIN,
        options: Mapping[str, Any] | None = None,
        normals: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        self.model = model
        self.failures: Counter[Failure] = Counter()
        # What went wrong in the last scoring; empty when the chosen model did it.
        self.problem = ""
        self._options = dict(options or {})
        self._normals = normals
        self._builtin = BuiltinRisk(normals)
        self._chosen: RiskModel | None = None

    def reset(self) -> None:
        """Forget what was learned; the chosen model is made again."""
        self._builtin = BuiltinRisk(self._normals)
        self._chosen = None

    def score(self, samples: Sequence[Sample]) -> Sequence[float]:
        """Return the risk of each server, NaN where there is none."""
        # Also when another model is in charge: it must know what is normal when it has to step in.
        fallback = self._builtin.score(samples)
        self.problem = ""
        if self.model == BUILTIN or not samples:
            return fallback
        if self._chosen is None:
            try:
                (point,) = entry_points(group=GROUP, name=self.model)
                self._chosen = point.load()(**self._options)
            except Exception as error:  # noqa: BLE001  # foreign code; the fleet must stay visible
                return self._fail(Failure.LOAD, f"cannot be loaded: {type(error).__name__}: {error}", fallback)
        try:
            scores = [float(score) for score in self._chosen.score(samples)]
        except Exception as error:  # noqa: BLE001  # foreign code; the fleet must stay visible
            return self._fail(Failure.RAISED, f"raised {type(error).__name__}: {error}", fallback)
        if len(scores) != len(samples):
            return self._fail(Failure.INVALID, f"gave {len(scores)} scores for {len(samples)} servers", fallback)
        for sample, score in zip(samples, scores, strict=True):
            if not 0.0 <= score <= 1.0:
                return self._fail(Failure.INVALID, f"gave {score} for {sample.server}, must be 0 to 1", fallback)
        return scores

    def cause(self, sample: Sample) -> Cause | None:
        """Return what the built-in model finds most wrong with a server that was scored; None where that is nothing."""
        return self._builtin.cause(sample)

    def _fail(self, failure: Failure, message: str, fallback: Sequence[float]) -> Sequence[float]:
        self.failures[failure] += 1
        self.problem = f"risk model {self.model!r} {message}; the built-in one scores instead"
        return fallback


def _with_bonus(sample: Sample, base: float) -> float:
    return min(1.0, base + _bonus(sample)) if not math.isnan(base) else base


def _bonus(sample: Sample) -> float:
    # Without a column that marks them, every server of the phase counts as hit.
    return PHASE_BONUS.get(sample.phase or "", 0.0) if sample.problem_child is not False else 0.0
