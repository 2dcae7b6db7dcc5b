"""Risk: how likely each server is in trouble, and how likely the fleet has an incident.

**The built-in score.** A server's newest row becomes dangers from 0 to 1, in a straight line between two values:

| danger  | 0 up to                     | 1 from        | highest normal |
|---------|-----------------------------|---------------|----------------|
| cpu     | 70 % in use, or its normal  | 95 %          |                |
| memory  | 85 % in use                 | 95 %          | 85 %           |
| growth  | memory 8 points over normal | 30 points     | 85 %           |
| latency | 1.5 times its normal        | eight times   |                |
| error   | twice its normal            | fifteen times | 5 %            |
| gc      | three times its normal      | fifteen times |                |
| network | half its normal             | a tenth       |                |

Multiples are of the value plus a floor (0.2 ms, 0.5 points of errors, 1 ms of pause, 10 kB/s) and begin no sooner than
at four of the server's usual deviations. A logistic model joins them, `1 / (1 + exp(-(BIAS + sum(weight * danger))))`:
busy alone is no trouble, busy and slow is. An offline server has 1, one without any measurement no score. Both are
smoothed over the file's time with a half-life of `PERSISTENCE` or `OFFLINE_PERSISTENCE`, so that a restart of a minute
weighs little. When the file has a phase column, a server that is marked as a problem child (any server, when no column
marks them) gets 0.4 in `escalation` and 0.7 in `peak` on top.

**Normal** is each server's own mean, with a half-life of one hour of the file's time; of a day while it is in trouble,
so that trouble does not soon look normal, and a change that stays does in the end. A server without a past is compared
with what is normal for the others of its profile; at the very first look with their middle, as it is then. What hits a
whole profile before anything was learned is therefore seen by its CPU, memory and errors only. The settings can say
what is normal instead.

**The incident probability** is a logistic model of the worst risk, its root, and the root of the mean risk: none
depends on how many servers there are, and no risk can rise without it rising or staying. The weights were fitted on
labelled simulations, see `tools.risk_fit`.

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
TROUBLE: Final = 0.3
HALF_LIFE: Final = 3600.0
TROUBLE_HALF_LIFE: Final = 86400.0
PERSISTENCE: Final = 30.0
OFFLINE_PERSISTENCE: Final = 90.0
PHASE_BONUS: Final = {"escalation": 0.4, "peak": 0.7}
DANGERS: Final = ("cpu", "memory", "growth", "latency", "error", "gc", "network")
# Fitted by tools.risk_fit; in the order of DANGERS.
WEIGHTS: Final = (1.75, 5.37, 3.6, 5.19, 5.31, 5.63, 0.39)
BIAS: Final = -5.11
# Of the worst risk, of its root, and of the root of the mean.
FLEET_WEIGHTS: Final = (3.99, 5.36, 1.43)
FLEET_BIAS: Final = -5.87
_OFFLINE = "offline"
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
    """

    name: str
    floor: float = 0.0
    highest_normal: float = math.inf

    def scaled(self, value: float) -> float:
        """Return the value as it is compared: differences of logarithms are multiples."""
        return math.log(value + self.floor) if self.floor else value


MEASURES: Final = (
    _Measure("cpu"),
    _Measure("memory", highest_normal=0.85),
    _Measure("latency", 0.0002),
    _Measure("error", 0.005, highest_normal=0.05),
    _Measure("gc_pause", 0.001),
    _Measure("network_receive", 1e4),
    _Measure("network_transmit", 1e4),
)
_SCALES = tuple((Sample._fields.index(measure.name), measure.floor) for measure in MEASURES)
_HIGHEST = tuple(measure.scaled(measure.highest_normal) for measure in MEASURES)
# How much above normal a multiple's danger begins and is 1, as logarithms; the network's below it.
_LATENCY = (math.log(1.5), math.log(8))
_ERROR = (math.log(2), math.log(15))
_GC = (math.log(3), math.log(15))
_NETWORK = (math.log(2), math.log(10))
# Danger begins no sooner than at so many mean deviations.
_DEVIATIONS = 4.0
_FIRST_DEVIATION = 0.1


