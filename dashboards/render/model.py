"""A dashboard as its JSON says it: panels with their places, rows, variables, annotations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ml_monitoring.dashboards.render import formats
from ml_monitoring.dashboards.render.errors import RenderError, meant, why_no_json
from ml_monitoring.dashboards.render.migrate import migrate_panel

# What pages may be written in, of which JSON is generated.
_SOURCES = (".yml", ".yaml", ".py")
_NAMED_BY = "a page written in YAML or Python is named by its uid, or by the file of JSON that is generated of it"

Json = dict[str, Any]

COLUMNS = 24


@dataclass(frozen=True, slots=True)
class GridPos:
    """A place on the grid of 24 columns; a grid unit is 30 pixels high with 8 between."""

    x: int
    y: int
    w: int
    h: int


@dataclass(frozen=True, slots=True)
class DashboardPanel:
    """One panel.

    Attributes:
        id: Its id in the dashboard.
        type: Grafana's plugin id; `row` for the heading of a row.
        title: Heading, variables not yet replaced.
        grid: Its place.
        raw: The JSON, in today's shape.
        scope: Values that a repeat gives to variables in this copy.
        folded: For the heading of a row that is drawn folded, how many panels it hides; else 0.
    """

    id: int
    type: str
    title: str
    grid: GridPos
    raw: Json = field(repr=False)
    scope: tuple[tuple[str, str], ...] = ()
    folded: int = 0

    @property
    def targets(self) -> list[Json]:
        """Return the queries that are switched on."""
        return [target for target in self.raw.get("targets") or [] if not target.get("hide")]

    @property
    def options(self) -> Json:
        """Return the panel's own options."""
        return self.raw.get("options") or {}

    @property
    def defaults(self) -> Json:
        """Return the field settings that hold for all fields."""
        return (self.raw.get("fieldConfig") or {}).get("defaults") or {}

    @property
    def custom(self) -> Json:
        """Return the panel type's own part of the field settings."""
        return self.defaults.get("custom") or {}

    @property
    def name(self) -> str:
        """Return how messages call the panel."""
        return f"panel {self.id} ({self.title})" if self.title else f"panel {self.id} (untitled {self.type})"


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard.

    Attributes:
        uid: Its uid, or the file's name where the JSON has none.
        title: Heading.
        path: The file it came from.
        raw: The JSON.
        panels: Panels and row headings in reading order; panels of collapsed rows included, where they would open.
    """

    uid: str
    title: str
    path: Path
    raw: Json = field(repr=False)
    panels: tuple[DashboardPanel, ...] = ()

    def as_it_opens(self) -> Dashboard:
        """Return the dashboard as Grafana shows it first: of a collapsed row the heading only."""
        return replace(self, panels=tuple(_panels(self.raw, unfold=False)))

    @property
    def variables(self) -> list[Json]:
        """Return the declared variables."""
        return list((self.raw.get("templating") or {}).get("list") or [])

    @property
    def annotations(self) -> list[Json]:
        """Return the annotation queries that are switched on."""
        listed = (self.raw.get("annotations") or {}).get("list") or []
        return [annotation for annotation in listed if annotation.get("enable", True)]

    @property
    def time(self) -> tuple[str, str]:
        """Return the time range that the dashboard opens with."""
        time = self.raw.get("time") or {}
        return str(time.get("from") or "now-6h"), str(time.get("to") or "now")

    @property
    def timezone(self) -> str:
        """Return the dashboard's time zone; `browser` and nothing mean UTC here, where there is no browser."""
        zone = self.raw.get("timezone") or "utc"
        return "utc" if zone == "browser" else str(zone)

    def panel(self, name: str) -> DashboardPanel:
        """Return the panel with the id or title.

        Raises:
            RenderError: If there is none.
        """
        for panel in self.panels:
            if panel.type != "row" and name in (str(panel.id), panel.title):
                return panel
        for panel in self.panels:
            if panel.type != "row" and panel.title.lower() == name.lower():
                return panel
        panels = [panel for panel in self.panels if panel.type != "row"]
        everything = ", ".join(f"{panel.id} ({panel.title})" for panel in panels)
        known = meant(name, [panel.title for panel in panels], f"it has {everything}")
        raise RenderError(f"{self.uid} has no panel {name!r}; {known}")


