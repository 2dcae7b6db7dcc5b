"""Runs the sources: a thread, an interval, a timeout and a back-off each.

Sources raise, the runner judges. It times each refresh, publishes its snapshot, counts and logs failures, breaks off
what takes too long, and withdraws the series of a source that has failed for longer than its staleness limit, so that
Prometheus marks them stale instead of drawing a flat lie. One broken source never touches another.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ml_monitoring.exporter.clock import SystemClock
from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.logs import event
from ml_monitoring.exporter.snapshot import Renderer, Snapshot, SnapshotStore
from ml_monitoring.exporter.sources import SOURCES
from ml_monitoring.exporter.sources.base import Source, SourceSettings
from ml_monitoring.exporter.sources.defects import call, create
from ml_monitoring.exporter.status import ReloadStatus, SelfMetrics, SourceStatus
from ml_monitoring.exporter.stores import kind_of, labels_of, spelled

_log = logging.getLogger(__name__)

# After an outage a source is back within this long even when it failed many times.
MAX_BACKOFF = 60.0
# At most ten refreshes a second, and at most half of the time spent on them, however often a source asks for one.
MIN_SPACING = 0.1
_SELF = "exporter"
_WATCH_INTERVAL = 0.25
# How late a refresh may be on a busy machine.
_GRACE = 2.0
_SELF_METRICS_INTERVAL = 5.0
_CLOSE_TIMEOUT = 5.0


def backoff(interval: float, failures: int) -> float:
    """Return seconds to wait after so many failures in a row.

    Doubles from the interval up to `MAX_BACKOFF` (or the interval, when that is longer), with up to a fifth of jitter
    so that exporters that lost the same database do not come back at the same moment.
    """
    ceiling = max(interval, MAX_BACKOFF)
    delay = min(ceiling, interval * 2.0 ** min(failures - 1, 32))
    return delay * random.uniform(0.8, 1.0)  # noqa: S311  # jitter, not a secret


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A refresh under way."""

    started: float
    timed_out: bool = False


