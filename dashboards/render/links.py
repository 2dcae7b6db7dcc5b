"""Where links of panels and fields lead: Grafana's variables of links replaced, and what is no address left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

from ml_monitoring.dashboards.render.display import Style, show
from ml_monitoring.dashboards.render.frames import Field, Frame
from ml_monitoring.dashboards.render.variables import Value, Variables, formatted

Json = dict[str, Any]

_KEY = r"""(?:\.(?P<{0}word>\w+)|\[(?:"(?P<{0}double>[^"]*)"|'(?P<{0}single>[^']*)'|(?P<{0}place>\d+))\])"""
_REFERENCE = re.compile(
    r"\$\{__(?:"
    rf"(?P<data>data\.fields){_KEY.format('data_')}"
    rf"|(?P<label>field\.labels){_KEY.format('label_')}"
    r"|(?P<name>field\.(?:name|displayName)|series\.name)"
    r"|(?P<value>value)\.(?P<part>raw|text|numeric|time)"
    r")(?::(?P<form>\w+))?\}"
)


@dataclass(frozen=True, slots=True)
class Link:
    """A link that can be followed.

    Attributes:
        url: Where it leads.
        title: What it says.
        apart: Whether it opens a page of its own.
    """

    url: str
    title: str
    apart: bool = False

    def around(self, content: str, *, named: bool = False) -> str:
        """Return HTML as the content of the link, which the title names where the content is a mere sign."""
        hint = escape(self.title, quote=True)
        more = (" target='_blank'" if self.apart else "") + (f" aria-label='{hint}'" if named else "")
        return f"<a href='{escape(self.url, quote=True)}' title='{hint}' rel='noopener noreferrer'{more}>{content}</a>"


@dataclass(frozen=True, slots=True)
class Cell:
    """The value that a link belongs to: its field, the frame around it, its row, and how it is shown."""

    field: Field
    frame: Frame
    row: int
    style: Style


def links_of(
    declared: Any, variables: Variables, cell: Cell | None = None, *, leads: Callable[[str], bool] = lambda _: False
) -> Iterator[Link]:
    """Yield the links that can be followed from a page.

    Args:
        declared: `links` of a panel or a field.
        variables: The variables as the panel sees them.
        cell: The value that they belong to.
        leads: Whether an address without a host leads anywhere from the page; one with http(s) always does.
    """
    for one in declared or []:
        url = resolved(str(one.get("url") or ""), variables, cell)
        if url.startswith(("http://", "https://")) or (url.startswith("/") and not url.startswith("//") and leads(url)):
            title = variables.title(_of_cell(str(one.get("title") or ""), cell, "text"))
            yield Link(url, title or url, bool(one.get("targetBlank")))


def resolved(url: str, variables: Variables, cell: Cell | None = None) -> str:
    """Return an address with Grafana's variables of links replaced."""
    if "__all_variables" in url:
        url = url.replace("${__all_variables}", all_variables(variables)).replace(
            "$__all_variables", all_variables(variables)
        )
    return variables.address(_of_cell(url, cell, "percentencode")).strip()


def all_variables(variables: Variables) -> str:
    """Return all variables as the query of an address."""
    found = (formatted(name, value, "queryparam") for name, value in variables.values.items())
    return "&".join(part for part in found if part)


def _of_cell(text: str, cell: Cell | None, default: str) -> str:
    if cell is None:
        return text

    def one(found: re.Match[str]) -> str:
        value = _value(found, cell)
        return found[0] if value is None else formatted("", Value((value,), (value,)), found["form"] or default)

    return _REFERENCE.sub(one, text)


def _value(found: re.Match[str], cell: Cell) -> str | None:
    if found["data"]:
        wanted = _key(found, "data_")
        field: Field | None
        if found["data_place"]:
            field = cell.frame.fields[int(wanted)] if int(wanted) < len(cell.frame.fields) else None
        else:
            field = next((one for one in cell.frame.fields if wanted in (one.display, one.name)), None)
        return None if field is None or cell.row >= len(field.values) else _shown(field, cell)
    if found["label"]:
        return cell.field.labels.get(_key(found, "label_"), "")
    if found["name"]:
        return cell.field.name if found["name"] == "field.name" else cell.field.display
    if found["part"] == "time":
        time = cell.frame.time
        return "" if time is None else str(round(time.values[cell.row]))
    return _shown(cell.field, cell) if found["part"] == "text" else str(cell.field.values[cell.row])


def _key(found: re.Match[str], prefix: str) -> str:
    return next(
        found[prefix + kind] for kind in ("word", "double", "single", "place") if found[prefix + kind] is not None
    )


def _shown(field: Field, cell: Cell) -> str:
    return str(show(field.values[cell.row], field, cell.style))
