"""What a server is asked for, refresh by refresh.

Each refresh asks which runs began and which ended lately, by the server's clock, and takes one turn of what cannot be
asked for by time: experiments, aliases, versions, runs at work, and a pass through all runs, page by page, which finds
what shows in no time of a run: metrics and labels written late, runs deleted, restored or dated back.

Everything is read once at first. What was read by then is kept when that is broken off, and the next refresh goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Final

from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.sources.mlflow.rest.api import ListingPage, MlflowApi, pages
from ml_monitoring.exporter.sources.mlflow.rest.optional import OptionalListings
from ml_monitoring.exporter.sources.mlflow.rest.tables import Object, RunState, ServerTables
from ml_monitoring.exporter.sources.mlflow.run_cache import RUNNING
from ml_monitoring.exporter.sources.mlflow.settings import MlflowSettings
from ml_monitoring.exporter.sources.mlflow.sql import PROMPT_TAG

# By so much may the clocks of those who log be behind the server's for what they log to be seen at once.
_OVERLAP_MS: Final = 120_000
# Runs in a page of those that are new, and experiments in one question.
_NEW: Final = 100
_EXPERIMENTS: Final = 5000
_LISTED: Final = 1000
# A page of a pass takes the server about so long, whatever it holds; longer while everything is read at first: each
# page costs it a scan of its table, so that many small ones take far longer altogether.
_PAGE_SECONDS: Final = 1.5
_LOADING_PAGE_SECONDS: Final = 10.0
_SMALLEST, _LARGEST = 50, 1000
# So many pages of runs at work are read in a turn.
_PAGES_AT_WORK: Final = 3
# A listing that begins with what changed last is read to its end every so many turns.
_COMPLETE_TURNS: Final = 20
_ALL: Final = "ALL"
_DEFAULT: Final = "default"
# Where an experiment's creation stands in its row, behind its number.
_MADE: Final = 3
# The workspace to ask in, empty for the server's own choice, and experiments of it.
_Chunk = tuple[str, list[int]]


@dataclass(slots=True)
class Findings:
    """What a refresh found.

    Attributes:
        runs: Runs that changed as they were, None for new ones.
        gone: Runs that are there no more.
        others: Whether anything else changed.
        everything: Whether all was read from the beginning.
    """

    runs: dict[str, RunState | None] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    others: bool = False
    everything: bool = False

    def __bool__(self) -> bool:
        """Tell whether anything changed."""
        return bool(self.runs or self.gone or self.others or self.everything)

    def add(self, runs: dict[str, RunState | None]) -> None:
        """Add runs; of one that changed twice it counts how it was at first."""
        self.runs = {**runs, **self.runs}
        self.gone -= runs.keys()

    def forget(self, runs: Iterable[str]) -> None:
        """Add runs that are gone."""
        for run in runs:
            self.gone.add(run)
            self.runs.pop(run, None)


@dataclass(slots=True)
class _Pass:
    """Where a pass through all runs stands.

    Attributes:
        chunks: Experiments that are still to be gone through, the current ones first.
        since: Runs that began before (ms) were seen.
        token: Of the next page, where very many runs began in the same millisecond.
        seen: Runs that were seen of those that began just at `since`.
    """

    chunks: list[_Chunk]
    since: int = 0
    token: str = ""
    seen: set[str] = field(default_factory=set)


class ServerRounds:
    """Keeps the tables of one server up to date.

    Args:
        settings: What is wanted.
        api: Asks the server.
        tables: What is filled.

    Attributes:
        loading: Whether the server is read from the beginning.
    """

    def __init__(self, settings: MlflowSettings, api: MlflowApi, tables: ServerTables) -> None:
        self._settings = settings
        self._api = api
        self._tables = tables
        self._workspaces = settings.workspaces or ("",)
        self.loading = True
        self._found = Findings()
        self._since: float | None = None
        self._pass: _Pass | None = None
        self._size = 200
        self._turns: Iterator[Callable[[], None]] = iter(())
        self._optional = OptionalListings(settings, api, tables, self._chunks)
        self._rounds = 0
        self._runs_read = False

    @property
    def failed(self) -> Mapping[str, str]:
        """Return the tables that could not be filled, and why."""
        return self._optional.failed

    def refresh(self) -> Findings:
        """Ask for what is new; return what was found since this was last returned.

        Raises:
            SourceError: The server could not be asked, or answers nonsense.
        """
        settings = self._settings
        self._api.begin(settings.first_limit if self.loading else settings.timeout)
        try:
            if self.loading:
                self._load()
            else:
                began = self._read_new()
                self._take_turn()
                self._since = began
        except (KeyError, TypeError, ValueError, AttributeError):
            hint = "is this the address of MLflow's tracking server?"
            raise SourceError(Reason.SCHEMA, f"{self._api.url} describes runs unlike MLflow", hint=hint) from None
        found, self._found = self._found, Findings()
        return found

    def _load(self) -> None:
        """Read everything, or what is missing of it."""
        self._list_experiments(complete=True)
        if self._since is None:
            # What changes from here on is found afterwards.
            self._since = self._api.server_time
        while not self._runs_read:
            self._runs_read = not self._go_on()
        for workspace in self._workspaces:
            self._list_models(workspace)
            self._list_versions(workspace, complete=True)
        self._tables.forget_workspaces([name or _DEFAULT for name in self._workspaces])
        self._optional.load()
        self.loading = self._runs_read = False
        self._found.everything = True

    def _read_new(self) -> float:
        """Read the runs that began or ended lately; return the server's time of the first answer."""
        since = int((self._since or 0.0) * 1000) - _OVERLAP_MS
        began: float | None = None
        for chunk in self._chunks():
            for attribute in ("start_time", "end_time"):
                body = {
                    "filter": f"attributes.{attribute} >= {since}",
                    "order_by": [f"attributes.{attribute} DESC"],
                    "max_results": _NEW,
                }
                for page in pages(partial(self._runs, chunk, body)):
                    began = began or self._api.server_time
                    changed = self._put(page)
                    # What is older was seen before.
                    if not changed:
                        break
        return began or self._api.server_time

    def _take_turn(self) -> None:
        turn = next(self._turns, None)
        if turn is None:
            self._turns = self._round()
            turn = next(self._turns)
        turn()

    def _round(self) -> Iterator[Callable[[], None]]:
        """Yield what is done in a round: every other turn is one of the pass through all runs."""
        self._rounds += 1
        complete = self._rounds % _COMPLETE_TURNS == 0
        yield partial(self._list_experiments, complete=complete)
        yield self._step
        for workspace in self._workspaces:
            yield partial(self._list_models, workspace)
            yield self._step
            yield partial(self._list_versions, workspace, complete=complete)
            yield self._step
        yield self._read_running
        yield self._step
        for turn in self._optional.turns():
            yield partial(self._take, turn)
            yield self._step

    def _take(self, turn: Callable[[], bool]) -> None:
        changed = turn()
        self._found.others = self._found.others or changed

    def _step(self) -> None:
        self._go_on()

    def _read_running(self) -> None:
        """Read the runs at work again, the newest ones, and those that ended without saying when."""
        body = {
            "filter": f"attributes.status = '{RUNNING}'",
            "order_by": ["attributes.start_time DESC"],
            "max_results": _NEW,
            "run_view_type": "ACTIVE_ONLY",
        }
        for chunk in self._chunks():
            for page in islice(pages(partial(self._runs, chunk, body)), _PAGES_AT_WORK):
                self._put(page)

    def _chunks(self) -> list[_Chunk]:
        """Return all experiments, by what can be asked for at once, the newest first."""
        found: list[_Chunk] = []
        for workspace in self._workspaces:
            numbers = sorted(
                (number for number, row in self._tables.experiments().items() if workspace in ("", row[2])),
                reverse=True,
            )
            found += [
                (workspace, numbers[start : start + _EXPERIMENTS]) for start in range(0, len(numbers), _EXPERIMENTS)
            ]
        return found

    def _runs(self, chunk: _Chunk, body: Object, token: str) -> ListingPage:
        workspace, experiments = chunk
        asked = {"experiment_ids": list(map(str, experiments)), "run_view_type": _ALL, **body}
        return self._api.search("runs/search", "runs", asked, token=token, workspace=workspace)

    def _put(self, page: ListingPage) -> bool:
        changed = self._tables.put_runs(page.objects)
        self._found.add(changed)
        return bool(changed)

    def _go_on(self) -> bool:
        """Read the next page of a pass through all runs; return whether it has more."""
        if self._pass is None:
            self._pass = _Pass(self._chunks())
        work = self._pass
        if not work.chunks:
            self._pass = None
            return False
        chunk = work.chunks[0]
        body = {
            "filter": f"attributes.start_time >= {work.since}",
            "order_by": ["attributes.start_time ASC"],
            "max_results": self._size,
        }
        asked = time.monotonic()
        try:
            page = self._runs(chunk, body, work.token)
        except SourceError as error:
            # The token of a page is of no use to a server that began again, or it was too much at a time.
            work.token, work.seen = "", set()
            if error.reason is Reason.TIMEOUT:
                self._size = max(_SMALLEST, self._size // 2)
            raise
        self._fit(time.monotonic() - asked, len(page.objects))
        self._put(page)
        self._forget_gone(work, page, chunk)
        return True

    def _fit(self, seconds: float, runs: int) -> None:
        """Choose how many runs the next page has, so that the server is not busy for long."""
        most = _LOADING_PAGE_SECONDS if self.loading else _PAGE_SECONDS
        if seconds > most:
            self._size = max(_SMALLEST, self._size // 2)
        elif seconds < most / 2 and runs == self._size:
            self._size = min(_LARGEST, self._size * 2)

    def _forget_gone(self, work: _Pass, page: ListingPage, chunk: _Chunk) -> None:
        """Go on behind a page; what is remembered of its time but not in it is gone."""
        seen = {str(run["info"].get("run_id") or run["info"]["run_uuid"]): run["info"] for run in page.objects}
        last = max((int(info.get("start_time") or 0) for info in seen.values()), default=work.since)
        ended = not page.token
        if not ended and last == work.since:
            # All of them began in the same millisecond.
            work.seen |= seen.keys()
            work.token = page.token
            return
        there = self._tables.runs_between(work.since, None if ended else last, frozenset(chunk[1]))
        gone = there - seen.keys() - work.seen
        if gone:
            self._tables.delete_runs(gone)
            self._found.forget(gone)
        work.seen, work.token = set(), ""
        work.since = last
        if ended:
            del work.chunks[0]
            work.since = 0

    def _list_experiments(self, *, complete: bool) -> None:
        """Read the lists of experiments, as far as there is something new in them, or as a whole.

        Raises:
            SourceError: There is none, or they are another store's.
        """
        known = self._tables.experiments()
        fresh: dict[int, tuple[Any, ...]] = {}
        listed: set[int] = set()
        body = {"view_type": _ALL, "order_by": ["last_update_time DESC"], "max_results": _LISTED}
        whole = True
        for workspace in self._workspaces:
            for page in pages(partial(self._experiments, body, workspace)):
                rows = [_experiment(each, workspace) for each in page.objects]
                listed.update(row[0] for row in rows)
                changed = {row[0]: row[1:] for row in rows if known.get(row[0]) != row[1:]}
                fresh.update(changed)
                if page.token and not changed and not complete:
                    whole = False
                    break
        if not listed:
            said = f"and had {len(known)}" if known else "not even the default one"
            hint = "may the exporter's user read the experiments?"
            raise SourceError(Reason.AUTH, f"{self._api.url} lists no experiment, {said}", hint=hint)
        if any(number in known and known[number][_MADE] != row[_MADE] for number, row in fresh.items()):
            self._begin_again()
            raise SourceError(Reason.READ, f"{self._api.url} shows another store than before: all of it will be read")
        gone = known.keys() - listed if whole else set()
        lost = self._tables.put_experiments(((number, *row) for number, row in fresh.items()), gone)
        self._found.others = self._found.others or bool(fresh or gone)
        self._found.forget(lost)

    def _experiments(self, body: Object, workspace: str, token: str) -> ListingPage:
        return self._api.search("experiments/search", "experiments", body, token=token, workspace=workspace)

    def _begin_again(self) -> None:
        self._tables.clear()
        self._pass = self._since = None
        self._found = Findings()
        self._runs_read = False
        self.loading = True

    def _list_models(self, workspace: str) -> None:
        """Read all models, because nothing says when an alias was set."""
        name = workspace or _DEFAULT
        aliases = {
            (name, str(model["name"]), str(each["alias"]), int(each["version"]))
            for page in self._registry("registered-models/search", "registered_models", {}, workspace)
            for model in page.objects
            if not _is_prompt(model)
            for each in model.get("aliases", ())
        }
        changed = self._tables.replace_models("registered_model_aliases", name, aliases, complete=True)
        self._found.others = self._found.others or changed

    def _list_versions(self, workspace: str, *, complete: bool) -> None:
        """Read versions, as far as there is something new among them, or all."""
        name = workspace or _DEFAULT
        known = self._tables.models("model_versions", name)
        rows: set[tuple[Any, ...]] = set()
        whole = True
        query = {"order_by": ["last_updated_timestamp DESC", "name ASC", "version_number DESC"]}
        for page in self._registry("model-versions/search", "model_versions", query, workspace):
            of_page = {_version(each, name) for each in page.objects if not _is_prompt(each)}
            rows |= of_page
            if page.token and of_page and of_page <= known and not complete:
                whole = False
                break
        changed = self._tables.replace_models("model_versions", name, rows, complete=whole)
        self._found.others = self._found.others or changed

    def _registry(self, call: str, key: str, query: Object, workspace: str) -> Iterator[ListingPage]:
        asked = {"max_results": _LISTED, **query}
        yield from pages(lambda token: self._api.listing(call, key, asked, token=token, workspace=workspace))


def _experiment(each: Object, workspace: str) -> tuple[Any, ...]:
    """Return number, name, stage, workspace, creation and last update."""
    return (
        int(each["experiment_id"]),
        str(each["name"]),
        str(each.get("lifecycle_stage") or "active"),
        str(each.get("workspace") or workspace or _DEFAULT),
        int(each.get("creation_time") or 0),
        int(each.get("last_update_time") or 0),
    )


def _is_prompt(each: Object) -> bool:
    """Tell whether a model or version is a prompt, which servers that know of prompts do not list."""
    return any(tag["key"] == PROMPT_TAG and tag.get("value") == "true" for tag in each.get("tags", ()))


def _version(each: Object, workspace: str) -> tuple[Any, ...]:
    """Return workspace, model, version, run, stage and creation."""
    created = each.get("creation_timestamp")
    return (
        workspace,
        str(each["name"]),
        int(each["version"]),
        str(each["run_id"]) if each.get("run_id") else None,
        str(each["current_stage"]) if each.get("current_stage") else None,
        None if created is None else int(created),
    )