class SourceRunner:
    """Refreshes one source on a thread of its own."""

    def __init__(self, name: str, source: Source, settings: SourceSettings, runner: Runner) -> None:
        self.name = name
        self.source = source
        self.settings = settings
        self.status = SourceStatus(name=name, interval=settings.interval)
        self._runner = runner
        self._clock = runner.clock
        self.attempted = self._clock.event()
        self._stopping = self._clock.event()
        self._wake = self._clock.event()
        # The watcher and the source's own thread must not both judge the same refresh.
        self._judging = threading.Lock()
        self._attempt: _Attempt | None = None
        self._failures = 0
        self._failing_since: float | None = None
        self._judged = self._clock.monotonic()
        self._logged_problems: frozenset[str] = frozenset()
        self._renderer = Renderer({} if source.are_named else labels_of(name))
        self._thread = threading.Thread(target=self._run, name=f"source-{name}", daemon=True)

    def start(self) -> None:
        """Begin to refresh."""
        call(self.name, self.source.start, self._wake.set)
        self._thread.start()

    def stop(self) -> None:
        """End: breaks a running refresh off and waits a little for the thread."""
        self._stopping.set()
        self._wake.set()
        call(self.name, self.source.abort)
        self._thread.join(_CLOSE_TIMEOUT)
        call(self.name, self.source.close)

    @property
    def _limit(self) -> tuple[str, float]:
        return self.source.time_limit or ("timeout", self.settings.timeout)

    def overdue(self, now: float) -> bool:
        """Tell whether its numbers are older than it can be up for: the process stood still, as a frozen one does."""
        _setting, limit = self._limit
        return self.status.up is True and now > self._judged + self.settings.interval + limit + _GRACE

    def watch(self, now: float) -> None:
        """Break off a refresh that is over its time, and withdraw series that are too old; called by the watcher."""
        setting, limit = self._limit
        with self._judging:
            attempt = self._attempt
            too_long = attempt is not None and not attempt.timed_out and now > attempt.started + limit
            if attempt is not None and too_long:
                self._attempt = replace(attempt, timed_out=True)
                hint = f"if it needs more, raise sources.{kind_of(self.name)}.{setting}"
                self._fail(SourceError(Reason.TIMEOUT, f"refresh took longer than {limit:g} s", hint=hint))
            elif self.overdue(now):
                late = now - self._judged
                self._fail(SourceError(Reason.TIMEOUT, f"no refresh for {late:.0f} s: the process stood still"))
        if too_long:
            call(self.name, self.source.abort)
        since = self._failing_since
        if self.status.series and since is not None and now - since > self.settings.staleness_limit:
            self.status.series = 0
            self._runner.publish_source(self, None)
            event(_log, logging.WARNING, "series withdrawn", source=self.name, failing_s=round(now - since, 1))

    def _run(self) -> None:
        while not self._stopping.is_set():
            started = self._clock.monotonic()
            succeeded = self._refresh(started)
            ended = self._clock.monotonic()
            self._failures = 0 if succeeded else self._failures + 1
            if succeeded:
                delay = self.settings.interval - (ended - started)
            else:
                delay = backoff(self.settings.interval, self._failures)
            if self._clock.wait(self._wake, max(0.0, delay)):
                # A source that hears of every change must not be read all the time.
                pause = max(MIN_SPACING, min(2 * (ended - started), self.settings.interval))
                self._clock.wait(self._stopping, max(0.0, started + pause - self._clock.monotonic()))
            self._wake.clear()

    def _refresh(self, started: float) -> bool:
        self._attempt = _Attempt(started)
        failure: SourceError | None = None
        families: FamilySet | None = None
        try:
            families = self.source.collect()
            if not isinstance(families, FamilySet):
                raise TypeError(f"collect() must return a FamilySet, and returned {families!r:.100}")
            snapshot = self._renderer.render(families)
        except SourceError as error:
            failure = error
        except Exception as error:  # noqa: BLE001  # a defect in one source must not end its thread
            _log.exception("defect in source", extra={"fields": {"source": self.name}})
            failure = SourceError(Reason.INTERNAL, f"{type(error).__name__}: {error}", hint="this is a defect")
        with self._judging:
            timed_out = self._attempt.timed_out
            self._attempt = None
            if self._stopping.is_set():
                return True
            self.status.observe_refresh(self._clock.monotonic() - started)
            # A refresh that was broken off has been judged by the watcher.
            if timed_out:
                return False
            if failure is not None or families is None:
                self._fail(failure or SourceError(Reason.INTERNAL, "no families"))
                return False
            self._succeed(families, snapshot)
            return True

    def _succeed(self, families: FamilySet, snapshot: Snapshot) -> None:
        status = self.status
        if status.up is not True:
            event(_log, logging.INFO, "source up", source=status.name, series=snapshot.series)
        self._failing_since = None
        self._judged = self._clock.monotonic()
        status.up = True
        status.error = ""
        status.notes = tuple(families.notes)
        status.last_success = self._clock.now()
        status.series = snapshot.series
        for problem in families.problems:
            status.errors[problem.reason] += 1
        self._note_problems(families)
        self._runner.publish_source(self, snapshot)

    def _note_problems(self, families: FamilySet) -> None:
        """Log what was left out, once for as long as it stays the same."""
        problems = {problem.message for problem in families.problems}
        for family in families:
            if family.dropped:
                self.status.dropped[family.metric.name] += family.dropped
                problems.add(f"{family.metric.name} is over max_series ({self.settings.max_series}) or a narrower cap")
        notes = set(families.notes)
        for message in sorted(problems - self._logged_problems):
            event(_log, logging.WARNING, "left out", source=self.status.name, problem=message)
        for message in sorted(notes - self._logged_problems):
            event(_log, logging.INFO, "to be known", source=self.status.name, note=message)
        self._logged_problems = frozenset(problems | notes)

    def _fail(self, failure: SourceError) -> None:
        status = self.status
        text = spelled(f"{failure} ({failure.hint})" if failure.hint else str(failure), self.name)
        # The same error each interval is one line in the log, not thousands.
        if text != status.error:
            event(_log, logging.ERROR, "source failed", source=status.name, reason=failure.reason, error=text)
        if self._failing_since is None:
            self._failing_since = self._clock.monotonic()
        self._judged = self._clock.monotonic()
        status.up = False
        status.error = status.last_problem = text
        status.last_failure = self._clock.now()
        status.errors[failure.reason] += 1
        self._runner.publish_self()
        self.attempted.set()


