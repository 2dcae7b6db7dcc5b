"""Metrics of a fleet of servers from a CSV or Parquet file: an incident replayed, or a production file followed.

`columns` says what a row is, `csv` and `parquet` read files in blocks, `bulk` is the fast way for large blocks, `state`
keeps the newest row of each server, `replay` and `follow` decide which rows count now, `exporter.risk` scores them.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator
from typing_extensions import override

from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.risk import (
    BUILTIN,
    MEASURES,
    TROUBLE,
    Failure,
    Sample,
    Scorer,
    incident_probability,
    installed_models,
)
from ml_monitoring.exporter.sources.base import Source, SourceSettings
from ml_monitoring.exporter.sources.fleet import positions
from ml_monitoring.exporter.sources.fleet.columns import STATES, Columns, Layout, RowOutcome
from ml_monitoring.exporter.sources.fleet.feed import Feed
from ml_monitoring.exporter.sources.fleet.follow import Follow, Start
from ml_monitoring.exporter.sources.fleet.replay import AtEnd, Replay
from ml_monitoring.exporter.sources.fleet.state import FleetState
from ml_monitoring.exporter.suggestions import suggestion_or_all
from ml_monitoring.exporter.value_hints import share_hint
from ml_monitoring.exporter.values import Duration, Model, PathUse, Zone, refuse

# The phases of the requirements; others are exposed once they were seen.
PHASES = ("escalation", "peak", "recovery", "stable")
# What is behind takes several refreshes, so that series appear before all was read.
_BUDGET = 0.5
_CHECK_TIME = 1.0
_LEAST_SERVERS = 5_000
_GAUGES = (
    ("fleet_server_cpu_utilization_ratio", "cpu"),
    ("fleet_server_memory_utilization_ratio", "memory"),
    ("fleet_server_latency_seconds", "latency"),
    ("fleet_server_error_ratio", "error"),
    ("fleet_server_disk_io_bytes_per_second", "disk_io"),
    ("fleet_server_network_receive_bytes_per_second", "network_receive"),
    ("fleet_server_network_transmit_bytes_per_second", "network_transmit"),
    ("fleet_server_gc_pause_seconds", "gc_pause"),
)
# A normal time above it is rather one in milliseconds.
_LONG_SECONDS = 10.0
_Base = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _installed(value: str) -> str:
    if value not in (names := installed_models()):
        raise ValueError(f"no such risk model is installed{suggestion_or_all(value, names)}")
    return value


def _known_measures(value: dict[str, float]) -> dict[str, float]:
    known = [measure.name for measure in MEASURES]
    if unknown := sorted(value.keys() - set(known)):
        raise ValueError(", ".join(f"{name}: no such measure{suggestion_or_all(name, known)}" for name in unknown))
    refuse(
        f"{name}: must be at most 1{share_hint(f'{value[name]:g} %') if value[name] <= 100 else ''}"
        for name in (measure.name for measure in MEASURES if measure.is_ratio)
        if value.get(name, 0.0) > 1
    )
    return value


def _long_normals(normals: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return notes about normal times that are rather of another unit."""
    times = [measure.name for measure in MEASURES if measure.in_seconds]
    return [
        f"sources.fleet.risk.normals.{profile}.{name} is {given[name]:g}: seconds are meant"
        for profile, given in normals.items()
        for name in times
        if given.get(name, 0.0) > _LONG_SECONDS
    ]


def _known_states(value: dict[str, str]) -> dict[str, str]:
    if unknown := sorted(set(value.values()) - set(STATES)):
        turned = next((word for word, state in value.items() if state in unknown and word in STATES), "")
        hint = f"; the file's word stands first: `{value[turned]}: {turned}`" if turned else ""
        raise ValueError(f"{', '.join(unknown)}: not one of {', '.join(STATES)}{hint}")
    return value


class RiskSettings(Model):
    """How risk is scored.

    Attributes:
        model: `builtin`, or the name of an entry point of the group `ml_monitoring.risk_models`.
        options: Keyword arguments for that model.
        normals: What is normal by profile and measurement, in base units; the rest is learned.
    """

    model: Annotated[str, AfterValidator(_installed)] = BUILTIN
    options: dict[str, Any] = Field(default_factory=dict)
    normals: dict[str, Annotated[dict[str, _Base], AfterValidator(_known_measures)]] = Field(default_factory=dict)


def _unread_options(risk: RiskSettings) -> list[str]:
    """Return a note where the model of risk takes no options."""
    if not risk.options or risk.model != BUILTIN:
        return []
    return [f"sources.fleet.risk.options has no effect: {BUILTIN} takes none"]


