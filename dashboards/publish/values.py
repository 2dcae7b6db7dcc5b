"""What changed of values in JSON, each by where it is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ml_monitoring.alerting.model.promql import normalised
from ml_monitoring.dashboards.publish.defaults import default_at
from ml_monitoring.dashboards.publish.sources import source_changes
from ml_monitoring.exporter.differences import Change

Json = dict[str, Any]

# What is said of a query that asks the same.
SAME_QUERY: Final = "is written otherwise, with the same meaning"
_QUERIES: Final = frozenset({"expr", "query", "definition"})
# By what parts of a list are called.
_NAMES: Final = ("title", "name", "id", "displayName", "refId", "text", "key")


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
        if key == "datasource":
            yield from source_changes(where, one, other, path)
        elif {type(one), type(other)} in ({dict}, {dict, type(None)}):
            yield from changed_values(where, one or {}, other or {}, path=f"{at}.", whose=whose)
        elif one != other and (lists := _lists(one, other)):
            yield from _changed_parts(where, *lists, at, whose)
        elif one != other:
            word = changed_query(one, other) if key in _QUERIES else "changed"
            sides = (_or_default(value, against, at) for value, against in ((one, other), (other, one)))
            yield Change(where, f"{at}{whose} {word}", *map(text_of, sides))


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
    gone, come = ({key: one[key] for key in one if key not in other} for one, other in ((old, new), (new, old)))
    return matched(gone, come)


def matched(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """Return by which key each value is found afterwards that is once in both."""
    texts = [{key: json.dumps(value, sort_keys=True) for key, value in one.items()} for one in (old, new)]
    counts = [Counter(one.values()) for one in texts]
    by_text = {text: key for key, text in texts[1].items()}
    return {key: by_text[text] for key, text in texts[0].items() if counts[0][text] == counts[1][text] == 1}


def _or_default(value: Any, other: Any, path: str) -> Any:
    """Return a value, or where none is said what Grafana takes: of what is yes or no not the other one."""
    if value is not None:
        return value
    return not other if isinstance(other, bool) else default_at(path)


def _lists(old: Any, new: Any) -> tuple[list[Json], list[Json]] | None:
    """Return two lists of mappings, of which one may not be there."""
    lists = [one if isinstance(one, list) else [] if one is None else None for one in (old, new)]
    if lists[0] is None or lists[1] is None or not all(isinstance(one, dict) for one in (*lists[0], *lists[1])):
        return None
    return lists[0], lists[1]


def _changed_parts(where: str, old: list[Json], new: list[Json], at: str, whose: str) -> Iterator[Change]:
    """Return what changed of parts of a list, each known by its name, or else by its place."""
    before, after = _by_name(old), _by_name(new)
    same = {name: name for name in before if name in after}
    left = [name for name in before if name not in after], [name for name in after if name not in before]
    if len(left[0]) == len(left[1]):
        same |= {one: other for one, other in zip(*left, strict=True) if _are_alike(before[one], after[other])}
    one_of_them = at.removesuffix("s")
    for name, part in before.items():
        if name in same:
            yield from changed_values(where, part, after[same[name]], path=f"{at}.{same[name]}.", whose=whose)
        else:
            yield Change(where, f"{one_of_them}{whose} removed", "", _described(name, part))
    for name, part in after.items():
        if name not in same.values():
            yield Change(where, f"{one_of_them}{whose} added", "", _described(name, part))
    orders = [same[name] for name in before if name in same], [name for name in after if name in same.values()]
    if orders[0] != orders[1]:
        yield Change(where, f"{at}{whose} in another order", *map(", ".join, orders))


def _by_name(parts: list[Json]) -> dict[str, Json]:
    """Return parts by their names, with a number where there is none, or one that another part has before it."""
    found: dict[str, Json] = {}
    counts = Counter[str]()
    for part in parts:
        name = next((str(part[word]) for word in _NAMES if part.get(word)), "")
        counts[name] += 1
        found[name if name and counts[name] == 1 else f"{name}#{counts[name]}"] = part
    return found


def _are_alike(old: Json, new: Json) -> bool:
    """Tell whether most of two parts is the same but for their names."""
    keys = {*old, *new} - {*_NAMES}
    return bool(keys) and 2 * sum(old.get(key) == new.get(key) for key in keys) >= len(keys)


def _described(name: str, part: Json) -> str:
    """Return the name of a part with what it is: the address of a link, the options of a transformation."""
    rest = {key: value for key, value in part.items() if key not in _NAMES}
    if "url" in rest:
        return f"{name} ({rest['url']})"
    (value,) = rest.values() if len(rest) == 1 else (rest,)
    return f"{name} {text_of(value)}" if value else name
