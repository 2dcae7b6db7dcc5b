"""The dashboards to choose from: files and folders, read again when a file changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ml_monitoring.dashboards.render.errors import RenderError
from ml_monitoring.dashboards.render.model import Dashboard, find_dashboards, load_dashboard, none_in

# As Grafana calls what is in no folder.
NO_FOLDER = "General"

_Stamp = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Shelf:
    """What there is now.

    Attributes:
        folders: Dashboards by folder, both in the order of their titles.
        problems: Files that hold no dashboard, and why.
    """

    folders: dict[str, list[Dashboard]]
    problems: tuple[str, ...] = ()

    def find(self, uid: str) -> tuple[str, Dashboard] | None:
        """Return the dashboard with this uid, after its folder."""
        every = ((folder, one) for folder, dashboards in self.folders.items() for one in dashboards)
        return next(((folder, one) for folder, one in every if one.uid == uid), None)

    def tagged(self, tags: Sequence[str]) -> list[Dashboard]:
        """Return the dashboards that have all of these tags."""
        every = (one for dashboards in self.folders.values() for one in dashboards)
        return [one for one in every if set(tags) <= set(one.raw.get("tags") or [])]


@dataclass(slots=True)
class Library:
    """Dashboards by uid, file or folder.

    Attributes:
        names: uids of generated dashboards, files, or folders of files.
        generated: Where generated dashboards are.
    """

    names: Sequence[str]
    generated: Path
    _read: dict[Path, tuple[_Stamp, Dashboard | str]] = field(default_factory=dict)

    def check(self) -> None:
        """Look for what is named.

        Raises:
            RenderError: A name is neither a uid nor a file, or there is no dashboard at all.
        """
        shelf = self.shelf()
        if not shelf.folders:
            raise RenderError("; ".join(shelf.problems) or none_in(self.names))

    def shelf(self) -> Shelf:
        """Return what there is now; a file that cannot be read is named and does not cost the others."""
        folders: dict[str, list[Dashboard]] = {}
        problems: list[str] = []
        seen: dict[str, Path] = {}
        for folder, path in self._paths():
            found = self._dashboard(path)
            if isinstance(found, str):
                problems.append(found)
            elif (other := seen.setdefault(found.uid, path)) != path:
                problems.append(f"{path}: has the uid {found.uid}, as {other} has, which is shown")
            else:
                folders.setdefault(folder, []).append(found)
        for dashboards in folders.values():
            dashboards.sort(key=lambda one: one.title.casefold())
        return Shelf(dict(sorted(folders.items())), tuple(problems))

    def _paths(self) -> Iterator[tuple[str, Path]]:
        for name in self.names:
            path = Path(name)
            if path.is_dir():
                # What is no file, such as a FIFO, would be waited for.
                for file in filter(Path.is_file, sorted(path.rglob("*.json"))):
                    yield (file.parent.name if file.parent != path else NO_FOLDER), file
            elif path.is_file():
                yield NO_FOLDER, path
            else:
                (found,) = find_dashboards([name], self.generated)
                yield found.path.parent.name, found.path

    def _dashboard(self, path: Path) -> Dashboard | str:
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if path not in self._read or self._read[path][0] != stamp:
                self._read[path] = (stamp, load_dashboard(path))
        except (OSError, RenderError) as error:
            self._read.pop(path, None)
            return str(error)
        return self._read[path][1]
