"""Pull: dashboards of a Grafana, ready to be kept in git as the generated ones are."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ml_monitoring.dashboards.publish.files import Json
from ml_monitoring.dashboards.publish.grafana import Found, Grafana, GrafanaError

# Where dashboards outside of all folders go; Grafana's own name of that place.
TOP_LEVEL = "General"
# What differs from Grafana to Grafana, and from save to save.
_OF_THIS_GRAFANA = frozenset({"id", "version", "iteration"})


def find(grafana: Grafana, *, uids: Sequence[str], tags: Sequence[str], folders: Sequence[str]) -> list[Found]:
    """Return the dashboards with one of the uids or tags, or in one of the folders, sorted by uid.

    Args:
        grafana: Grafana.
        uids: Uids of dashboards; whether they exist is seen when they are read.
        tags: Tags.
        folders: Titles or uids of folders.

    Raises:
        GrafanaError: If Grafana cannot be asked, or nothing has a tag or is in a folder.
    """
    found = {uid: Found(uid, "", "", "") for uid in uids}
    for tag in tags:
        tagged = grafana.search(tag)
        if not tagged:
            raise GrafanaError(f"--tag {tag}: the token sees no dashboard with this tag")
        found |= {one.uid: one for one in tagged}
    everything = grafana.search() if folders else []
    for folder in folders:
        inside = [one for one in everything if folder in {one.folder, one.folder_title or TOP_LEVEL}]
        if not inside:
            known = ", ".join(sorted({one.folder_title or TOP_LEVEL for one in everything})) or "none"
            raise GrafanaError(f"--folder {folder}: the token sees no dashboard in it; there are some in {known}")
        found |= {one.uid: one for one in inside}
    return sorted(found.values(), key=lambda one: one.uid)


def read(grafana: Grafana, one: Found) -> tuple[str, Json]:
    """Return (folder's title as a name of a directory, dashboard without what is of this Grafana alone).

    Raises:
        GrafanaError: If Grafana does not give it, or its uid is no name of a file; the message names it.
    """
    name = f"{one.title} ({one.uid})" if one.title else one.uid
    if not re.fullmatch(r"[\w-]+", one.uid, re.ASCII):
        raise GrafanaError(f"dashboard {name}: its uid cannot be the name of a file")
    try:
        live = grafana.existing_dashboard(one.uid)
    except GrafanaError as error:
        raise GrafanaError(f"dashboard {name}: {error}", error.status) from error
    dashboard = {key: value for key, value in live.dashboard.items() if key not in _OF_THIS_GRAFANA}
    # Of a dashboard in a folder that the token may not see, only the folder's uid is known.
    folder = one.folder_title or (grafana.folder(live.folder) or live.folder if live.folder else TOP_LEVEL)
    return _directory(folder), dashboard | {"uid": one.uid}


def _directory(title: str) -> str:
    """Return a folder's title as one directory, wherever it is from."""
    name = re.sub(r"[/\\:\x00-\x1f]", "-", title).strip()
    return name if name.strip(".") else TOP_LEVEL