class FleetSettings(SourceSettings):
    """Settings of the `fleet` source.

    Attributes:
        path: A CSV or Parquet file; in mode `follow` a folder of such files too.
        mode: `replay` maps a finished file's time to wall time; `follow` reads what is new.
        speed: Replay: seconds of file time a second.
        at_end: Replay: `loop` begins again, `hold` keeps the last moment, `stop` shows no more servers.
        start: Follow: whether what is there at the first look counts.
        position_file: Follow: where the position is kept, so that a restart goes on from it.
        columns: Names and units of the file's columns where they differ from ours.
        states: The file's words for the four states where they differ from ours.
        timezone: Time zone of timestamps that give none.
        decimal: Decimal mark of numbers.
        server_timeout: A server that is this far behind the newest row, in file time, is no longer shown.
        risk: How risk is scored.
    """

    interval: Duration = 5.0
    max_series: Annotated[int, Field(ge=1)] = 50_000
    path: Annotated[Path, PathUse.OWN, Field(examples=["/srv/fleet.csv"])]
    mode: Literal["replay", "follow"] = "follow"
    speed: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    at_end: AtEnd = "loop"
    start: Start = "beginning"
    position_file: Annotated[Path | None, PathUse.WRITTEN_FILE] = None
    columns: Columns = Field(default_factory=dict)
    states: Annotated[dict[str, str], AfterValidator(_known_states)] = Field(default_factory=dict)
    timezone: Zone = "UTC"
    decimal: Literal[".", ","] = "."
    server_timeout: Duration = 60.0
    risk: RiskSettings = RiskSettings()

    @model_validator(mode="after")
    def _fits_mode(self) -> FleetSettings:
        foreign = {"replay": ("start", "position_file"), "follow": ("speed", "at_end")}[self.mode]
        if given := [name for name in foreign if name in self.model_fields_set]:
            raise ValueError(f"{', '.join(given)}: has no meaning in mode {self.mode}")
        # Also by another name of the same file.
        if self.position_file is not None and self.position_file.resolve() == self.path.resolve():
            raise ValueError("position_file: is the file that is read: name another one, which need not be there")
        return self