class _Known:
    """What is known of one server: its normals and mean deviations, scaled, and its smoothed risk."""

    __slots__ = ("at", "deviations", "normals", "profile", "risk", "seen")

    def __init__(self, profile: str, normals: list[float | None], deviations: list[float]) -> None:
        self.profile = profile
        self.normals = normals
        self.deviations = deviations
        self.at = -math.inf
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

    def dangers(self, sample: Sample) -> tuple[float, ...]:
        """Return the dangers of a server against what is normal for it at present; empty while it has no past."""
        known = self._known.get(sample.server)
        return () if known is None else dangers(_scaled(sample), self._normals(known), known.deviations)

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
        for sample in unknown:
            normals, deviations = middle[sample.profile]
            self._known[sample.server] = _Known(sample.profile, list(normals), list(deviations))

    def _update(self, known: _Known, sample: Sample) -> float:
        """Take a server's newest row in and return its risk."""
        elapsed = sample.timestamp - known.at
        if not elapsed:
            # A refresh that brought no new row.
            return known.risk
        values = _scaled(sample)
        found = dangers(values, self._normals(known), known.deviations)
        if sample.state == _OFFLINE:
            risk = 1.0
        elif any(value is not None for value in values):
            risk = _logistic(BIAS + sum(map(mul, WEIGHTS, found)))
        else:
            known.at, known.risk = sample.timestamp, math.nan
            return math.nan
        known.at = sample.timestamp
        if elapsed > 0:
            _learn(known, values, elapsed, calm=risk < TROUBLE)
        # The first look, and one after the file began again, stand for themselves.
        if 0 < elapsed < math.inf and not math.isnan(known.risk):
            half_life = OFFLINE_PERSISTENCE if sample.state == _OFFLINE else PERSISTENCE
            risk = known.risk + (1.0 - 2.0 ** (-elapsed / half_life)) * (risk - known.risk)
        known.risk = risk
        return risk


def dangers(
    values: Sequence[float | None], normals: Sequence[float | None], deviations: Sequence[float]
) -> tuple[float, ...]:
    """Return the dangers of one server in the order of DANGERS, from its scaled values."""
    cpu, memory, latency, error, gc, received, sent = (
        None if value is None or normal is None else value - normal
        for value, normal in zip(values, normals, strict=True)
    )
    found = [0.0] * len(DANGERS)
    if cpu is not None and values[0] is not None:
        begin = values[0] - cpu if cpu < values[0] - 0.70 else 0.70
        found[0] = _ramp(values[0], begin, max(0.95, begin + 0.05))
    if memory is not None and values[1] is not None:
        found[1] = _ramp(values[1], 0.85, 0.95)
        found[2] = _ramp(memory, 0.08, 0.30)
    if latency is not None:
        found[3] = _ramp(latency, max(_LATENCY[0], _DEVIATIONS * deviations[2]), _LATENCY[1])
    if error is not None:
        found[4] = _ramp(error, max(_ERROR[0], _DEVIATIONS * deviations[3]), _ERROR[1])
    if gc is not None:
        found[5] = _ramp(gc, max(_GC[0], _DEVIATIONS * deviations[4]), _GC[1])
    fallen = [-value for value in (received, sent) if value is not None]
    if fallen:
        # A partition takes both directions.
        found[6] = _ramp(min(fallen), max(_NETWORK[0], _DEVIATIONS * deviations[5]), _NETWORK[1])
    return tuple(found)


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
    normals, deviations = known.normals, known.deviations
    for place, value in enumerate(values):
        if value is None:
            continue
        normal = normals[place]
        if normal is None:
            normals[place] = min(value, _HIGHEST[place])
            continue
        off = value - normal
        normals[place] = min(normal + weight * off, _HIGHEST[place])
        deviations[place] += weight * (abs(off) - deviations[place])


def _logistic(score: float) -> float:
    return 1.0 / (1.0 + math.exp(-score))


def fleet_features(risks: Iterable[float]) -> tuple[float, ...]:
    """Return what the incident probability depends on, in the order of FLEET_WEIGHTS; empty without any risk."""
    found = [min(risk, 1.0) for risk in risks if not math.isnan(risk)]
    if not found:
        return ()
    worst, mean = max(found), sum(found) / len(found)
    return (worst, math.sqrt(worst), math.sqrt(mean))


def incident_probability(risks: Iterable[float]) -> float:
    """Return how likely the fleet has an incident, from the scores of its servers; NaN when none has one."""
    features = fleet_features(risks)
    if not features:
        return math.nan
    return _logistic(FLEET_BIAS + sum(map(mul, FLEET_WEIGHTS, features)))


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

    def _fail(self, failure: Failure, message: str, fallback: Sequence[float]) -> Sequence[float]:
        self.failures[failure] += 1
        self.problem = f"risk model {self.model!r} {message}; the built-in one scores instead"
        return fallback


def _with_bonus(sample: Sample, base: float) -> float:
    # Without a column that marks them, every server of the phase counts as hit.
    hit = sample.problem_child is not False
    bonus = PHASE_BONUS.get(sample.phase or "", 0.0) if hit else 0.0
    return min(1.0, base + bonus) if not math.isnan(base) else base