def load_dashboard(path: Path) -> Dashboard:
    """Read a dashboard from a file, in any of the formats that Grafana writes.

    Raises:
        RenderError: If it is no dashboard JSON, or in a format that is not known.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8-sig"))
        # JSON may escape halves of characters, which no picture and no page can hold.
        raw = json.loads(json.dumps(raw, ensure_ascii=False).encode(errors="replace"))
    except (OSError, ValueError, RecursionError) as error:
        if path.suffix in _SOURCES and not isinstance(error, OSError):
            raise RenderError(f"{path}: is no JSON; {_NAMED_BY}") from error
        raise RenderError(f"{path}: cannot be read as JSON: {why_no_json(error)}") from error
    raw = formats.classic(raw, str(path))
    return Dashboard(
        uid=str(raw.get("uid") or path.stem),
        title=str(raw.get("title") or path.stem),
        path=path,
        raw=raw,
        panels=tuple(_panels(raw)),
    )


def find_dashboards(names: list[str], generated: Path) -> list[Dashboard]:
    """Return the dashboards with these uids or paths; all generated ones when none is named.

    Args:
        names: uids of generated dashboards, files, or folders of files.
        generated: Where generated dashboards are.

    Raises:
        RenderError: If a name is neither.
    """
    if not names:
        names = [str(generated)]
    found: list[Dashboard] = []
    ours: dict[str, Dashboard] | None = None
    for name in names:
        path = Path(name)
        if path.is_dir():
            # What is no file, such as a FIFO, would be waited for.
            files = (
                file for file in sorted(path.rglob("*.json")) if file.is_file() and file.name != formats.FOLDER_FILE
            )
            found += [load_dashboard(file) for file in files]
        elif path.is_file():
            found.append(load_dashboard(path))
        else:
            if ours is None:
                ours = {
                    dashboard.uid: dashboard for dashboard in map(load_dashboard, sorted(generated.rglob("*.json")))
                }
            if name not in ours:
                known = meant(name, ours, f"there are: {', '.join(sorted(ours)) or f'none in {generated}'}")
                raise RenderError(f"no dashboard {name!r}: neither a file nor a known uid; {known}")
            found.append(ours[name])
    if not found:
        raise RenderError(none_in(names))
    return found


def none_in(names: Sequence[str]) -> str:
    """Return that there are no dashboards in folders, and what of pages that are there may be meant."""
    sources = any(path.suffix in _SOURCES for name in names for path in Path(name).glob("*"))
    return f"no dashboard JSON in {', '.join(names)}{f'; {_NAMED_BY}' if sources else ''}"


def _panels(raw: Json, *, unfold: bool = True) -> Iterator[DashboardPanel]:
    shown = (panel for panel in raw["panels"] if not panel.get("hideHeader"))
    listed = sorted(shown, key=lambda panel: (_grid(panel).y, _grid(panel).x))
    shift = 0
    for one in listed:
        panel = _panel(one, shift)
        children = (one.get("panels") or []) if panel.type == "row" else []
        if not unfold and panel.raw.get("collapsed"):
            yield replace(panel, folded=len(children))
            continue
        yield panel
        if not children:
            continue
        # A collapsed row keeps its panels inside and takes one unit; opened, what follows moves down.
        top = min(_grid(child).y for child in children)
        below = panel.grid.y + 1
        opened = [_panel(child, below - top) for child in children]
        yield from sorted(opened, key=lambda child: (child.grid.y, child.grid.x))
        shift += max(child.grid.y + child.grid.h for child in opened) - below


def _grid(raw: Json) -> GridPos:
    grid = raw.get("gridPos") or {}
    width = max(1, min(int(grid.get("w", 12)), COLUMNS))
    return GridPos(
        x=max(0, min(int(grid.get("x", 0)), COLUMNS - width)),
        y=int(grid.get("y", 0)),
        w=width,
        h=max(1, int(grid.get("h", 8))),
    )


def _panel(raw: Json, shift: int) -> DashboardPanel:
    raw = migrate_panel(raw)
    grid = _grid(raw)
    return DashboardPanel(
        id=int(raw.get("id") or 0),
        type=str(raw.get("type") or ""),
        title=str(raw.get("title") or ""),
        grid=GridPos(grid.x, grid.y + shift, grid.w, grid.h),
        raw=raw,
    )
