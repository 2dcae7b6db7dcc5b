"""What newer servers offer besides runs: logged models and traces."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any, Final

from ml_monitoring.exporter.sources.mlflow.rest.api import (
    ListingPage,
    MlflowApi,
    NoSuchCallError,
    RefusedCallError,
    pages,
)
from ml_monitoring.exporter.sources.mlflow.rest.tables import Object, ServerTables
from ml_monitoring.exporter.sources.mlflow.settings import MlflowSettings

_MODELS_IN_A_PAGE: Final = 1000
_TRACES_IN_A_PAGE: Final = 500
# Of those that are new, and of traces, so many pages are read in a turn.
_PAGES: Final = 5
# In the address of a request of the second version.
_EXPERIMENTS: Final = 200
_STATUS: Final = {"LOGGED_MODEL_PENDING": 1, "LOGGED_MODEL_READY": 2, "LOGGED_MODEL_UPLOAD_FAILED": 3}
_USAGE: Final = "mlflow.trace.tokenUsage"
Chunk = tuple[str, list[int]]


class OptionalListings:
    """Reads what a server may not have, as far as it is wanted.

    Args:
        settings: What is wanted.
        api: Asks the server.
        tables: What is filled.
        chunks: Returns workspaces and experiments, by what can be asked for at once.
    """

    def __init__(
        self, settings: MlflowSettings, api: MlflowApi, tables: ServerTables, chunks: Callable[[], list[Chunk]]
    ) -> None:
        self._settings = settings
        self._api = api
        self._tables = tables
        self._chunks = chunks
        # Where the pass through logged models stands, and those that it has seen.
        self._pass: list[tuple[Chunk, str]] = []
        self._seen: set[str] = set()
        self._has_third_version = True

    def load(self) -> None:
        """Read everything."""
        if self._settings.logged_models:
            self._go_on()
            while self._pass:
                self._go_on()
        if self._settings.traces:
            self._read_traces()

    def turns(self) -> Iterator[Callable[[], bool]]:
        """Yield what is done one by one; each returns whether anything changed."""
        if self._settings.logged_models:
            yield self._read_new_models
            yield self._go_on
        if self._settings.traces:
            yield self._read_traces

    def _models(self, chunk: Chunk, field: str, token: str, *, ascending: bool) -> ListingPage:
        workspace, experiments = chunk
        body = {
            "experiment_ids": list(map(str, experiments)),
            "max_results": _MODELS_IN_A_PAGE,
            "order_by": [{"field_name": field, "ascending": ascending}],
        }
        return self._api.search("logged-models/search", "models", body, token=token, workspace=workspace)

    def _read_new_models(self) -> bool:
        """Read the models that were logged, or became ready, lately."""
        found = False
        try:
            for chunk in self._chunks():
                ask = partial(self._models, chunk, "last_updated_timestamp", ascending=False)
                for page in islice(pages(ask), _PAGES):
                    changed = self._put_models(page)
                    found = found or changed
                    if not changed:
                        break
        except NoSuchCallError:
            pass
        return found

    def _go_on(self) -> bool:
        """Read the next page of a pass through all models, at whose end those that it did not see are gone."""
        if not self._pass:
            self._pass, self._seen = [(chunk, "") for chunk in self._chunks()], set()
        chunk, token = self._pass[0]
        try:
            page = self._models(chunk, "creation_timestamp", token, ascending=True)
        except NoSuchCallError:
            self._pass = []
            return False
        except RefusedCallError:
            # The token of a page is of no use to a server that began again.
            self._pass = []
            raise
        self._seen.update(str(each["info"]["model_id"]) for each in page.objects)
        changed = self._put_models(page)
        self._pass[:1] = [(chunk, page.token)] if page.token else []
        if not self._pass:
            return self._tables.keep_logged_models(self._seen) or changed
        return changed

    def _put_models(self, page: ListingPage) -> bool:
        return self._tables.put_logged_models(_model(each["info"]) for each in page.objects)

    def _read_traces(self) -> bool:
        """Read the traces that began lately, the newest ones first."""
        window = int(self._settings.trace_window * 1000)
        since = int(self._api.server_time * 1000) - window
        self._tables.forget_traces(since - window)
        found = False
        for chunk in self._chunks():
            for page in islice(self._pages_of_traces(chunk, since), _PAGES):
                found = self._tables.put_traces(map(_trace, page.objects)) or found
        return found

    def _pages_of_traces(self, chunk: Chunk, since: int) -> Iterator[ListingPage]:
        workspace, experiments = chunk
        asked = {
            "filter": f"attributes.timestamp_ms >= {since}",
            "max_results": _TRACES_IN_A_PAGE,
            "order_by": ["timestamp_ms DESC"],
        }
        if self._has_third_version:
            places = [
                {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": str(number)}}
                for number in experiments
            ]
            body = {"locations": places, **asked}
            try:
                search = self._api.search
                yield from pages(
                    lambda token: search("3.0/traces/search", "traces", body, token=token, workspace=workspace)
                )
            except NoSuchCallError:
                self._has_third_version = False
            else:
                return
        try:
            for start in range(0, len(experiments), _EXPERIMENTS):
                query = {**asked, "experiment_ids": list(map(str, experiments[start : start + _EXPERIMENTS]))}
                yield from pages(partial(self._traces_of_second_version, query, workspace))
        except NoSuchCallError:
            return

    def _traces_of_second_version(self, query: Object, workspace: str, token: str) -> ListingPage:
        return self._api.listing("traces", "traces", query, token=token, workspace=workspace)


def _model(info: Object) -> tuple[Any, ...]:
    """Return id, experiment, status and creation."""
    status = _STATUS.get(str(info.get("status")), 0)
    return str(info["model_id"]), int(info["experiment_id"]), status, int(info["creation_timestamp_ms"])


def _trace(trace: Object) -> tuple[Any, ...]:
    """Return id, experiment, begin and duration in ms, status, input and output tokens, of either version."""
    if "request_id" in trace:
        metadata = {str(each["key"]): each.get("value") for each in trace.get("request_metadata", ())}
        duration = trace.get("execution_time_ms")
        head = (str(trace["request_id"]), int(trace["experiment_id"]), int(trace["timestamp_ms"]))
        return (*head, None if duration is None else int(duration), trace.get("status"), *_tokens(metadata))
    place = trace["trace_location"]["mlflow_experiment"]["experiment_id"]
    begin = datetime.datetime.fromisoformat(str(trace["request_time"]).replace("Z", "+00:00"))
    lasted = str(trace.get("execution_duration") or "").removesuffix("s")
    return (
        str(trace["trace_id"]),
        int(place),
        round(begin.timestamp() * 1000),
        round(float(lasted) * 1000) if lasted else None,
        trace.get("state"),
        *_tokens(trace.get("trace_metadata") or {}),
    )


def _tokens(metadata: Object) -> tuple[int | None, int | None]:
    try:
        usage = json.loads(str(metadata.get(_USAGE)))
        return int(usage["input_tokens"]), int(usage["output_tokens"])
    except (ValueError, KeyError, TypeError):
        return None, None
