"""Refreshes the MLflow source in a process of its own and prints what each kind of refresh costs, as JSON.

Database time is what the database works for the source; requests are all that a tracking server was sent so far.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from pathlib import Path

from ml_monitoring.exporter.database import Session
from ml_monitoring.exporter.database.base import Row
from ml_monitoring.exporter.database.postgres import PostgresSession
from ml_monitoring.exporter.snapshot import Renderer
from ml_monitoring.exporter.sources.mlflow import MlflowSettings, MlflowSource
from ml_monitoring.exporter.sources.mlflow.rest.session import RestSession

# What works for a session: a process of PostgreSQL's, a thread of MariaDB's; the system has times of both.
_WORKERS = {
    "postgresql": "select pg_backend_pid()",
    "mysql": "select tid from information_schema.processlist where id = connection_id()",
}


class _Clock:
    """Adds up what the database works for a session, by query.

    That is the time which the server's process or thread spends on a processor: everything is in its memory, and what
    it waits for is only its turn on a busy machine.
    """

    def __init__(self, session: Session) -> None:
        self._whose = _WORKERS[session.dialect]
        self.waits: defaultdict[str, float] = defaultdict(float)
        self._rows = session.rows
        self._stream = session.stream
        if isinstance(session, PostgresSession):
            self._copy = session.copy
            session.copy = self.copy  # type: ignore[method-assign]  # what is measured is the real session
        self._process = Path()
        session.rows = self.rows  # type: ignore[method-assign]  # what is measured is the real session
        session.stream = self.stream  # type: ignore[method-assign]  # the same

    def rows(self, sql: str, **parameters: object) -> list[Row]:
        before = self._worked()
        try:
            return self._rows(sql, **parameters)
        finally:
            self.waits[sql] += self._worked() - before

    def stream(self, sql: str, **parameters: object) -> Generator[Row, None, None]:
        before = self._worked()
        yield from self._stream(sql, **parameters)
        self.waits[sql] += self._worked() - before

    def copy(self, sql: str, take: Callable[[bytes], object], **parameters: object) -> None:
        before = self._worked()
        self._copy(sql, take, **parameters)
        self.waits[sql] += self._worked() - before

    def _worked(self) -> float:
        if not self._process.name:
            ((number,),) = self._rows(self._whose)
            self._process = Path(f"/proc/{number}/schedstat")
        return int(self._process.read_text(encoding="ascii").split()[0]) / 1e9


def _memory() -> dict[str, int]:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return {"rss": int(fields["VmRSS"].split()[0]) * 1024, "peak": int(fields["VmHWM"].split()[0]) * 1024}


def main(arguments: list[str]) -> int:
    """At each line `refresh` on standard input, refresh; print a line of JSON for each."""
    (uri,) = arguments
    before = _memory()
    source = MlflowSource(MlflowSettings.model_validate({"uri": uri, "timeout": "10m"}))
    session = source._session
    # A tracking server's database is none of ours.
    rest = session if isinstance(session, RestSession) else None
    waits = _Clock(session).waits if rest is None else defaultdict[str, float](float)
    renderer = Renderer()
    for _line in sys.stdin:
        waits.clear()
        cpu, started = time.process_time(), time.perf_counter()
        families = source.collect()
        collected = time.perf_counter()
        snapshot = renderer.render(families)
        ended = time.perf_counter()
        queries = source._store.reader.queries
        scan = waits[queries.changed_runs] + waits[queries.run_sums]
        result = {
            "database": sum(waits.values()),
            "scan": scan,
            "collect": collected - started,
            "render": ended - collected,
            "cpu": time.process_time() - cpu,
            "requests": rest.requests if rest is not None else 0,
            "series": snapshot.series,
            "runs": len(source._store.runs),
            "before": before["rss"],
            **_memory(),
        }
        print(json.dumps(result), flush=True)
    source.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
