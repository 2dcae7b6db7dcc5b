"""`dashboards diff`: what changed between two versions of dashboards, by meaning, as Markdown."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ml_monitoring.dashboards.publish.changes import compare
from ml_monitoring.dashboards.publish.defaults import without_defaults
from ml_monitoring.dashboards.publish.digest import digest
from ml_monitoring.dashboards.publish.values import matched
from ml_monitoring.dashboards.render import formats
from ml_monitoring.dashboards.render.errors import RenderError, why_no_json
from ml_monitoring.exporter import differences
from ml_monitoring.exporter.errors import UsageError, collecting

Json = dict[str, Any]

_WRITTEN: Final = (
    "No differences but in how queries are written, in the order in the file, or in what Grafana writes itself: "
    "defaults, `version` and the like."
)
HELP = "say what changed between two versions of dashboards"
DESCRIPTION = (
    "Compare dashboards by meaning: panels, queries, units, thresholds, variables; as Markdown. A file is compared "
    "with the page of its uid where the other side is a folder."
)


@dataclass(frozen=True, slots=True)
class _Version:
    """Dashboards by uid, each with its file.

    Attributes:
        name: As it was given.
        pages: Files and dashboards.
        folders: Of pages that say in which folder they are, its uid.
        doubles: For each uid that more than one file has, these files.
        others: What the files are that hold no dashboard.
    """

    name: str
    pages: dict[str, tuple[str, Json]] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)
    doubles: dict[str, list[str]] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)

    @property
    def is_file(self) -> bool:
        """Tell whether it is a single file."""
        return [source for source, _page in self.pages.values()] == [self.name]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    differences.add_arguments(
        parser,
        everything="list all changes of each page one by one: those of looks too (colours, places, ...)",
    )


def run(options: argparse.Namespace) -> int:
    """Print the differences and return the exit status."""
    problems: list[str] = []
    versions = []
    for name in (options.old, options.new):
        with collecting(problems):
            versions.append(_read(name))
    if problems:
        # Both may be the same file.
        raise UsageError([*dict.fromkeys(problems)])
    old, new = versions
    if not old.pages and not new.pages:
        raise UsageError([f"{options.old}, {options.new}: no dashboard in either"])
    _narrow(old, new)
    _narrow(new, old)
    notes = [*_notes(old, new)]
    _pair(old, new)
    sources = [{uid: source for uid, (source, _page) in one.pages.items()} for one in (old, new)]
    before, after = ({uid: page for uid, (_source, page) in one.pages.items()} for one in (old, new))
    is_same = before == after
    before, after = ({uid: without_defaults(page) for uid, page in one.items()} for one in (before, after))
    for one, pages in zip(_folders(old, new), (before, after), strict=True):
        for uid, folder in one.items():
            pages[uid]["folder"] = folder
    commands = {
        uid: f"ml-monitoring dashboards diff {shlex.quote(sources[0][uid])} {shlex.quote(sources[1][uid])}"
        for uid in before.keys() & after.keys()
    }
    report = compare(before, after) if options.all else digest(before, after, commands)
    if notes:
        print("\n".join(notes), end="\n\n")
    print(report or ("No differences." if is_same else _WRITTEN))
    return 1 if (report or notes) and options.exit_code else 0


def _folders(old: _Version, new: _Version) -> list[dict[str, str | None]]:
    """Return in which folder of Grafana pages of both are: as both say themselves, else that of their files."""
    stated = [one.folders for one in (old, new)]
    homes = [{uid: Path(source).parent for uid, (source, _page) in one.pages.items()} for one in (old, new)]
    # Of a single file, or of files in one folder, nothing says where Grafana has them.
    are_in_folders = all(len({*each.values()}) > 1 for each in homes)
    found: list[dict[str, str | None]] = [{}, {}]
    for uid in old.pages.keys() & new.pages.keys():
        says = [bool(each[uid]) for each in stated]
        for place, home, own in zip(found, homes, stated, strict=True):
            if all(says) or (any(says) and not are_in_folders):
                place[uid] = own[uid] or None
            elif are_in_folders:
                place[uid] = home[uid].name
    return found


def _read(name: str) -> _Version:
    """Return dashboards of a file, a folder, or `REVISION:PATH` of the git repository.

    Raises:
        UsageError: If there is nothing to read.
    """
    problems: list[str] = []
    texts = differences.texts_of(
        name, (".json",), lambda error: f"cannot be read as JSON: {why_no_json(error)}", problems
    )
    found = _Version(name)
    for source, text in texts:
        try:
            content = json.loads(text)
            if not formats.is_dashboard(content):
                found.others[source] = formats.what_it_is(content)
                continue
            dashboard = formats.classic(content, source)
        except (ValueError, RecursionError) as error:
            problems.append(f"{source}: cannot be read as JSON: {why_no_json(error)}")
            continue
        except RenderError as error:
            problems.append(str(error))
            continue
        uid = str(dashboard.get("uid") or Path(source).stem)
        if uid in found.pages:
            found.doubles.setdefault(uid, [found.pages[uid][0]]).append(source)
        found.pages[uid] = (source, dashboard)
        found.folders[uid] = formats.folder(content)
    if not problems and not found.pages and found.others:
        others = [f"{source} is {kind}" for source, kind in found.others.items()]
        only = [*found.others] == [name]
        problems.append(
            f"{name}: no dashboard in it: {found.others[name] if only else '; '.join(differences.few(others, 3))}"
        )
    if problems:
        raise UsageError(problems)
    return found


def _narrow(one: _Version, other: _Version) -> None:
    """Leave of a folder the page that a file on the other side holds.

    Raises:
        UsageError: The folder has several pages, and none of this uid.
    """
    if len(one.pages) <= 1 or not other.is_file:
        return
    (uid,) = other.pages
    if uid not in one.pages:
        raise UsageError([f"{other.name}: is one page, and none of {one.name} has its uid {uid}: give two files"])
    for each in one.pages.keys() - {uid}:
        del one.pages[each]


def _notes(old: _Version, new: _Version) -> Iterator[str]:
    """Yield what is wrong with the files themselves."""
    for version in (old, new):
        for uid, files in version.doubles.items():
            both = [[Path(file).name for file in one.doubles.get(uid, [])] for one in (old, new)]
            # Of the same files on both sides it is said once.
            if uid in version.pages and not (version is old and both[0] == both[1]):
                listed = ", ".join(f"`{file}`" for file in files)
                yield (
                    f"- **{len(files)} files have the uid `{uid}`**: {listed}; Grafana shows one of them, and the last "
                    "is compared here"
                )
    were = {Path(source).name: source for uid, (source, _page) in old.pages.items() if uid not in new.pages}
    yield from (
        f"- **`{source}` holds no dashboard**, and did before: it is {kind}"
        for source, kind in new.others.items()
        if Path(source).name in were
    )


def _pair(old: _Version, new: _Version) -> None:
    """Give pages that have another uid now the new one before too.

    They are those of the same title, or with the same panels, that are alone in that; or those of two single files.
    """
    gone, come = (
        {uid: page for uid, (_source, page) in one.pages.items() if uid not in other.pages}
        for one, other in ((old, new), (new, old))
    )
    found = dict(zip(gone, come, strict=False)) if old.is_file and new.is_file else {}
    for part in ("title", "panels"):
        found |= matched(
            {uid: page[part] for uid, page in gone.items() if uid not in found and page.get(part)},
            {uid: page[part] for uid, page in come.items() if uid not in found.values() and page.get(part)},
        )
    for earlier, uid in found.items():
        old.pages[uid], old.folders[uid] = old.pages.pop(earlier), old.folders.pop(earlier)
