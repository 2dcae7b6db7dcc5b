"""What newer servers offer besides runs: logged models and traces.

A server may fail at one of these for what is in its store: MLflow 3.17 cannot answer with feedback that is NaN. That
costs nothing else. What cannot be read is not exposed, and named, until it can be read again.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any, Final

from ml_monitoring.exporter.sources.mlflow.rest.api import (
    BrokenCallError,
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
_COST: Final = "mlflow.trace.cost"
_PROMPTS: Final = "mlflow.linkedPrompts"
_MODEL: Final = "mlflow.modelId"
# Of a value of feedback, so much tells whether it is a yes, a no or a number.
_VALUE: Final = 40
# Tables that cannot be filled where one listing fails.
_MODELS: Final = "logged_models"
_TRACES: Final = "trace_info"
Chunk = tuple[str, list[int]]


class OptionalListings:
    """Reads what a server may not have, as far as it is wanted.

    Args:
        settings: What is wanted.
        api: Asks the server.
        tables: What is filled.
        chunks: Returns workspaces and experiments, by what can be asked for at once.

    Attributes:
        failed: Tables that could not be filled, and why.
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
        self.failed: dict[str, str] = {}

    def load(self) -> None:
        """Read everything."""
        if self._settings.logged_models:
            self._try(_MODELS, self._go_on)
            while self._pass:
                self._try(_MODELS, self._go_on)
        if self._settings.traces:
            self._try(_TRACES, self._read_traces)

    def turns(self) -> Iterator[Callable[[], bool]]:
        """Yield what is done one by one; each returns whether anything changed."""
        if self._settings.logged_models:
            yield partial(self._try, _MODELS, self._read_new_models)
            yield partial(self._try, _MODELS, self._go_on)
        if self._settings.traces:
            yield partial(self._try, _TRACES, self._read_traces)

    def _try(self, table: str, read: Callable[[], bool]) -> bool:
        before = self.failed.pop(table, None)
        try:
            changed = read()
        except BrokenCallError as error:
            self._pass = []
            self.failed[table] = f"{table} cannot be read: {error}"
            return before is None
        return changed or before is not None

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
    """Return id, experiment, status, creation and name."""
    status = _STATUS.get(str(info.get("status")), 0)
    head = (str(info["model_id"]), int(info["experiment_id"]), status, int(info["creation_timestamp_ms"]))
    return (*head, str(info.get("name") or ""))


def _trace(trace: Object) -> tuple[Any, ...]:
    """Return what is kept of a trace, of either version.

    Id, experiment, begin and duration in ms, status, tokens and cost in and out, prompts, model and feedback.
    """
    if "request_id" in trace:
        duration = trace.get("execution_time_ms")
        return (
            *(str(trace["request_id"]), int(trace["experiment_id"]), int(trace["timestamp_ms"])),
            *(None if duration is None else int(duration), trace.get("status")),
            *_told(_texts(trace.get("request_metadata")), _texts(trace.get("tags"))),
            None,
        )
    lasted = str(trace.get("execution_duration") or "").removesuffix("s")
    return (
        str(trace["trace_id"]),
        int(trace["trace_location"]["mlflow_experiment"]["experiment_id"]),
        _ms(trace["request_time"]),
        round(float(lasted) * 1000) if lasted else None,
        trace.get("state"),
        *_told(trace.get("trace_metadata") or {}, trace.get("tags") or {}),
        json.dumps([_feedback(each) for each in trace.get("assessments", ()) if "feedback" in each]),
    )


def _texts(listed: Iterable[Object] | None) -> Object:
    return {str(each["key"]): each.get("value") for each in listed or ()}


def _told(metadata: Object, tags: Object) -> tuple[Any, ...]:
    """Return tokens and dollars, in and out, as a store takes them from the same texts; prompts; model."""
    tokens, cost = _numbers(metadata.get(_USAGE)), _numbers(metadata.get(_COST))
    used = (tokens.get("input_tokens"), tokens.get("output_tokens"), cost.get("input_cost"), cost.get("output_cost"))
    return (*used, tags.get(_PROMPTS), metadata.get(_MODEL))


def _feedback(assessment: Object) -> tuple[Any, ...]:
    """Return name, who gave it, how its value begins in JSON, whether it failed, when it was given and changed."""
    content = assessment["feedback"]
    return (
        str(assessment["assessment_name"]),
        str(assessment["source"]["source_type"]),
        json.dumps(content.get("value"))[:_VALUE],
        1 if content.get("error") else None,
        *(_ms(assessment["create_time"]), _ms(assessment["last_update_time"])),
    )


def _ms(moment: object) -> int:
    return round(datetime.datetime.fromisoformat(str(moment).replace("Z", "+00:00")).timestamp() * 1000)


def _numbers(text: object) -> Mapping[str, float]:
    """Return the finite numbers of an object in JSON by key; what is no such object has none."""
    try:
        content = json.loads(str(text))
        return {key: value for key, value in content.items() if type(value) in (int, float) and math.isfinite(value)}
    except (ValueError, AttributeError, OverflowError):
        return {}
