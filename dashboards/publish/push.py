"""Push: bring the generated dashboards into a Grafana that is there already.

Each save says in Grafana's version history that it was ours, with a checksum of what was saved. From that the next push
knows without a memory of its own whether anything changed since, and who changed it: a dashboard whose newest save is
not ours was edited by hand. Only dashboards with the project's tag and a uid of ours are ever written or deleted.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from ml_monitoring.alerting.extensions import OWN_UID_PREFIX
from ml_monitoring.dashboards import TAG
from ml_monitoring.dashboards.publish.changes import compare
from ml_monitoring.dashboards.publish.files import folder_uid
from ml_monitoring.dashboards.publish.grafana import (
    ChangedMeanwhileError,
    Datasource,
    Grafana,
    GrafanaError,
    Json,
    Live,
    NotTakenError,
    Save,
)

# The entry that a push leaves in the version history; the last word where the user's settings made the page.
_MARK = re.compile(rf"{TAG} push sha256:([0-9a-f]{{16}}) folder:(\S*)( own)?")
_WITHOUT_SETTINGS = "it was pushed with settings or pages of your own, and this push has none: give them (--settings)"
# Names of one type of data source: Grafana's own, and what 10.3 renamed it to.
_ALIASES: Mapping[str, str] = MappingProxyType({"grafana-postgresql-datasource": "postgres"})
# Without either of them the token may save nothing.
_SAVING = frozenset({"dashboards:create", "dashboards:write"})


class State(StrEnum):
    """What is to be done with a dashboard, and afterwards: what was done."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"
    CONFLICT = "conflict"
    REFUSED = "refused"
    LEFT_OVER = "left over"
    DELETED = "delete"


@dataclass(frozen=True, slots=True)
class Folder:
    """Where dashboards go.

    Attributes:
        title: Its title in Grafana.
        uid: Its uid.
        exists: Whether Grafana has it already.
    """

    title: str
    uid: str
    exists: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What is planned for one dashboard.

    Attributes:
        uid: The dashboard.
        title: Its title.
        state: What is to be done.
        why: Why it is a conflict or refused.
        changes: What the push changes of what is there, as Markdown.
        by_hand: What was changed by hand since the last push, as Markdown.
        dashboard: What is saved; None where nothing can be.
        folder: Where it is saved.
    """

    uid: str
    title: str
    state: State
    why: str = ""
    changes: str = ""
    by_hand: str = ""
    dashboard: Json | None = None
    folder: Folder | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a push will do.

    Attributes:
        steps: One for each dashboard, those that are left over last.
        notes: What the person who pushes should know.
        own: Whether the user's settings made the dashboards.
    """

    steps: tuple[Step, ...]
    notes: tuple[str, ...]
    own: bool = False


def plan(
    grafana: Grafana,
    generated: Sequence[tuple[str, Json]],
    *,
    datasources: Mapping[str, str] | None = None,
    folders: Mapping[str, str] | None = None,
    own: bool = False,
) -> Plan:
    """Compare with what Grafana has and return what is to be done; nothing is changed.

    Args:
        grafana: Grafana.
        generated: (folder's title, dashboard) of each dashboard.
        datasources: Name or uid of the data source that a data source variable begins with, by variable.
        folders: Title or uid of the folder to take for a generated folder, by that one's title.
        own: Whether the user's settings made the dashboards; those that the defaults make never replace such ones.

    Raises:
        GrafanaError: If Grafana cannot be asked, or has no such data source or folder.
    """
    notes: list[str] = []
    organisation = grafana.organisation()
    if organisation is not None:
        notes.append(f"{grafana.url}, organisation {organisation.number} ({organisation.name})")
    actions = grafana.actions()
    if actions is not None and not actions & _SAVING:
        raise GrafanaError(
            "the token may save no dashboard: its service account needs the role Editor, or the permissions "
            f"{' and '.join(sorted(_SAVING))}"
        )
    if not grafana.encrypted:
        notes.append(f"{grafana.url} is not encrypted: everybody on the way can read the token")
    places = _folders(grafana, sorted({title for title, _ in generated}), folders or {})
    choices = _choices(grafana.datasources(), [dashboard for _, dashboard in generated], datasources or {}, notes)
    uids = {str(dashboard["uid"]) for _, dashboard in generated}
    left_over = sorted((found for found in grafana.search(TAG) if found.uid not in uids), key=lambda one: one.uid)
    # Pushes of earlier versions left no word on settings, and pages of the user's are made by some.
    mixed = not own and any(found.uid.startswith(OWN_UID_PREFIX) for found in left_over)
    steps = [
        _step(grafana, _with_datasources(dashboard, choices), places[title], own=own, mixed=mixed)
        for title, dashboard in sorted(generated, key=lambda entry: str(entry[1]["uid"]))
    ]
    steps += [_left_over(grafana, found.uid, found.title) for found in left_over]
    return Plan(tuple(steps), tuple(notes), own)


