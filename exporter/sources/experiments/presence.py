"""When each metric was counted in each arm: what is silent while its arm has traffic has no data, and holds nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Self

# What was counted before is missed once so many times its usual distance has passed, which is more than chance.
_DISTANCES: Final = 20.0


@dataclass(frozen=True, slots=True)
class MetricSilence:
    """A metric of which nothing is counted in an arm that has traffic.

    Attributes:
        arm: The arm; empty where it was never counted in any.
        since: When it was last counted, seconds since the epoch; None where it never was.
        until: From then on it has no data; before it may still come.
        missing: Whether that is over.
    """

    arm: str
    since: float | None
    until: float
    missing: bool

    @property
    def words(self) -> str:
        """Return it in words, which stay the same as long as it is silent."""
        if self.since is not None:
            return f"nothing was counted of {self.arm} since {_moment(self.since)}, though it has traffic"
        where, has = (f"of {self.arm}", "it has") if self.arm else ("in any arm", "they have")
        if self.missing:
            return f"nothing was ever counted {where}, though {has} traffic"
        return f"nothing was counted {where} so far; it has until {_moment(self.until)}"


@dataclass(slots=True)
class Presence:
    """Of one experiment: when its arms had traffic, and when its metrics were counted."""

    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)

    def add(self, end: float, exposed: Iterable[str], counted: Mapping[str, Iterable[str]]) -> None:
        """Add a batch.

        Args:
            end: Of the batch.
            exposed: The arms of which anything was counted.
            counted: By metric, the arms in which there were trials.
        """
        for arm in exposed:
            self.first.setdefault(arm, end)
            self.last[arm] = end
        for metric, arms in counted.items():
            seen = self.metrics.setdefault(metric, {})
            for arm in arms:
                seen[arm] = end

    def silence(self, metric: str, trials: Mapping[str, float], patience: float) -> MetricSilence | None:
        """Return the arm in which a metric is silent, the longest silence first; None where it is in none.

        Args:
            metric: Its name.
            trials: What was counted of it, by arm.
            patience: Seconds of traffic in which it has to be counted.
        """
        found = []
        seen = self.metrics.get(metric, {})
        for arm, first in self.first.items():
            since = seen.get(arm)
            until = first + patience
            if since is not None:
                usual = (since - first) / max(trials.get(arm, 0.0), 1.0)
                until = since + max(patience, _DISTANCES * usual)
            missing = self.last[arm] >= until
            if since is None or missing:
                found.append(MetricSilence(arm if seen else "", since, until, missing))
        return min(found, key=lambda each: (not each.missing, each.until), default=None)

    def dump(self) -> dict[str, Any]:
        """Return what `load` takes back, for JSON."""
        return {"first": self.first, "last": self.last, "metrics": self.metrics}

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> Self:
        """Return what was dumped."""
        return cls(
            dict(dumped["first"]), dict(dumped["last"]), {name: dict(seen) for name, seen in dumped["metrics"].items()}
        )


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
