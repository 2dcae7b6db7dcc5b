"""What changed of values in JSON, each by where it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ml_monitoring.alerting.model.promql import normalised
from ml_monitoring.exporter.differences import Change

Json = dict[str, Any]

# What is said of a query that asks the same.
SAME_QUERY: Final = "is written otherwise, with the same meaning"
_QUERIES: Final = frozenset({"expr", "query", "definition"})
# By what parts of a list are called.
_NAMES: Final = ("title", "name", "id", "displayName", "refId")


def changed_values(
    where: str, old: Json, new: Json, ignored: frozenset[str] = frozenset(), path: str = "", *, whose: str = ""
) -> Iterator[Change]:
    """Return what changed of two mappings, and of those within them, in the order of their keys.

    Args:
        where: What they are of.
        old: Before.
        new: After.
        ignored: Keys of which it is said elsewhere.
        path: Where the mappings are.
        whose: What stands behind each key.
    """
    for key in sorted({*old, *new} - ignored):
        one, other = old.get(key), new.get(key)
        at = f"{path}{key}"
        if {type(one), type(other)} in ({dict}, {dict, type(None)}):
            yield from changed_values(where, one or {}, other or {}, path=f"{at}.", whose=whose)
        elif one != other and (pairs := _pairs(one, other)):
            for place, (part, another) in enumerate(pairs, 1):
                name = _name(part, f"#{place}")
                yield from changed_values(where, part, another, path=f"{at}.{name}.", whose=whose)
        elif one != other and (parts := _come_or_gone(one, other)):
            yield Change(where, f"{at}{whose} {parts[0]}", "", parts[1])
        elif one != other:
            word = changed_query(one, other) if key in _QUERIES else "changed"
            if not whose:
                one, other = _or_opposite(one, other), _or_opposite(other, one)
            yield Change(where, f"{at}{whose} {word}", text_of(one), text_of(other))


def changed_query(old: Any, new: Any) -> str:
    """Return whether a query changed, or no more than the order of its matchers, or white space."""
    is_same = isinstance(old, str) and isinstance(new, str) and normalised(old) == normalised(new)
    return SAME_QUERY if is_same else "changed"


def text_of(value: Any) -> str:
    """Return a value in one line."""
    if value is None:
        return "nothing"
    if value == "":
        return "empty"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def renamed_keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """Return which keys are others now: those gone whose value is, once in both, that of a key that came."""
    gone, come = ([key for key in one if key not in other] for one, other in ((old, new), (new, old)))
    values = [old[key] for key in gone], [new[key] for key in come]
    return {key: come[values[1].index(old[key])] for key in gone if all(each.count(old[key]) == 1 for each in values)}


def _or_opposite(value: Any, other: Any) -> Any:
    """Return a value, or where none is said what is not the other one: only what is no default is said."""
    return not other if value is None and isinstance(other, bool) else value


def _come_or_gone(old: Any, new: Any) -> tuple[str, str] | None:
    """Return which parts of a list came, or went, when nothing else changed."""
    lists = [one if isinstance(one, list) else [] if one is None else None for one in (old, new)]
    if lists[0] is None or lists[1] is None or not all(isinstance(one, dict) for one in (*lists[0], *lists[1])):
        return None
    for word, these, those in (("added", lists[1], lists[0]), ("removed", lists[0], lists[1])):
        rest = [one for one in these if one not in those]
        if rest and [one for one in these if one in those] == those:
            return word, ", ".join(_name(one, text_of(one)) for one in rest)
    return None


def _name(part: Json, otherwise: str) -> str:
    return next((str(part[word]) for word in _NAMES if part.get(word)), otherwise)


def _pairs(old: Any, new: Any) -> list[tuple[Json, Json]]:
    """Return the parts of two lists of mappings that are as many."""
    if not (isinstance(old, list) and isinstance(new, list) and len(old) == len(new)):
        return []
    pairs = [*zip(old, new, strict=True)]
    return pairs if all(isinstance(one, dict) for pair in pairs for one in pair) else []