class Runner:
    """All sources, and the store that their snapshots are published in.

    Args:
        settings: The settings of each source to run, by its name: its kind, or `kind/store`.
        sources: The kinds of sources there are.
        clock: Tells the time and waits.
    """

    def __init__(
        self,
        settings: Mapping[str, SourceSettings],
        *,
        sources: Sequence[type[Source]] = SOURCES,
        clock: SystemClock | None = None,
    ) -> None:
        self.clock = clock or SystemClock()
        self._kinds = {source.name: source for source in sources}
        self.snapshots = SnapshotStore()
        self._reload = ReloadStatus(last_success=self.clock.now())
        self._lock = threading.RLock()
        self._self_metrics = SelfMetrics()
        self._stopping = self.clock.event()
        self._runners: dict[str, SourceRunner] = {}
        self._watcher = threading.Thread(target=self._watch, name="watcher", daemon=True)
        self._create(settings)

    @property
    def statuses(self) -> list[SourceStatus]:
        """Return the state of each source, by name."""
        return [runner.status for _name, runner in sorted(self._runners.items())]

    @property
    def ready(self) -> bool:
        """Tell whether each source has been tried once."""
        return all(runner.attempted.is_set() for runner in self._runners.values())

    @property
    def stood_still(self) -> bool:
        """Tell whether a source that is up has numbers that are too old for that, until the watcher has seen it."""
        now = self.clock.monotonic()
        return any(runner.overdue(now) for runner in tuple(self._runners.values()))

    def wait_until_ready(self, timeout: float) -> bool:
        """Wait until each source has been tried once; return whether that was within so many seconds."""
        deadline = self.clock.monotonic() + timeout
        events = [runner.attempted for runner in self._runners.values()]
        return all(self.clock.wait(event, max(0.0, deadline - self.clock.monotonic())) for event in events)

    def start(self) -> None:
        """Begin to refresh all sources."""
        self.publish_self()
        for runner in self._runners.values():
            runner.start()
        self._watcher.start()

    def stop(self) -> None:
        """End all threads."""
        self._stopping.set()
        # Side by side: each may wait for its network.
        stopping = [threading.Thread(target=runner.stop, daemon=True) for runner in self._runners.values()]
        for thread in stopping:
            thread.start()
        deadline = self.clock.monotonic() + _CLOSE_TIMEOUT
        for thread in (*stopping, self._watcher):
            thread.join(max(0.0, deadline - self.clock.monotonic()))

    def reconfigure(self, settings: Mapping[str, SourceSettings]) -> None:
        """Replace the sources whose settings changed; the others go on undisturbed."""
        changed = [name for name, runner in self._runners.items() if settings.get(name) != runner.settings]
        for name in changed:
            self._runners.pop(name).stop()
        if changed:
            self.snapshots.publish(**dict.fromkeys(changed))
        for runner in self._create({name: value for name, value in settings.items() if name not in self._runners}):
            runner.start()
        self.publish_self()

    def reset(self, name: str) -> bool:
        """Let a source begin again; False when there is no such source, or it has no beginning to go back to."""
        runner = self._runners.get(name)
        return runner is not None and runner.source.reset()

    def sources(self, kind: str) -> dict[str, Source]:
        """Return the sources of a kind by what they are called: the kind, or with the store's name behind it."""
        return {name: each.source for name, each in sorted(self._runners.items()) if kind_of(name) == kind}

    def note_reload(self, *, successful: bool) -> None:
        """Expose whether the settings file was usable."""
        self._reload.successful = successful
        if successful:
            self._reload.last_success = self.clock.now()
        self.publish_self()

    def note_web_config(self, *, usable: bool) -> None:
        """Expose whether `web.config_file` and its certificates are usable."""
        if self._reload.web_usable is not usable:
            self._reload.web_usable = usable
            self.publish_self()

    def publish_source(self, runner: SourceRunner, snapshot: Snapshot | None) -> None:
        """Publish a source's snapshot (None withdraws it) and the metrics about it in one step."""
        with self._lock:
            # A refresh that ends after its source was replaced has nothing to say.
            if self._runners.get(runner.name) is not runner:
                return
            own = self._self_metrics.render(self.statuses, self._reload)
            self.snapshots.publish(**{runner.name: snapshot, _SELF: own})
        runner.attempted.set()

    def publish_self(self) -> None:
        """Publish the exporter's own metrics."""
        with self._lock:
            self.snapshots.publish(**{_SELF: self._self_metrics.render(self.statuses, self._reload)})

    def _create(self, settings: Mapping[str, SourceSettings]) -> list[SourceRunner]:
        created = [
            SourceRunner(name, create(self._kinds[kind_of(name)], section), section, self)
            for name, section in settings.items()
        ]
        with self._lock:
            self._runners.update({runner.name: runner for runner in created})
        return created

    def _watch(self) -> None:
        published = self.clock.monotonic()
        while not self.clock.wait(self._stopping, _WATCH_INTERVAL):
            now = self.clock.monotonic()
            for runner in tuple(self._runners.values()):
                runner.watch(now)
            if now - published > _SELF_METRICS_INTERVAL:
                published = now
                self.publish_self()
