"""May an experiment go on? What a rollout's controller or a CI job asks.

An experiment may go on unless something speaks against it: a guardrail is breached, a goal is worse, the split is not
as declared. Without numbers, or with old ones, nothing may go on: what is not known is not well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from ml_monitoring.exporter.sources.experiments.judgement import Decision
from ml_monitoring.exporter.sources.experiments.tracked import TrackedExperiment

# What may be asked for besides: that a winner is found, or that there is any decision.
REQUIREMENTS: Final = ("", "better", "decided")


class GateAnswer(StrEnum):
    """What a gate says."""

    GO_ON = "go on"
    STOP = "stop"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Gate:
    """What one experiment says of going on.

    Attributes:
        experiment: Its name.
        answer: What it says.
        decision: The decision in force.
        arm: The arm that this is about; empty where it is about all.
        reason: Why, in words.
        caveats: What the data cannot tell.
        read: Until when everything is counted, seconds since the epoch; None before anything is.
        valid_until: The answer is unknown from then on, unless there is a newer one.
    """

    experiment: str
    answer: GateAnswer
    decision: Decision
    arm: str
    reason: str
    caveats: tuple[str, ...]
    read: float | None
    valid_until: float

    def at(self, now: float) -> Gate:
        """Return the answer at a moment."""
        if now <= self.valid_until:
            return self
        return replace(self, answer=GateAnswer.UNKNOWN, decision=Decision.UNKNOWN, reason="its numbers are too old")

    def requiring(self, requirement: str) -> Gate:
        """Return the answer where a promotion asks for more than that nothing speaks against it."""
        if self.answer is not GateAnswer.GO_ON or not requirement or self.decision is Decision.BETTER:
            return self
        if requirement == "decided" and self.decision.is_final:
            return self
        return replace(self, answer=GateAnswer.UNKNOWN, reason=f"not {requirement} yet: {self.reason}")

    @property
    def document(self) -> dict[str, Any]:
        """Return the answer as it is sent: `proceed` for programs, `decision` and `reason` for people."""
        return {
            "experiment": self.experiment,
            "proceed": self.answer is GateAnswer.GO_ON,
            "answer": self.answer,
            "decision": self.decision,
            "arm": self.arm,
            "reason": self.reason,
            "caveats": list(self.caveats),
            "read_timestamp_seconds": self.read,
        }


def gate_of(tracked: TrackedExperiment, now: float, staleness: float) -> Gate:
    """Return what an experiment says at present.

    Args:
        tracked: The experiment.
        now: Seconds since the epoch.
        staleness: Seconds after which numbers are too old, beyond the length of a batch.
    """
    history, judgement = tracked.history, tracked.judgement
    read = history.end if history.batches else None
    if history.start > now:
        # Asked again when the source was read again, which is at each interval.
        return Gate(tracked.name, GateAnswer.UNKNOWN, Decision.PLANNED, "", "it has not begun", (), None, float("inf"))
    if judgement is None:
        reason = tracked.error or "its counts are being read"
        return Gate(tracked.name, GateAnswer.UNKNOWN, Decision.UNKNOWN, "", reason, (), read, float("inf"))
    answer = {True: GateAnswer.GO_ON, False: GateAnswer.STOP, None: GateAnswer.UNKNOWN}[judgement.proceeds]
    # A new batch is there after its length, and then has to be read.
    ends = tracked.declaration.stopped is not None
    valid = float("inf") if ends else (tracked.succeeded or 0.0) + history.step + staleness
    return Gate(
        tracked.name, answer, judgement.decision, judgement.arm, judgement.reason, judgement.caveats, read, valid
    )