def carry_out(grafana: Grafana, plan: Plan, *, force: bool = False, prune: bool = False) -> Iterator[Step]:
    """Do what was planned and yield each step with the state that it ended in.

    Args:
        grafana: Grafana.
        plan: What was planned.
        force: Overwrite what is a conflict.
        prune: Delete dashboards of earlier pushes that are no longer generated.

    Raises:
        GrafanaError: If Grafana refuses; what was yielded until then is done.
    """
    made: set[str] = set()
    for step in plan.steps:
        if step.state is State.LEFT_OVER and prune and not step.uid.startswith(OWN_UID_PREFIX):
            grafana.delete(step.uid)
            yield replace(step, state=State.DELETED, why="")
            continue
        wanted = step.state in {State.CREATE, State.UPDATE} or (step.state is State.CONFLICT and force)
        if not wanted or step.dashboard is None or step.folder is None:
            yield step
            continue
        if not step.folder.exists and step.folder.uid not in made:
            grafana.create_folder(step.folder.uid, step.folder.title)
            made.add(step.folder.uid)
        try:
            mark = _mark(step.dashboard, step.folder, own=plan.own)
            grafana.save(step.dashboard, folder=step.folder.uid, message=mark)
        except ChangedMeanwhileError:
            why = "somebody saved it just now; push again"
            if step.state is State.CREATE:
                why = "it is there already, in a folder that the token may not read, or somebody saved it just now"
            yield replace(step, state=State.CONFLICT, why=why)
            continue
        except NotTakenError as error:
            yield replace(step, state=State.REFUSED, why=str(error))
            continue
        yield replace(step, state=State.UPDATE if step.state is State.CONFLICT else step.state)


def _step(grafana: Grafana, dashboard: Json, folder: Folder, *, own: bool, mixed: bool) -> Step:
    uid, title = str(dashboard["uid"]), str(dashboard["title"])
    live = grafana.dashboard(uid)
    if live is None:
        return Step(uid, title, State.CREATE, dashboard=_new(dashboard), folder=folder)
    if why := _untouchable(live):
        return Step(uid, title, State.REFUSED, why=why)
    history = grafana.history(uid)
    ours = next((save for save in history if _MARK.search(save.message)), None)
    saved = grafana.saved(uid, ours.version) if ours else None
    # What we saved, because what Grafana shows may have been moved to a newer schema.
    before = saved if ours and ours.version == live.version and saved else live.dashboard
    changes = compare({uid: before}, {uid: dashboard})
    # The version that the save replaces: Grafana refuses when it is no longer the newest.
    step = Step(
        uid, title, State.UPDATE, changes=changes, dashboard=_new(dashboard) | {"version": live.version}, folder=folder
    )
    conflict = _conflict(live, history, ours)
    if conflict:
        by_hand = compare({uid: saved}, {uid: live.dashboard}) if saved else ""
        return replace(step, state=State.CONFLICT, why=conflict, by_hand=by_hand)
    mark = _MARK.search(ours.message) if ours else None
    if mark and mark.group(1) == _checksum(dashboard) and mark.group(2) == folder.uid:
        return replace(step, state=State.UNCHANGED)
    if mixed or (mark and mark.group(3) and not own):
        return replace(step, state=State.CONFLICT, why=_WITHOUT_SETTINGS)
    return step


def _untouchable(live: Live) -> str:
    """Return why the dashboard can never be saved, with force neither; empty when it can."""
    if live.provisioned:
        return f"Grafana reads it from {live.provisioned}, so it can only be changed there"
    if TAG not in (live.dashboard.get("tags") or []):
        return f"a dashboard with this uid is there without the tag {TAG}, so it is taken for somebody else's"
    return "" if live.may_save else "the token may see it and not save it"


def _conflict(live: Live, history: Sequence[Save], ours: Save | None) -> str:
    """Return why the dashboard is not as the last push left it; empty when it is."""
    if ours is None:
        return "it was not brought by a push, or Grafana no longer has that in its history"
    newest = history[0]
    if newest.version != ours.version or live.version != ours.version:
        said = f": {newest.message}" if newest.message else ""
        return f"{newest.by or 'somebody'} saved version {newest.version} of it on {newest.at}{said}"
    mark = _MARK.search(ours.message)
    if mark and mark.group(2) != live.folder:
        return f"it was moved to the folder with the uid {live.folder or '(top level)'}"
    return ""


