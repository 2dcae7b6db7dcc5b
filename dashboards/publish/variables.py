"""What changed of the variables and annotations of a page, and which panels read variables that are gone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from ml_monitoring.dashboards.publish.defaults import as_builtin
from ml_monitoring.dashboards.publish.values import changed_values, renamed_keys, text_of
from ml_monitoring.exporter.differences import Change

Json = dict[str, Any]

# What the same variable has otherwise under another name.
_NAMES: Final = frozenset({"name", "label", "current"})


def listed_changes(kind: str, old: Any, new: Any) -> Iterator[Change]:
    """Return the changes of variables or annotations.

    Args:
        kind: What they are, in a word.
        old: Their list before, None where there is none.
        new: The same afterwards.
    """
    before, after = _by_name(old), _by_name(new)
    for one, others in ((before, after), (after, before)):
        one.update(
            {name: as_builtin(other) for name, other in others.items() if other.get("builtIn") and name not in one}
        )
    renamed = {other: name for name, other in _renamed(before, after).items()}
    for name in sorted({*before, *after} - {*renamed.values()}):
        where = f"{kind} {name}"
        if name in renamed:
            yield Change(where, "renamed", renamed[name], name)
        if name not in after:
            yield Change(where, "removed")
        elif name not in before and name not in renamed:
            asked = after[name].get("query") or after[name].get("expr")
            yield Change(where, "added", "", text_of(asked) if asked else "")
        else:
            one, other = before[renamed.get(name, name)], after[name]
            chosen = [_chosen(each.get("current")) for each in (one, other)]
            if chosen[0] != chosen[1]:
                yield Change(where, "default changed", *chosen)
            ignored = {"current"} if chosen[0] != chosen[1] else set[str]()
            if _definition(one) == one.get("query") and _definition(other) == other.get("query"):
                ignored.add("definition")
            if name in renamed:
                ignored.add("name")
            one, other = ({**each, "definition": _definition(each)} for each in (one, other))
            yield from changed_values(where, one, other, frozenset(ignored))
    orders = [[name for name in one if name in other] for one, other in ((before, after), (after, before))]
    if orders[0] != orders[1]:
        yield Change(f"{kind}s", "looks of order changed", *(", ".join(one) for one in orders))


def renamed_variables(old: Json, new: Json) -> dict[str, str]:
    """Return which variables of a page have another name afterwards, and are the same but for it."""
    return _renamed(_variables(old), _variables(new))


def still_read(old: Json, new: Json, panels: Iterable[Json]) -> Iterator[Change]:
    """Return the variables that are gone although panels read them.

    Args:
        old: The page before.
        new: The same afterwards.
        panels: All panels afterwards.
    """
    for name in sorted(_variables(old).keys() - _variables(new).keys()):
        if readers := [str(panel.get("title")) for panel in panels if _reads(panel, name)]:
            yield Change(f"variable {name}", "still read by panels, although it is gone", "", ", ".join(readers))


def with_names(panel: Json, renamed: Mapping[str, str], later: Json) -> Json:
    """Return a panel with the names that variables have later, unless it reads the earlier ones later too."""
    for name, other in renamed.items():
        if not _reads(later, name):
            panel = json.loads(_reference(name).sub(rf"\g<1>{other}", json.dumps(panel)))
    return panel


def _definition(part: Json) -> Any:
    """Return the copy of a variable's query that lists show."""
    return part.get("definition") or part.get("query")


def _variables(page: Json) -> dict[str, Json]:
    return _by_name((page.get("templating") or {}).get("list"))


def _by_name(parts: Any) -> dict[str, Json]:
    return {str(one.get("name")): one for one in parts or []}


def _renamed(before: Mapping[str, Json], after: Mapping[str, Json]) -> dict[str, str]:
    nameless = (
        {name: {key: value for key, value in one.items() if key not in _NAMES} for name, one in variables.items()}
        for variables in (before, after)
    )
    return renamed_keys(*nameless)


def _reads(panel: Json, variable: str) -> bool:
    return _reference(variable).search(json.dumps(panel)) is not None


def _reference(variable: str) -> re.Pattern[str]:
    return re.compile(rf"(\$\{{?|\[\[){re.escape(variable)}\b")


def _chosen(current: Any) -> str:
    """Return what of a variable is chosen when the page opens."""
    value = current.get("value") if isinstance(current, dict) else current
    listed = value if isinstance(value, list) else [value]
    return ", ".join("all" if one == "$__all" else "" if one is None else str(one) for one in listed) or "nothing"
