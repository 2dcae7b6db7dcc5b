"""Which data source is asked, in whatever form a page names it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ml_monitoring.exporter.differences import Change

Json = dict[str, Any]


def source_changes(where: str, old: Any, new: Any, path: str = "") -> Iterator[Change]:
    """Return that another data source is asked.

    Args:
        where: What asks it.
        old: Before: uid and type, or no more than its name, as Grafana 8 and older wrote it; None if it is the default.
        new: The same afterwards.
        path: Where it is named.
    """
    (one, kind), (other, later) = _named(old), _named(new)
    if one != other:
        yield Change(where, f"{path}data source changed", *(name or "the default one" for name in (one, other)))
    elif kind and later and kind != later:
        yield Change(where, f"{path}type of the data source changed", kind, later)


def are_same(old: Any, new: Any) -> bool:
    """Tell whether two data sources are the same."""
    return not [*source_changes("", old, new)]


def source_of(panel: Json) -> Any:
    """Return the data source that a panel names, or that all its queries do."""
    own = [target.get("datasource") for target in panel.get("targets") or []]
    return panel.get("datasource") or next((one for one in own[:1] if own.count(one) == len(own)), None)


def _named(source: Any) -> tuple[str, str]:
    """Return uid and type of a data source, empty where they are not said."""
    if isinstance(source, dict):
        return str(source.get("uid") or ""), str(source.get("type") or "")
    return str(source or ""), ""