def _left_over(grafana: Grafana, uid: str, title: str) -> Step:
    """Return the step for a tagged dashboard that is not generated; only what a push left can be deleted."""
    live = grafana.dashboard(uid)
    history = grafana.history(uid)
    ours = next((save for save in history if _MARK.search(save.message)), None)
    if live is None or live.provisioned or ours is None:
        return Step(uid, title, State.REFUSED, why=f"it has the tag {TAG} and no push brought it; nothing is done")
    conflict = _conflict(live, history, ours)
    if conflict:
        return Step(uid, title, State.REFUSED, why=f"it is no longer generated, and {conflict}; nothing is done")
    if uid.startswith(OWN_UID_PREFIX):
        return Step(uid, title, State.LEFT_OVER, why="a page of your own that this push has not; it is never deleted")
    return Step(uid, title, State.LEFT_OVER, why="it is no longer generated; --prune deletes it")


def _folders(grafana: Grafana, titles: Sequence[str], chosen: Mapping[str, str]) -> dict[str, Folder]:
    unknown = sorted(set(chosen) - set(titles))
    if unknown:
        raise GrafanaError(f"--folder {unknown[0]}=...: the folders of the dashboards are {', '.join(titles)}")
    there = grafana.folders()
    places = {}
    for title in titles:
        wanted = chosen.get(title)
        if wanted is not None:
            places[title] = _existing_folder(grafana, there, wanted)
            continue
        own = folder_uid(title)
        # By uid, so that it may be given another title in Grafana, or be moved into another folder.
        name = there.get(own) or grafana.folder(own)
        if name is not None:
            places[title] = Folder(name, own, exists=True)
        else:
            same = sorted(uid for uid, name in there.items() if name == title)
            places[title] = Folder(title, same[0] if same else own, exists=bool(same))
    return places


def _existing_folder(grafana: Grafana, there: Mapping[str, str], wanted: str) -> Folder:
    by_title = sorted(uid for uid, title in there.items() if title == wanted)
    if len(by_title) > 1:
        raise GrafanaError(f"--folder: {len(by_title)} folders are called {wanted}; give one's uid")
    uid = by_title[0] if by_title else wanted
    title = grafana.folder(uid)
    if title is None:
        raise GrafanaError(f"--folder: Grafana has no folder with the title or uid {wanted}")
    return Folder(title, uid, exists=True)


def _choices(
    there: Sequence[Datasource], dashboards: Sequence[Json], chosen: Mapping[str, str], notes: list[str]
) -> dict[str, Datasource]:
    """Return the data source that each data source variable begins with."""
    kinds = {
        str(variable["name"]): str(variable["query"])
        for dashboard in dashboards
        for variable in dashboard["templating"]["list"]
        if variable["type"] == "datasource"
    }
    unknown = sorted(set(chosen) - set(kinds))
    if unknown:
        raise GrafanaError(f"--datasource {unknown[0]}=...: the data source variables are {', '.join(sorted(kinds))}")
    choices = {}
    for variable, kind in sorted(kinds.items()):
        fitting = [source for source in there if _type(source.type) == _type(kind)]
        names = ", ".join(sorted(source.name for source in fitting)) or "none"
        wanted = chosen.get(variable)
        if wanted is not None:
            matching = [source for source in fitting if wanted in {source.uid, source.name}]
            if not matching:
                raise GrafanaError(f"--datasource {variable}={wanted}: Grafana's data sources of type {kind}: {names}")
            # A uid goes before another source's name.
            choices[variable] = next((source for source in matching if source.uid == wanted), matching[0])
        elif not fitting:
            notes.append(f"Grafana has no data source of type {kind}; panels that read ${{{variable}}} stay empty")
        else:
            best = [source for source in fitting if source.default] or fitting
            if len(best) > 1:
                raise GrafanaError(f"which data source of type {kind}? choose with --datasource {variable}=: {names}")
            choices[variable] = best[0]
    return choices


def _type(name: str) -> str:
    return _ALIASES.get(name, name)


def _with_datasources(dashboard: Json, choices: Mapping[str, Datasource]) -> Json:
    result = deepcopy(dashboard)
    for variable in result["templating"]["list"]:
        if variable["type"] == "datasource" and variable["name"] in choices:
            source = choices[variable["name"]]
            variable["current"] = {"selected": True, "text": source.name, "value": source.uid}
    return result


def _new(dashboard: Json) -> Json:
    """Return it without the version that files carry: to Grafana's API that means the version it replaces."""
    return {key: value for key, value in dashboard.items() if key not in {"id", "version"}}


def _checksum(dashboard: Json) -> str:
    text = json.dumps(_new(dashboard), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _mark(dashboard: Json, folder: Folder, *, own: bool) -> str:
    return f"{TAG} push sha256:{_checksum(dashboard)} folder:{folder.uid}{' own' if own else ''}"
