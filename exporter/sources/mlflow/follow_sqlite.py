"""Follows a store in an SQLite file.

Whether anything was written, `PRAGMA data_version` tells. Nothing tells what: all runs are read and compared with those
that are remembered, which a local file allows. The best values are read again in slices of experiments.
"""

from __future__ import annotations

from collections.abc import Iterable

from ml_monitoring.exporter.database import Session
from ml_monitoring.exporter.sources.mlflow.follow import Findings, Follower
from ml_monitoring.exporter.sources.mlflow.settings import MlflowSettings

_SHOWN_PROBLEMS = 5


class SqliteFollower(Follower):
    """Follows a store in an SQLite file.

    Attributes:
        problems: Values that are not what their column is for.
    """

    def __init__(self, session: Session, settings: MlflowSettings) -> None:
        super().__init__(session, settings)
        self.problems: list[str] = []
        self._version: tuple[int, int] | None = None
        self._previous: tuple[int, int] | None = None
        self._swept: tuple[int, int] | None = None
        self._begun: tuple[int, int] | None = None
        self._waiting: list[int] = []

    def _moved(self) -> bool:
        ((version,),) = self._session.rows("pragma data_version")
        self._previous, self._version = self._version, (self._session.opened, version)
        return self._version != self._previous

    def _must_renew(self) -> bool:
        # On another connection the number says nothing, and the file may be another one.
        return super()._must_renew() or self._previous is None or self._previous[0] != self._session.opened

    def _find_changes(self, findings: Findings) -> None:
        findings.changes.update(self.mirror.differences(self._all_runs()))

    def _restart_rounds(self) -> None:
        self._swept = self._version
        self._waiting = []
        self._find_problems()

    def _note_reading(self, runs: Iterable[str]) -> None:
        """Do nothing: rounds here read what is there, not what is new."""

    def _reconcile(self, findings: Findings) -> None:
        if not self._waiting:
            if self._version == self._swept:
                return
            self._begun = self._version
            self._waiting = sorted(self.mirror.tallies)
            problems = self.problems
            self._find_problems()
            findings.changed |= self.problems != problems
        size = max(1, -(-len(self.mirror.tallies) // self.slices))
        experiments, self._waiting = self._waiting[:size], self._waiting[size:]
        rows = self._session.rows(self.queries.best_of_experiments, experiments=experiments)
        findings.changed |= self.best.replace(experiments, rows)
        if not self._waiting:
            self._swept = self._begun

    def _find_problems(self) -> None:
        assert self.queries.bad_values is not None  # noqa: S101  # SQLite's queries have it
        bad = [f"{key!r} of run {run}" for run, key in self._session.rows(self.queries.bad_values)]
        self.problems = [f"latest_metrics.value is text, not a number: metric {each}" for each in bad[:_SHOWN_PROBLEMS]]
        if len(bad) > _SHOWN_PROBLEMS:
            self.problems.append(f"and {len(bad) - _SHOWN_PROBLEMS} more such values")
