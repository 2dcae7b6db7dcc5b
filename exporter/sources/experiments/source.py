"""The source `experiments`: declared experiments, read from counters in Prometheus or by SQL, and judged.

It has no state that matters: after a restart everything since the start of each experiment is read again, piece by
piece and within the usual time limit. From then on only batches that are new are read, and without a new batch nothing
is asked. One experiment that cannot be read touches no other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar, Final

from pydantic import SecretStr
from typing_extensions import override

from ml_monitoring.exporter.database import connect
from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.redaction import redact
from ml_monitoring.exporter.sources.base import Source, SourceSettings
from ml_monitoring.exporter.sources.experiments.cache import ReadingCache, fingerprint
from ml_monitoring.exporter.sources.experiments.declaration import ExperimentDeclaration
from ml_monitoring.exporter.sources.experiments.folder import DeclarationFiles
from ml_monitoring.exporter.sources.experiments.gate import Gate, gate_of
from ml_monitoring.exporter.sources.experiments.output import add_experiment
from ml_monitoring.exporter.sources.experiments.prometheus import ExperimentError, PrometheusApi
from ml_monitoring.exporter.sources.experiments.selectors import SeriesSelector
from ml_monitoring.exporter.sources.experiments.settings import ExperimentsSettings
from ml_monitoring.exporter.sources.experiments.tracked import Stores, TrackedExperiment
from ml_monitoring.exporter.values import rereading

# Part of the time limit in which a further piece of a history is begun, and in which queries must be answered.
_BEGIN: Final = 0.4
_ANSWER: Final = 0.9
# Batches after which the cache is written again.
_SAVE_AFTER: Final = 8


def read_declarations(
    settings: ExperimentsSettings, files: DeclarationFiles | None
) -> tuple[dict[str, ExperimentDeclaration], list[str]]:
    """Return the experiments of the settings and of the files that they name, and what cannot be used of these."""
    declared = dict(settings.declared)
    problems: list[str] = []
    for name, declaration in files.read().items() if files else ():
        if name in declared:
            problems.append(f"{settings.files}: {name}: is declared in the settings too; those count")
        elif problem := settings.problem(declaration):
            problems.append(f"{settings.files}: {name}.{problem}")
        else:
            declared[name] = declaration
    return declared, [*(files.problems if files else ()), *problems]


class ExperimentsSource(Source):
    """Follows the declared experiments.

    Args:
        settings: What to read, and where.
        clock: Gives the seconds since the epoch.
    """

    name: ClassVar[str] = "experiments"
    Settings: ClassVar[type[SourceSettings]] = ExperimentsSettings

    def __init__(self, settings: ExperimentsSettings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        token = settings.token.get_secret_value() if settings.token else ""
        api = PrometheusApi(settings.url.get_secret_value(), token) if settings.url else None
        uris: dict[str | None, SecretStr] = {name: database.uri for name, database in settings.databases.items()}
        if settings.database is not None:
            uris[None] = settings.database
        sessions = {
            name: connect(uri.get_secret_value(), timeout=settings.timeout * _ANSWER, read_again=rereading(uri))
            for name, uri in uris.items()
        }
        self._stores = Stores(api, sessions, settings.settle, settings.late)
        self._files = DeclarationFiles(settings.files, clock) if settings.files else None
        self._cache = ReadingCache(settings.cache) if settings.cache else None
        self._cache_error = ""
        self._problems: list[str] = []
        self._declared: frozenset[str] = frozenset()
        self._only: str | None = None
        self._tracked: dict[str, TrackedExperiment] = {}
        self._gates: dict[str, Gate] = {}
        self._shown: object = None
        self._families: FamilySet | None = None
        self._wake: Callable[[], None] = lambda: None

    @override
    def start(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    @override
    def collect(self) -> FamilySet:
        """Read what is new of each experiment."""
        now = self._clock()
        self.declare(self._only)
        more = self._read(now)
        families = self._build(now)
        if more:
            # What is long is read piece by piece.
            self._wake()
        return families

    @override
    def check(self) -> str:
        """Read the declarations, and try the stores."""
        if self.declare():
            setting = ("files",) if self._settings.files else ("declared",)
            raise SourceError(Reason.INVALID_VALUE, "; ".join(self._problems), setting=setting)
        for refused in self._cache.refused.values() if self._cache is not None else ():
            raise refused
        found = [f"{len(self._tracked)} experiments"]
        api = self._stores.api
        if api is not None:
            self.begin()
            version = api.version()
            api.range("vector(1)", self._clock(), self._clock(), 1.0)
            found.append(f"Prometheus {version}".strip())
            found += [f"it has no series {name}" for name in api.missing(self._counters(), self._clock())]
        for name, session in self._stores.sessions.items():
            try:
                with session.transaction():
                    session.rows("select 1")
            except SourceError as error:
                where = f"databases.{name}: " if name else ""
                raise SourceError(error.reason, f"{where}{error}", hint=error.hint) from None
            found.append(f"{name or session.dialect} answers")
        found += [f"{name}.{note}" for name, each in self._tracked.items() for note in each.declaration.notes]
        return ", ".join(found)

    def _counters(self) -> list[str]:
        """Return the metrics of the selectors of all experiments that are not over."""
        now = self._clock()
        running = [each.declaration for each in self._tracked.values() if each.running(now)]
        selectors = [text for one in running for metric in one.metrics.values() for text in metric.selectors or ()]
        selectors += [one.exposure for one in running]
        return list(dict.fromkeys(filter(None, (SeriesSelector.parse(text).metric for text in selectors if text))))

    @override
    def abort(self) -> None:
        if self._stores.api is not None:
            self._stores.api.abort()
        for session in self._stores.sessions.values():
            session.abort()

    @override
    def close(self) -> None:
        for session in self._stores.sessions.values():
            session.close()

    @property
    def tracked(self) -> dict[str, TrackedExperiment]:
        """Return the experiments that are followed, by their names."""
        return self._tracked

    @property
    def declared(self) -> frozenset[str]:
        """Return the names of all declared experiments, those that are not followed too."""
        return self._declared

    def gate(self, name: str) -> Gate | None:
        """Return what an experiment says of going on; None where none of this name is declared; from any thread."""
        gate = self._gates.get(name)
        return gate.at(self._clock()) if gate else None

    @property
    def gates(self) -> list[str]:
        """Return the names of the experiments that have an answer; from any thread."""
        return sorted(self._gates)

    @property
    def stores(self) -> Stores:
        """Return where it reads."""
        return self._stores

    def begin(self) -> None:
        """Let what is asked from now on take the time limit again."""
        if self._stores.api is not None:
            self._stores.api.begin(self._settings.timeout * _ANSWER)

    def declare(self, only: str | None = None) -> list[str]:
        """Read the declarations; return what cannot be used of them.

        Args:
            only: Follow this experiment and no other from now on.
        """
        self._only = only
        declared, problems = read_declarations(self._settings, self._files)
        self._declared = frozenset(declared)
        if only is not None:
            declared = {name: each for name, each in declared.items() if name == only}
        self._problems = problems
        self._tracked = {name: self._track(name, declaration) for name, declaration in declared.items()}
        return list(problems)

    def _track(self, name: str, declaration: ExperimentDeclaration) -> TrackedExperiment:
        known = self._tracked.get(name)
        if known is not None:
            if known.declaration == declaration:
                return known
            if fingerprint(known.declaration) == fingerprint(declaration):
                known.redeclare(declaration)
                return known
        found = self._cache.load(name, declaration) if self._cache is not None else None
        return found or TrackedExperiment.of(name, declaration)

    def _read(self, now: float) -> bool:
        """Read what is due; return whether there is more of it.

        Raises:
            SourceError: Nothing could be read, as no store could be asked.
        """
        due = [each for each in self._tracked.values() if each.due(self._stores, now)]
        # The one that waits for longest is the first, so that each has its turn.
        due.sort(key=lambda each: each.succeeded or 0.0)
        self.begin()
        deadline = time.monotonic() + self._settings.timeout * _BEGIN
        more = False
        down: dict[str, SourceError] = {}
        for each in due:
            store = each.declaration.store
            if store in down:
                continue
            if time.monotonic() > deadline:
                more = True
                break
            try:
                more |= each.read(self._stores, now, deadline)
                self._save(each)
            except ExperimentError:
                continue
            except SourceError as error:
                down[store] = error
        if down and all(each.declaration.store in down for each in self._tracked.values()):
            raise next(iter(down.values()))
        for each in due:
            if each.declaration.store in down:
                # Others must not wait for a store that does not answer.
                each.fail(down[each.declaration.store], now, pause=True)
        return more

    def _save(self, tracked: TrackedExperiment) -> None:
        if self._cache is None or tracked.history.batches < tracked.saved + _SAVE_AFTER:
            return
        try:
            self._cache.save(tracked)
        except OSError as error:
            self._cache_error = f"{self._settings.cache}: cannot be written: {error.strerror or error}"
        except SourceError as error:
            self._cache_error = str(error)
        else:
            self._cache_error = ""
            tracked.saved = tracked.history.batches

    def _build(self, now: float) -> FamilySet:
        stale_after = self._settings.staleness_limit
        shown = [
            (
                name,
                each.declaration,
                each.declaration.shares_at(now),
                each.history.batches,
                each.error,
                each.judgement,
                each.running(now),
            )
            for name, each in sorted(self._tracked.items())
        ]
        problems = [*self._problems, *([self._cache_error] if self._cache_error else [])]
        stale = [
            name
            for name, each in self._tracked.items()
            if each.error and (each.succeeded is None or now - each.succeeded > stale_after + each.history.step)
        ]
        self._gates = {name: gate_of(each, now, stale_after) for name, each in self._tracked.items()}
        signature = (shown, problems, stale)
        if self._families is not None and signature == self._shown:
            return self._families
        families = FamilySet(self.name, max_series=self._settings.max_series)
        for name, each in sorted(self._tracked.items()):
            add_experiment(families, each, now, stale=name in stale)
            if each.error:
                families.skip(Reason.QUERY, redact(f"{name}: {each.error}"))
        for problem in problems:
            families.skip(Reason.INVALID_VALUE, problem)
        self._shown, self._families = signature, families
        return families
