"""Risk: how close each server is to failing, and how likely the fleet has an incident.

**The built-in score.** Each of five measurements becomes a danger between 0 (the profile's normal, or better) and 1:

| measurement | danger is 1 at          | weight |
|-------------|-------------------------|--------|
| cpu         | 90 % in use             | 0.45   |
| memory      | 95 % in use             | 0.30   |
| latency     | five times the normal   | 0.50   |
| error       | normal plus 10 points   | 0.60   |
| gc_pause    | ten times the normal    | 0.25   |

in a straight line in between. They are joined as if each could bring the server down by itself,
`base = 1 - product(1 - weight * danger)`, so that one extreme measurement weighs, and several weigh more. When the file
has a phase column, a server that is marked as a problem child (any server, when no column marks them) gets 0.4 in
`escalation` and 0.7 in `peak` on top, `risk = min(1, base + bonus)`. A server that is offline has risk 1. A server
without any measurement has no score.

**Normal** is the median of a profile's calm servers (base below 0.3, online), averaged over the past with a half-life
of one hour of the file's time; or what the settings say. CPU above 70 %, memory above 85 % and more than 5 % errors are
never taken for normal.

**The incident probability** is `1 - product(1 - c)` with `c = 0.5 * max(0, (risk - 0.3) / 0.7) ** 2` for each server:
calm servers add nothing however many they are, one server alone is at most an even chance, and no server's risk can
rise without the probability rising or staying.

**Another model** is an object with `score`, made by a callable that a package gives in the entry-point group
`ml_monitoring.risk_models`; `examples/` holds one. It replaces the score, not the probability.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import entry_points
from statistics import median
from typing import Any, Final, NamedTuple, Protocol

GROUP: Final = "ml_monitoring.risk_models"
BUILTIN: Final = "builtin"
CALM: Final = 0.3
HALF_LIFE: Final = 3600.0
PHASE_BONUS: Final = {"escalation": 0.4, "peak": 0.7}
# One server alone is at most an even chance: it takes several for an incident of the fleet.
_ALONE = 0.5
_OFFLINE = "offline"


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
    """One measurement: its weight, where its danger is 1 (limit, times or plus normal), and what cannot be normal."""

    name: str
    weight: float
    limit: float = 0.0
    times: float = 0.0
    plus: float = 0.0
    highest_normal: float = math.inf

    def danger(self, value: float, normal: float) -> float:
        full = self.limit or (normal * self.times if self.times else normal + self.plus)
        if full <= normal:
            # A normal of zero, of which no multiple says anything.
            return 0.0
        return min(1.0, max(0.0, (value - normal) / (full - normal)))


MEASURES = (
    _Measure("cpu", 0.45, limit=0.90, highest_normal=0.70),
    _Measure("memory", 0.30, limit=0.95, highest_normal=0.85),
    _Measure("latency", 0.50, times=5.0),
    _Measure("error", 0.60, plus=0.10, highest_normal=0.05),
    _Measure("gc_pause", 0.25, times=10.0),
)
_BY_NAME = {measure.name: measure for measure in MEASURES}


@dataclass(slots=True)
class _Normal:
    """What is normal for a profile, and in how many refreshes it was seen."""

    values: dict[str, float] = field(default_factory=dict)
    seen: int = 0
    at: float = -math.inf


# Names of profiles that come and go are forgotten.
_MOST_PROFILES = 10_000


class BuiltinRisk:
    """The documented score; learns what is normal while it scores.

    Args:
        normals: What is normal by profile and measurement, in base units; these are not learned.
    """

    def __init__(self, normals: Mapping[str, Mapping[str, float]] | None = None) -> None:
        self._given = normals or {}
        self._learned: dict[str, _Normal] = {}

    def score(self, samples: Sequence[Sample]) -> list[float]:
        """Return the risk of each server; NaN for one without any measurement."""
        by_profile: dict[str, list[Sample]] = defaultdict(list)
        for sample in samples:
            by_profile[sample.profile].append(sample)
        if len(self._learned) > _MOST_PROFILES:
            self._learned = {name: normal for name, normal in self._learned.items() if name in by_profile}
        for profile, members in by_profile.items():
            if profile not in self._learned:
                # Nothing is known yet: the middle of what is there has to do.
                self._learned[profile] = _Normal(_medians(members))
        bases = [self._base(sample) for sample in samples]
        for profile, members in by_profile.items():
            self._learn(profile, members)
        return [_with_bonus(sample, base) for sample, base in zip(samples, bases, strict=True)]

    def normal(self, profile: str) -> dict[str, float]:
        """Return what counts as normal for a profile at present, in base units."""
        learned = self._learned.get(profile, _Normal()).values
        return {**learned, **self._given.get(profile, {})}

    def _base(self, sample: Sample) -> float:
        if sample.state == _OFFLINE:
            return 1.0
        normal = self.normal(sample.profile)
        safe = 1.0
        measured = False
        for measure in MEASURES:
            value = getattr(sample, measure.name)
            if value is not None and measure.name in normal:
                measured = True
                safe *= 1.0 - measure.weight * measure.danger(value, normal[measure.name])
        return 1.0 - safe if measured else math.nan

    def _learn(self, profile: str, members: list[Sample]) -> None:
        normal = self._learned[profile]
        newest = max(sample.timestamp for sample in members)
        calm = [sample for sample in members if sample.state in (None, "online") and self._base(sample) < CALM]
        # A refresh that brought no new rows teaches nothing.
        if not calm or newest <= normal.at:
            return
        # At first a plain average, so that one noisy moment does not count for an hour.
        elapsed = newest - normal.at
        weight = max(1.0 - 2.0 ** (-elapsed / HALF_LIFE), 1.0 / (normal.seen + 1)) if normal.seen else 1.0
        for name, value in _medians(calm).items():
            old = normal.values.get(name, value)
            normal.values[name] = old + weight * (value - old)
        normal.seen += 1
        normal.at = newest


def incident_probability(risks: Iterable[float]) -> float:
    """Return how likely the fleet has an incident, from the scores of its servers; NaN is left out."""
    calm = 1.0
    for risk in risks:
        if not math.isnan(risk):
            calm *= 1.0 - _ALONE * max(0.0, (min(risk, 1.0) - CALM) / (1.0 - CALM)) ** 2
    return 1.0 - calm


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


def _medians(samples: Iterable[Sample]) -> dict[str, float]:
    values: dict[str, list[float]] = defaultdict(list)
    for sample in samples:
        for measure in MEASURES:
            value = getattr(sample, measure.name)
            if value is not None:
                values[measure.name].append(value)
    return {name: min(median(found), _BY_NAME[name].highest_normal) for name, found in values.items()}


def _with_bonus(sample: Sample, base: float) -> float:
    # Without a column that marks them, every server of the phase counts as hit.
    hit = sample.problem_child is not False
    bonus = PHASE_BONUS.get(sample.phase or "", 0.0) if hit else 0.0
    return min(1.0, base + bonus) if not math.isnan(base) else base
