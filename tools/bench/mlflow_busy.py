"""An exporter whose only source gives very many series, all of them changed at each refresh, or none."""

from __future__ import annotations

import asyncio
import sys
from typing import ClassVar

from ml_monitoring.exporter.app import SWITCH_INTERVAL
from ml_monitoring.exporter.config import WebSettings
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.runner import Runner
from ml_monitoring.exporter.server import Server
from ml_monitoring.exporter.sources.base import Source, SourceSettings


class BusySource(Source):
    """Gives numbers."""

    name: ClassVar[str] = "mlflow"
    Settings: ClassVar[type[SourceSettings]] = SourceSettings
    series: ClassVar[int] = 0
    changing: ClassVar[bool] = True

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        self._families: FamilySet | None = None
        self._number = 0

    def collect(self) -> FamilySet:
        """Give all series, with other values than the last time."""
        if self._families is None or self.changing:
            self._number += 1
            self._families = FamilySet("mlflow", max_series=self.series)
            family = self._families["mlflow_store_rows"]
            for index in range(self.series):
                family.add(self._number + index / 7, f"t{index}")
        return self._families

    def check(self) -> str:
        """Say that all is well."""
        return "fine"


async def _serve(port: int, series: int) -> None:
    # All the time: the next refresh begins where the one before ends.
    runner = Runner({"mlflow": SourceSettings(interval="10ms", max_series=series)}, sources=[BusySource])
    server = Server(runner, WebSettings(port=port))
    await server.start()
    runner.start()
    await asyncio.Event().wait()


def main(arguments: list[str]) -> int:
    """Serve: `PORT SERIES still|changing`."""
    port, series, kind = arguments
    BusySource.series = int(series)
    BusySource.changing = kind == "changing"
    sys.setswitchinterval(SWITCH_INTERVAL)
    asyncio.run(_serve(int(port), int(series)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
