"""Refreshes the MLflow source in a process of its own and prints what each kind of refresh costs, as JSON.

Database time is what the server's process works for the source.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path

from ml_monitoring.exporter.database import Session
from ml_monitoring.exporter.database.base import Row
from ml_monitoring.exporter.snapshot import Renderer
from ml_monitoring.exporter.sources.mlflow import MlflowSettings, MlflowSource


class _Clock:
    """Adds up what the database works for a session, by query.

    That is the time which the server's process spends on a processor: everything is in its memory, and what it waits
    for is only its turn on a busy machine.
    """

    def __init__(self, session: Session) -> None:
        self.waits: defaultdict[str, float] = defaultdict(float)
        self._rows = session.rows
        self._stream = session.stream
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

    def _worked(self) -> float:
        if not self._process.name:
            ((pid,),) = self._rows("select pg_backend_pid()")
            self._process = Path(f"/proc/{pid}/schedstat")
        return int(self._process.read_text(encoding="ascii").split()[0]) / 1e9


def _memory() -> dict[str, int]:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return {"rss": int(fields["VmRSS"].split()[0]) * 1024, "peak": int(fields["VmHWM"].split()[0]) * 1024}


def main(arguments: list[str]) -> int:
    """At each line `refresh` on standard input, refresh; print a line of JSON for each."""
    (uri,) = arguments
    before = _memory()
    source = MlflowSource(MlflowSettings.model_validate({"uri": uri, "timeout": "10m", "max_series": 1_000_000}))
    clock = _Clock(source._session)
    renderer = Renderer()
    for _line in sys.stdin:
        clock.waits.clear()
        cpu, started = time.process_time(), time.perf_counter()
        families = source.collect()
        collected = time.perf_counter()
        snapshot = renderer.render(families)
        ended = time.perf_counter()
        scan = clock.waits[source._store.reader.queries.changed_runs]
        result = {
            "database": sum(clock.waits.values()),
            "scan": scan,
            "collect": collected - started,
            "render": ended - collected,
            "cpu": time.process_time() - cpu,
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
