"""The session of a tracking server: what it answered, read like a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from typing_extensions import override

from ml_monitoring.exporter.database.memory import MemorySession
from ml_monitoring.exporter.sources.mlflow.rest.api import MlflowApi
from ml_monitoring.exporter.sources.mlflow.rest.rounds import Findings, ServerRounds
from ml_monitoring.exporter.sources.mlflow.rest.tables import SCHEMA, ServerTables, Wanted
from ml_monitoring.exporter.sources.mlflow.settings import MlflowSettings
from ml_monitoring.exporter.sources.mlflow.sql import PARENT_TAG, LabelSource

# Tags that MLflow's clients set themselves, and that are short.
_COMMON_TAGS: Final = (PARENT_TAG, "mlflow.user", "mlflow.source.name", "mlflow.source.type")


class RestSession(MemorySession):
    """Reads tables that a tracking server's answers fill.

    Args:
        settings: Where the server is, and what of it is wanted.
        now: Returns the time in seconds since the epoch.
    """

    def __init__(self, settings: MlflowSettings, now: Callable[[], float]) -> None:
        super().__init__(SCHEMA)
        self._api = MlflowApi(settings, now)
        self._rounds = ServerRounds(settings, self._api, ServerTables(self.database, _wanted(settings)))

    @property
    def loading(self) -> bool:
        """Tell whether the server is read from the beginning."""
        return self._rounds.loading

    @property
    def requests(self) -> int:
        """Return how many requests were sent."""
        return self._api.requests

    @property
    def failed(self) -> Mapping[str, str]:
        """Return the tables that could not be filled, and why."""
        return self._rounds.failed

    def server_time(self) -> float:
        """Return what the server's clock said last, in seconds since the epoch."""
        return self._api.server_time

    def refresh(self) -> Findings:
        """Ask the server for what is new.

        Raises:
            SourceError: It cannot be asked.
        """
        return self._rounds.refresh()

    def version(self) -> str:
        """Return the version of MLflow that the server says."""
        return self._api.version()

    @override
    def abort(self) -> None:
        self._api.abort()
        super().abort()


def _wanted(settings: MlflowSettings) -> Wanted:
    sources = [LabelSource.parse(text) for texts in settings.labels.values() for text in texts]
    params = {source.key for source in sources if source.table == "params"}
    tags = {source.key for source in sources if source.table == "tags"}
    return Wanted(
        frozenset({*params, *settings.test_size}),
        frozenset({*tags, *settings.test_size, *settings.count_tags, *settings.cost_tags, *_COMMON_TAGS}),
    )
