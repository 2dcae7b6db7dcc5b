"""One experiment that is followed: what was read of it, and how that went."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ml_monitoring.exporter.database import Session
from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.sources.experiments.counters import Counters
from ml_monitoring.exporter.sources.experiments.declaration import ExperimentDeclaration
from ml_monitoring.exporter.sources.experiments.evidence import ExperimentEvidence
from ml_monitoring.exporter.sources.experiments.history import BatchHistory, Increments
from ml_monitoring.exporter.sources.experiments.judgement import Judgement
from ml_monitoring.exporter.sources.experiments.prometheus import ExperimentError, PrometheusApi
from ml_monitoring.exporter.sources.experiments.reading import CounterReader, complete_batches
from ml_monitoring.exporter.sources.experiments.sql import QueryReader

# An experiment that fails is tried again within so many seconds.
_LONGEST_PAUSE: Final = 600.0
# Sums of squares of what is this large can still be added, and multiplied with each other.
MOST_COUNTED: Final = 1e50


@dataclass(frozen=True, slots=True)
class Stores:
    """Where experiments are read, and how late what is there can be.

    Attributes:
        api: Prometheus.
        sessions: Databases by the names that experiments give; the one without a name is everybody else's.
        settle: How long after its end a batch of counters is read.
        late: How much later than their time rows may come.
    """

    api: PrometheusApi | None
    sessions: Mapping[str | None, Session]
    settle: float
    late: float


@dataclass(slots=True)
class TrackedExperiment:
    """The state of one experiment.

    Attributes:
        name: Of the experiment.
        declaration: What is declared of it.
        history: What was read so far.
        evidence: What the inference keeps of it.
        counters: The state of its series there.
        error: Why the last attempt failed; empty when it did not.
        succeeded: When it could last be read, seconds since the epoch; None before.
        judgement: What follows from what was read; None while there is more to read.
        saved: At how many batches it was written into the cache.
    """

    name: str
    declaration: ExperimentDeclaration
    history: BatchHistory
    evidence: ExperimentEvidence
    counters: Counters = field(default_factory=Counters)
    error: str = ""
    succeeded: float | None = None
    judgement: Judgement | None = None
    saved: int = 0
    _failures: int = 0
    _retry: float = 0.0
    _reader: CounterReader | QueryReader | None = None

    @classmethod
    def of(cls, name: str, declaration: ExperimentDeclaration) -> TrackedExperiment:
        """Begin to follow an experiment of which nothing was read."""
        history = BatchHistory(declaration.start.timestamp(), declaration.step)
        return cls(name, declaration, history, ExperimentEvidence(declaration))

    def running(self, now: float) -> bool:
        """Tell whether it has begun and was not stopped."""
        stopped = self.declaration.stopped
        return self.history.start <= now and (stopped is None or now < stopped.timestamp())

    def due(self, stores: Stores, now: float) -> bool:
        """Tell whether there is something to read, and it is time to try."""
        if self.judgement is None and self.history.start <= now and now >= self._retry:
            return True
        return now >= self._retry and complete_batches(self.history, self._until(stores, now)) > 0

    def read(self, stores: Stores, now: float, deadline: float) -> bool:
        """Read what is new, until a moment of the monotonic clock; return whether there is more.

        Raises:
            SourceError: It could not be read.
        """
        until = self._until(stores, now)
        try:
            while more := self._advance(stores, until):
                if time.monotonic() > deadline:
                    break
        except SourceError as error:
            # A store that is down is everybody's, and the source's own back-off.
            self.fail(error, now, pause=isinstance(error, ExperimentError))
            raise
        self.error = ""
        self.succeeded = now
        self._failures = 0
        self.judgement = None if more else self._judged(now)
        return more

    def _judged(self, now: float) -> Judgement:
        try:
            return self.evidence.judge(self.history)
        except (ArithmeticError, ValueError) as error:
            # Of one experiment, whatever it counts: others are judged all the same.
            problem = ExperimentError(Reason.INVALID_VALUE, f"its counts cannot be judged: {error}")
            self.fail(problem, now, pause=True)
            raise problem from error

    def fail(self, error: SourceError, now: float, *, pause: bool) -> None:
        """Note that it could not be read; with a pause it is not tried again at once."""
        self.error = f"{error} ({error.hint})" if error.hint else str(error)
        if not pause:
            return
        self._failures += 1
        self._retry = now + min(_LONGEST_PAUSE, 15.0 * 2.0 ** min(self._failures, 10))

    def redeclare(self, declaration: ExperimentDeclaration) -> None:
        """Take what was declared otherwise, though the same is read."""
        self.declaration = declaration
        self.evidence = ExperimentEvidence.load(declaration, self.evidence.dump())
        self.judgement = None
        self._reader = None
        self._retry = 0.0

    def _advance(self, stores: Stores, until: float) -> bool:
        if self.declaration.by_query:
            if not isinstance(self._reader, QueryReader):
                self._reader = QueryReader(self.declaration, self.history, self._append)
            return self._reader.advance(stores.sessions[self.declaration.database], until)
        if not isinstance(self._reader, CounterReader):
            self._reader = CounterReader(self.declaration, self.history, self.counters, self._append)
        assert stores.api is not None  # noqa: S101  # the settings were checked for it
        return self._reader.advance(stores.api, until)

    def _append(self, increments: Increments) -> None:
        end = self.history.end
        for counter, amount in increments.items():
            if not abs(amount) < MOST_COUNTED:
                raise ExperimentError(
                    Reason.INVALID_VALUE, f"{counter.what} of {counter.arm}: {amount:g} in one batch cannot be counted"
                )
        self.evidence.add(end, end + self.history.step, increments)
        self.history.append(increments)

    def _until(self, stores: Stores, now: float) -> float:
        until = now - (stores.late if self.declaration.by_query else stores.settle)
        stopped = self.declaration.stopped
        # What is counted at the very moment when it is stopped is in the batch that this moment is in.
        return until if stopped is None else min(until, stopped.timestamp() + self.history.step)
