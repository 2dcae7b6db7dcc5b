"""Settings from YAML files and other places, in layers, so that each problem is named by file and line.

Layers are merged like this: a mapping is merged key by key, anything else (lists too) takes the place of what is below
it, and `null` in an upper layer takes away what is below it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.redaction import redact
from ml_monitoring.exporter.settings_hints import (
    ALERTING_KEYS,
    BELOW_A_NAME,
    COMMENT,
    EXPORTER_KEYS,
    MEANT,
    MODELS,
    Location,
    choices_at,
    fields_at,
    first_field,
    instead,
    is_joined,
    is_key_among_names,
    key_suggestion,
    keys_at,
    missing_key,
    models_in,
    other_name,
    takes_names,
    takes_settings,
)
from ml_monitoring.exporter.settings_places import elsewhere
from ml_monitoring.exporter.settings_words import words
from ml_monitoring.exporter.value_hints import form_hint
from ml_monitoring.exporter.values import FileSecret
from ml_monitoring.exporter.yaml_files import Places, has_comment_for_value, is_left_empty, line_hint, read

# So much alike, from 0 to 1, are a key and what it is a typo of.
_TYPO: Final = 0.8


def first_of(places: Sequence[Path]) -> list[Path]:
    """Return the first of the files that are read where none is named; none where there is none.

    Raises:
        ConfigError: One is there under the other ending of YAML, under which nothing reads it.
    """
    for path in places:
        if path.is_file():
            return [path]
        if (other := path.with_suffix(".yaml")).is_file():
            raise ConfigError([f"{other}: is read under the name {path.name} only: rename it"])
    return []


def files_of(variable: str, paths: str) -> list[Path]:
    """Return the files that a variable names, separated by colons.

    Raises:
        ConfigError: There is no such file.
    """
    if "://" in paths:
        raise ConfigError([f"{variable}: holds an address, where paths of files belong"])
    files = [Path(name) for name in paths.split(os.pathsep) if name]
    if missing := [path for path in files if not path.exists()]:
        apart = f"; several are separated by {os.pathsep}"
        raise ConfigError(
            [
                f"{variable}: {path}: No such file or directory{apart if re.search('[,;]', str(path)) else ''}"
                for path in missing
            ]
        )
    return files


class Place(NamedTuple):
    """Where a setting was given.

    Attributes:
        layer: 0 for the lowest.
        origin: A file, or a variable of the environment.
        line: Of the file, from 1; 0 where it is no file.
    """

    layer: int
    origin: str
    line: int

    def __str__(self) -> str:
        return f"{self.origin}:{self.line}" if self.line else self.origin


class Layers:
    """Settings merged from several places.

    Attributes:
        data: All settings, as plain mappings, lists and scalars.
        takes_variables: Whether `${NAME}` was filled in; for hints.
        defaults: What counts in place of those that cannot be used, see `ml_monitoring.exporter.validation`.
    """

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}
        self.defaults: dict[str, Any] = {}
        self._places: dict[Location, Place] = {}
        self._count = 0
        self.takes_variables = False

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """Return the one layer of a file.

        Raises:
            ConfigError: See `read`.
        """
        layers = cls()
        layers.add_file(path)
        return layers

    def add_file(self, path: Path) -> None:
        """Lay a YAML file on top; an empty file changes nothing.

        Raises:
            ConfigError: See `read`.
        """
        self.add(*read(path))

    def add(self, data: Mapping[str, Any], places: Places) -> None:
        """Lay settings on top."""
        ranked = {location: Place(self._count, *place) for location, place in places.items()}
        self._lay(self.data, data, (), ranked)
        self._places |= {(): ranked[()]} if () in ranked else {}
        self._count += 1

    @property
    def locations(self) -> Iterator[Location]:
        """Yield the settings that were given."""
        yield from self._places

    def place(self, location: Location) -> Place | None:
        """Return where a setting was given; for one that was not, where what lacks it was.

        Where that has no place itself, as only variables of the environment give parts of it, it is that of a part.
        """
        return self._found(location)[0]

    def _found(self, location: Location) -> tuple[Place | None, bool]:
        """Return the place of a setting, and whether it is only that of a part of what lacks it."""
        while location:
            if location in self._places:
                return self._places[location], False
            below = (place for at, place in self._places.items() if at[: len(location)] == location)
            if part := next(below, None):
                return part, True
            location = location[:-1]
        return self._places.get(()), False

    def problem(self, location: Location, message: str) -> str:
        """Return the sentence about a setting: its place, its dotted location, and what is wrong."""
        place, of_part = self._found(location)
        # A URI in a wrong place can end up as a key, and in the words of what expects something else there.
        dotted, message = redact(".".join(map(str, location))), redact(message)
        if isinstance(secret := self.value(location), FileSecret):
            dotted = f"{dotted}_file"
            said = f"what {secret.path} holds {message}"
            message = said if secret.get_secret_value() else f"{secret.path} is empty"
        # A variable says by its name which setting it is.
        is_said = place is not None and not place.line and not of_part
        return ": ".join([*([str(place)] if place else []), *([] if is_said or not dotted else [dotted]), message])

    def sentences(
        self, problems: Iterable[tuple[Location, str]], others: Iterable[tuple[Place, str]] = ()
    ) -> list[str]:
        """Return the sentence about each problem, see `problem`, in the order of files and lines.

        Args:
            problems: Where each is, and what is wrong.
            others: Sentences that there are already, each with its place.
        """
        found = [(self.place(at) or Place(0, "", 0), self.problem(at, message)) for at, message in problems]
        return [sentence for _, sentence in sorted([*others, *found], key=itemgetter(0))]

    def problems(self, error: ValidationError, model: type[BaseModel]) -> list[tuple[Location, str]]:
        """Return the location of each problem, and what is wrong; input that may be a secret is not quoted.

        Args:
            error: What is wrong.
            model: What the settings were to be.
        """
        found: list[tuple[Location, str]] = []
        said = error.errors(include_url=False, include_input=False)
        meant: set[tuple[Location, str]] = set()
        lacking = {self._written(each["loc"], is_missing=True) for each in said if each["type"] == "missing"}
        # What is missing may be what is misspelt: the typo first.
        for problem in sorted(said, key=lambda one: one["type"] == "missing"):
            location = self._written(problem["loc"], is_missing=problem["type"] == "missing")
            if problem["type"] == "missing" and location and (location[:-1], location[-1]) in meant:
                # The typo says it.
                continue
            if problem["type"] == "too_short" and any(self._is_below(each["loc"], problem["loc"]) for each in said):
                # It is so because of what is wrong with those that there are.
                continue
            if problem["type"] == "extra_forbidden":
                beside = {str(at[-1]) for at in lacking if at[:-1] == location[:-1]}
                hint = missing_key(location[-1], beside)
                if not hint and self._is_name(model, location):
                    # What is missing belongs below it.
                    meant |= {(location[:-1], name) for name in beside}
                    found.append((location, self._without_settings(model, location)))
                    continue
                hint = hint or self._hint(model, location)
                meant |= {(location[:-1], name) for name in MEANT.findall(hint)}
                message = f"unknown key{hint}"
                location = self._variable_below(location)
            else:
                message = COMMENT if self._is_comment(location) else self._words(problem, location)
            if problem["type"] == "union_tag_not_found":
                message += f": one of {', '.join(choices_at(model, location, 'kind'))}"
            if problem["type"] in MODELS and is_key_among_names(model, location):
                message = BELOW_A_NAME
            elif problem["type"] == "model_type":
                if any(
                    self._lacks_indent(model, location, self._written(each["loc"], is_missing=False)) for each in said
                ):
                    # What belongs below it says so.
                    continue
                message = self._without_settings(model, location)
            # What is compared in one place may find several.
            is_ours = problem["type"] == "value_error"
            found += [
                self._of_its_key(model, location, line) if is_ours else (location, line)
                for line in message.splitlines()
            ]
        return found

    def _of_its_key(self, model: type[BaseModel], location: Location, message: str) -> tuple[Location, str]:
        """Return the given setting of a message that begins with its name below the section that it was found in."""
        names, colon, said = message.partition(": ")
        key, *below = names.split(".")
        at = (*location, key, *below)
        is_key = colon and " " not in names and key in keys_at(model, location) and self.value(at) is not None
        return (at, said) if is_key else (location, message)

    def _words(self, problem: ErrorDetails, location: Location) -> str:
        """Return what is wrong with a value, and what of it YAML has read otherwise than it is meant."""
        value, place = self.value(location), self._places.get(location)
        said = form_hint(value, takes_variables=self.takes_variables) or words(problem, value)
        if place is None or not place.line:
            return said
        return said + line_hint(
            place.origin, place.line, value, is_item=location != () and isinstance(location[-1], int)
        )

    def _hint(self, model: type[BaseModel], location: Location) -> str:
        """Return which key may be meant by an unknown one, or where it belongs, as the end of a message."""
        if said := instead(model, location):
            return said
        near = key_suggestion(model, location)
        if other_name(model, location):
            return near
        places = elsewhere(model, location)
        # That a key exists elsewhere says more than that another one looks a little like it.
        is_typo = bool(get_close_matches(str(location[-1]), fields_at(model, location[:-1]), 1, _TYPO))
        said = self._misplaced(model, location) or (near if is_typo else places or near)
        return said or (f"; there are: {', '.join(fields_at(model, ()))}" if len(location) == 1 else "")

    def _misplaced(self, model: type[BaseModel], location: Location) -> str:
        """Return which line is indented wrongly, or which file is the wrong one; nothing where neither is known."""
        *above, key = location
        if not above:
            if key == "groups":
                return ": this looks like a file of rules of Prometheus, which goes below its `rule_files`"
            for keys, said in ((EXPORTER_KEYS, "the exporter (--config.file)"), (ALERTING_KEYS, "alerts (--settings)")):
                if key in keys and key not in model.model_fields:
                    return f": it is a setting of {said}, whose file is another one"
        fields = fields_at(model, tuple(above))
        takes = [
            name
            for name, field in fields.items()
            if any(key in each.model_fields for each in models_in(field.annotation))
        ]
        beside = self.value(tuple(above)) or {}
        empty = [name for name in takes if name in beside and beside[name] is None]
        if empty:
            return f"; indent it further than {empty[0]}, which it belongs below"
        for depth in range(len(above) - 1, 0, -1):
            field = keys_at(model, tuple(above[:depth])).get(str(key))
            # What is no settings is none there, and the other way round.
            if field and takes_settings(field.annotation) is isinstance(self.value(location), dict):
                return f"; it belongs beside {above[depth]}, not below it"
        return ""

    def _is_name(self, model: type[BaseModel], location: Location) -> bool:
        """Tell whether an unknown key is a name of the user's choice whose settings are not below it."""
        *above, key = location
        fields = fields_at(model, tuple(above))
        value, beside = self.value(location), self.value(tuple(above))
        return (
            takes_names(model, tuple(above))
            and not any(str(each).removesuffix("_file") in fields for each in beside)
            and not get_close_matches(str(key), fields, 1, _TYPO)
            and (value is None or (isinstance(value, str) and ("://" in value or is_joined(value, fields))))
        )

    def _without_settings(self, model: type[BaseModel], location: Location) -> str:
        """Return what is wrong with a name or a section that holds no settings."""
        value = self.value(location)
        if isinstance(value, str) and is_joined(value, fields_at(model, location)):
            return f"must hold settings: write a blank behind the colon, `{value.partition(':')[0]}: ...`"
        first, place = first_field(model, location), self._places.get(location)
        if place is not None and not place.line:
            return f"is a section: its settings have variables of their own, such as {place.origin}__{first.upper()}"
        return f"must hold settings: write `{first}: ...` on a line of its own below it"

    def _lacks_indent(self, model: type[BaseModel], location: Location, other: Location) -> bool:
        """Tell whether a setting holds nothing as another one stands beside it that belongs below it."""
        return (
            self.value(location) is None
            and other[:-1] == location[:-1]
            and other[-1] in fields_at(model, location)
            and other[-1] not in fields_at(model, location[:-1])
        )

    def _is_comment(self, location: Location) -> bool:
        """Tell whether a setting holds nothing as what stands behind it begins a comment."""
        place = self._places.get(location)
        return place is not None and self.value(location) is None and has_comment_for_value(place.origin, place.line)

    def is_left_empty(self, location: Location) -> bool:
        """Tell whether a setting of a file holds nothing, and nothing says that this is meant."""
        return self.value(location) is None and self.is_written_empty(location)

    def is_written_empty(self, location: Location) -> bool:
        """Tell whether nothing stands behind a key in its line."""
        place = self._places.get(location)
        return place is not None and bool(place.line) and is_left_empty(place.origin, place.line, str(location[-1]))

    @staticmethod
    def _is_below(location: Location, above: Location) -> bool:
        return len(location) > len(above) and location[: len(above)] == above

    def named(self, location: Location) -> str:
        """Return a setting with its place, as `sources.mlflow.uri_file, ml-monitoring.yml:3`."""
        place = self.place(location)
        if place is not None and not place.line:
            return place.origin
        name = redact(".".join(map(str, location))) + "_file" * isinstance(self.value(location), FileSecret)
        return f"{name}, {place}" if place else name

    def givers(self, location: Location) -> list[str]:
        """Return the variables that give a setting or parts of it; where none does, the setting with its place."""
        parts = (place for at, place in self._places.items() if at[: len(location)] == location)
        return [place.origin for place in parts if not place.line] or [self.named(location)]

    def value(self, location: Location) -> Any:
        """Return what stands at a location; None where nothing does."""
        node: Any = self.data
        for part in location:
            if isinstance(node, dict):
                node = node.get(part)
            elif isinstance(node, list) and isinstance(part, int):
                node = node[part]
        return node

    def _variable_below(self, location: Location) -> Location:
        """Return the setting that a variable gave below a key, where nothing else gave that key."""
        if location in self._places:
            return location
        below = (at for at, place in self._places.items() if at[: len(location)] == location and not place.line)
        return next(below, location)

    def wrong(self, error: ValidationError) -> Iterator[tuple[str, Location]]:
        """Yield of each problem what pydantic calls its kind, and where what cannot be used stands."""
        for problem in error.errors(include_url=False, include_context=False, include_input=False):
            yield problem["type"], self._written(problem["loc"], is_missing=problem["type"] == "missing")

    def describe(self, error: ValidationError, model: type[BaseModel]) -> list[str]:
        """Return one sentence for each problem, see `problems`."""
        return self.sentences(self.problems(error, model))

    def _lay(
        self, below: dict[str, Any], data: Mapping[str, Any], above: Location, places: Mapping[Location, Place]
    ) -> None:
        for key, value in data.items():
            here = (*above, key)
            if isinstance(value, Mapping):
                if not isinstance(below.get(key), dict):
                    self._forget(here)
                    below[key] = {}
                self._lay(below[key], value, here, places)
            else:
                self._forget(here)
                if value is None and self._count:
                    below.pop(key, None)
                else:
                    below[key] = value
                self._places |= {at: place for at, place in places.items() if at[: len(here)] == here}
            if here in places:
                self._places[here] = places[here]

    def _forget(self, location: Location) -> None:
        if location in self._places:
            self._places = {at: place for at, place in self._places.items() if at[: len(location)] != location}

    def _written(self, location: Location, *, is_missing: bool) -> Location:
        """Return a location of pydantic's as it stands in the file: without names of union members and the like."""
        node: Any = self.data  # then what stands at `found`
        found: Location = ()
        for index, part in enumerate(location):
            if (
                isinstance(part, int) and part < len(node)
                if isinstance(node, list)
                else isinstance(node, dict) and part in node
            ):
                node = node[part]
            # Only a key that is missing is not there; what else is not is the kind of what stands above it.
            elif not (is_missing and isinstance(node, dict) and index == len(location) - 1):
                continue
            found = (*found, part)
        return found


def copied(node: Any) -> Any:
    """Return a copy of settings, whose mappings and lists can be changed."""
    if isinstance(node, dict):
        return {key: copied(value) for key, value in node.items()}
    return [copied(item) for item in node] if isinstance(node, list) else node