class FleetSource(Source):
    """Reads one fleet file or folder.

    Args:
        settings: What to read, and how.
        clock: Wall time that replay goes by.
        today: The time of day, which rows of a followed file cannot be ahead of.
    """

    name: ClassVar[str] = "fleet"
    Settings: ClassVar[type[SourceSettings]] = FleetSettings

    def __init__(
        self,
        settings: FleetSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        # Four series of each are as many as may be shown; of a few more the riskiest are.
        most = max(_LEAST_SERVERS, settings.max_series // len(STATES))
        self._state = FleetState(settings.server_timeout, most_servers=most)
        self._scorer = Scorer(settings.risk.model, settings.risk.options, settings.risk.normals)
        self._aborted = threading.Event()
        self._reset_wanted = threading.Event()
        self._wake: Callable[[], None] = lambda: None
        layout = Layout.of(
            settings.columns, timezone=settings.timezone, decimal=settings.decimal, states=settings.states
        )
        self._feed: Feed
        if settings.mode == "replay":
            self._feed = Replay(
                settings.path, layout, self._state, speed=settings.speed, at_end=settings.at_end, clock=clock
            )
        else:
            self._feed = Follow(
                settings.path,
                layout,
                self._state,
                start=settings.start,
                clock=today,
                position_file=settings.position_file,
            )

    @override
    def start(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    @override
    def reset(self) -> bool:
        """Begin again at the file's beginning, at once; may be called from any thread."""
        self._reset_wanted.set()
        self._wake()
        return True

    @override
    def abort(self) -> None:
        """Break off reading at the next block."""
        self._aborted.set()

    @override
    def close(self) -> None:
        self._feed.close()

    @override
    def collect(self) -> FamilySet:
        """Read what is new and describe the fleet as it is now."""
        self._aborted.clear()
        if self._reset_wanted.is_set():
            self._reset_wanted.clear()
            self._feed.reset()
            self._state.clear()
            self._scorer.reset()
        if not self._feed.advance(self._steps(self._settings.timeout * _BUDGET)):
            self._wake()
        return self._families()

    @override
    def check(self) -> str:
        """Read the beginning and tell what it is."""
        # With a reader of its own, so that neither positions nor counts change.
        positions.load(self._settings.position_file, self._settings.path)
        settings = self._settings.model_copy(update={"position_file": None, "start": "beginning"})
        probe = FleetSource(settings)
        try:
            probe._feed.advance(self._steps(_CHECK_TIME))
            state = probe._state
        finally:
            probe.close()
        found = f"{len(state.servers())} servers" if state.rows else "no row yet"
        text = "; ".join(
            [
                f"{settings.path}, mode {settings.mode}: {found}",
                *_long_normals(settings.risk.normals),
                *_unread_options(settings.risk),
                *probe._feed.notes,
            ]
        )
        bad = Counter({outcome: rows for outcome, rows in state.rows.items() if outcome is not RowOutcome.OK})
        if over := bad.pop(RowOutcome.OVER_LIMIT, 0):
            text += f"; {over} rows of more servers than max_series allows"
        if not bad:
            return text
        reasons = ", ".join(f"{rows} {outcome.replace('_', ' ')}" for outcome, rows in bad.most_common())
        text += f"; {bad.total()} of {state.rows.total()} rows cannot be used ({reasons}), "
        text += f"first {state.take_problems()[0][1]}"
        if bad.total() > state.rows[RowOutcome.OK] + over:
            raise SourceError(Reason.INVALID_VALUE, text, setting=("path",))
        return text

    def _steps(self, seconds: float) -> Callable[[], bool]:
        """Allow steps of reading for some time, and one at least, so that listing a large folder cannot take it all."""
        deadline = time.monotonic() + seconds
        begun = False

        def go_on() -> bool:
            nonlocal begun
            first, begun = not begun, True
            return (first or time.monotonic() < deadline) and not self._aborted.is_set()

        return go_on

    def _families(self) -> FamilySet:
        families = FamilySet(self.name, max_series=self._settings.max_series)
        samples = [] if self._feed.ended else self._state.servers()
        risks = self._scorer.score(samples)
        if len(samples) * len(STATES) > self._settings.max_series:
            # When a cap cuts, it is to cut what is calm.
            order = sorted(range(len(samples)), key=lambda index: (-_rank(risks[index]), samples[index].server))
            samples, risks = [samples[index] for index in order], [risks[index] for index in order]
        self._add_servers(families, samples, risks)
        if samples:
            families["fleet_incident_probability_ratio"].add(incident_probability(risks))
            self._add_phase(families)
        self._add_file(families)
        for name, count in self._state.take_refused().items():
            families[name].drop(count)
        for note in self._feed.notes:
            families.note(note)
        for reason, problem in (*self._state.take_problems(), *self._feed.problems):
            families.skip(reason, problem)
        if self._scorer.problem:
            families.skip(Reason.INVALID_VALUE, self._scorer.problem)
        return families

    def _add_servers(self, families: FamilySet, samples: Sequence[Sample], risks: Sequence[float]) -> None:
        for name, attribute in _GAUGES:
            family = families[name]
            for sample in samples:
                family.add(getattr(sample, attribute), sample.server, sample.profile)
        for sample, risk in zip(samples, risks, strict=True):
            labels = (sample.server, sample.profile)
            families["fleet_server_risk_ratio"].add(risk, *labels)
            if risk > TROUBLE and (cause := self._scorer.cause(sample)) is not None:
                families["fleet_server_cause_info"].add(1, *labels, cause)
            if sample.state is not None:
                for state in STATES:
                    families["fleet_server_state"].add(state == sample.state, *labels, state)
            if sample.oom is not None:
                families["fleet_server_oom_events_total"].add(self._state.oom[sample.server], *labels)

    def _add_phase(self, families: FamilySet) -> None:
        last = self._state.last
        if last is None or last.phase is None:
            return
        for phase in sorted(self._state.phases.union(PHASES, (last.phase,))):
            families["fleet_incident_phase"].add(phase == last.phase, phase)

    def _add_file(self, families: FamilySet) -> None:
        settings, state = self._settings, self._state
        file = settings.path.name
        families["fleet_file_info"].add(1, file, settings.mode, settings.risk.model)
        # Counters that exist from the start let rate() see their first increase.
        for outcome in RowOutcome:
            families["fleet_file_rows_total"].add(state.rows[outcome], file, outcome)
        if state.position > -math.inf:
            families["fleet_file_position_timestamp_seconds"].add(state.position, file)
        if self._feed.progress is not None:
            families["fleet_replay_progress_ratio"].add(self._feed.progress, file)
        if settings.risk.model != BUILTIN:
            for failure in Failure:
                families["fleet_risk_model_failures_total"].add(
                    self._scorer.failures[failure], settings.risk.model, failure
                )


def _rank(risk: float) -> float:
    return -1.0 if math.isnan(risk) else risk
