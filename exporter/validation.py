"""All that is wrong with settings at once: what cannot be used is left out, and the rest is checked again.

pydantic compares the fields of a model with each other only where each of them can be used, and what settings mean
beside each other can be checked only where there are settings. So a mistake would hide those that are found later.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from ml_monitoring.exporter.settings_file import Layers, copied
from ml_monitoring.exporter.settings_hints import MEANT, MISSING, Location, fields_at, is_known

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(slots=True)
class Checked(Generic[_Model]):
    """Settings, and what is wrong with them.

    Attributes:
        usable: The settings without what cannot be used; None where nothing is left.
        problems: Location of each problem, and what is wrong.
        left_out: What cannot be used, or was put in the place of what is missing.
        indexes: Of lists without some of their items, the places that the others had.
    """

    usable: _Model | None = None
    problems: list[tuple[Location, str]] = field(default_factory=list)
    left_out: set[Location] = field(default_factory=set)
    indexes: dict[Location, list[int]] = field(default_factory=dict)

    def original(self, location: Location) -> Location:
        """Return where something that is left stood in the whole."""
        found: Location = ()
        for part in location:
            known = self.indexes.get(found)
            found = (*found, known[part] if known is not None and isinstance(part, int) else part)
        return found

    def touches(self, location: Location) -> bool:
        """Tell whether nothing can be said of a setting, as it, a part of it or what it is a part of was left out."""
        return any(_is_of(location, other) or _is_of(other, location) for other in self.left_out)


def check(layers: Layers, model: type[_Model]) -> Checked[_Model]:
    """Return what can be used of settings, and all that is wrong with them.

    In place of what cannot be used or is missing count the defaults of the layers, else the first example of a field
    that is required.

    Args:
        layers: The settings.
        model: What they are to be.
    """
    checked: Checked[_Model] = Checked()
    rest = _Rest(layers, model, checked)
    # Without a value, they took away what there was not.
    for at in layers.locations:
        above = layers.value(at[:-1])
        if at and isinstance(above, dict) and at[-1] not in above and not is_known(model, at):
            rest.layers.value(at[:-1])[at[-1]] = None
    is_first = True
    while True:
        try:
            checked.usable = model.model_validate(rest.layers.data)
        except ValidationError as error:
            for at, message in rest.layers.problems(error, model):
                place = checked.original(at)
                if is_first or not _follows(place, message, checked.left_out, model):
                    checked.problems.append((place, message))
                    # What is misspelt is not missing.
                    checked.left_out |= {(*place[:-1], meant) for meant in MEANT.findall(message)}
            if not rest.leave_out(error):
                return checked
            is_first = False
        else:
            return checked


def _is_of(location: Location, whole: Location) -> bool:
    return location[: len(whole)] == whole


def _follows(place: Location, message: str, left_out: set[Location], model: type[BaseModel]) -> bool:
    """Tell whether a problem is there only because something was left out."""
    # All that is missing was found at first.
    if message == MISSING:
        return True
    for other in left_out:
        if _is_of(place, other):
            return True
        if _is_of(other, place):
            key, *below = map(str, other[len(place) :])
            # An item, or what has a name of the user's choice: all of them are meant.
            if key not in fields_at(model, place):
                return True
            # A message can begin with a place of its own, such as `metrics.sales: `.
            head, *rest = message.partition(":")[0].split(".")
            if head == key and rest:
                if all(one == another for one, another in zip(rest, below, strict=False)):
                    return True
            elif re.search(rf"\b{re.escape(key)}\b", message):
                return True
    # Or it was compared with a setting beside it.
    beside = {
        str(other[len(place) - 1]) for other in left_out if _is_of(other, place[:-1]) and len(other) >= len(place)
    }
    return any(re.search(rf"\b{re.escape(one)}\b", message) for one in beside & fields_at(model, place[:-1]).keys())


class _Rest:
    """What is left of settings.

    Args:
        layers: The settings.
        model: What they are to be.
        checked: Gets what is left out.
    """

    def __init__(self, layers: Layers, model: type[BaseModel], checked: Checked[Any]) -> None:
        self.layers = copy.copy(layers)
        self.layers.data = copied(layers.data)
        self._model = model
        # Only once: what takes their place may be no better.
        self._replaced: set[Location] = set()
        self._checked = checked

    def leave_out(self, error: ValidationError) -> bool:
        """Take away what is wrong, and note it; return whether anything changed."""
        wrong = {location: kind for kind, location in self.layers.wrong(error)}
        # Items from the last one to the first, so that none of them moves before it is taken away.
        order = sorted(wrong, key=lambda location: [(isinstance(part, int), part) for part in location], reverse=True)
        # Before any goes, as what stood behind an item then has another index, and what is below it none at all.
        places = {location: self._checked.original(location) for location in order}
        gone: set[Location] = set()
        for location in order:
            # What is below something that went, went with it.
            if not any(_is_of(location, other) for other in gone):
                gone |= self._leave_out(location, places[location], wrong[location])
        return bool(gone)

    def _leave_out(self, location: Location, whole: Location, kind: str) -> set[Location]:
        left_out = self._checked.left_out
        for depth in range(len(location), 0, -1):
            *above, key = location[:depth]
            place, node = whole[:depth], self.layers.value(tuple(above))
            if depth < len(location) and place in left_out - self._replaced:
                # It went with another part.
                return set()
            if isinstance(node, dict):
                other = self._in_place_of(place)
                if other is not None and place not in self._replaced and node.get(key) != other:
                    self._replaced.add(place)
                    node[key] = copied(other)
                elif key in node:
                    del node[key]
                else:
                    continue
            elif isinstance(node, list) and isinstance(key, int) and key < len(node):
                at = place[:-1]
                indexes = self._checked.indexes.setdefault(at, list(range(len(node))))
                del node[key], indexes[key]
            else:
                continue
            # What nothing knows is missed by nothing.
            if kind != "extra_forbidden":
                left_out.add(place)
            return {location[:depth]}
        return set()

    def _in_place_of(self, place: Location) -> Any:
        node: Any = self.layers.defaults
        for part in place:
            node = node.get(part) if isinstance(node, Mapping) else None
        if node is None and (field := fields_at(self._model, place[:-1]).get(str(place[-1]))) and field.is_required():
            return next(iter(field.examples or ()), None)
        return node


def fitting(checked: Checked[Any], found: Iterator[tuple[Location, str]]) -> Iterator[tuple[Location, str]]:
    """Yield problems of what can be used: not those of settings that were left out, or that parts were left out of."""
    said = ((checked.original(at), message) for at, message in found)
    yield from (problem for problem in said if not checked.touches(problem[0]))
