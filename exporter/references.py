"""What the settings of a file refer to: variables as `${NAME}` or `${NAME:-default}`, and files of secrets.

Both are resolved file by file, before files are merged, so that what is laid on top wins whichever way it was given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from ml_monitoring.exporter.settings_file import Place
from ml_monitoring.exporter.settings_hints import Location, models_in
from ml_monitoring.exporter.suggestions import closest
from ml_monitoring.exporter.values import FileSecret
from ml_monitoring.exporter.yaml_files import Places

FILE_SUFFIX = "_file"
# Of variables that say a setting by their name; here, as `environment` brings the drivers of databases with it.
PREFIX = "ML_MONITORING_"
# `$${NAME}` stands for the text `${NAME}`.
_REFERENCE = re.compile(r"(?P<escaped>\$)?\$\{(?P<name>[^}:]*)(?::-(?P<default>[^}]*))?[^}]*\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# As shells and Kubernetes write a variable, where it is a whole part of an address; elsewhere $ is a sign like others.
_BARE = re.compile(r"[:/@]\$(?:[A-Z_][A-Z0-9_]+|\(\w+\))(?=[:/@?]|$)")
# As shells write a default that an empty variable keeps away.
_DEFAULT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)[-=]")


class References:
    """Resolves what the settings of one file refer to.

    Args:
        model: The settings; their secrets may be given by the path of a file.
        places: Where each setting of the file stands.
        environ: The variables.

    Attributes:
        problems: What could not be resolved: where, and why.
        unresolved: Settings of which nothing can be said: their variables are not set, or their files cannot be read.
    """

    def __init__(self, model: type[BaseModel], places: Places, environ: Mapping[str, str]) -> None:
        self._model = model
        self._places = places
        self._environ = environ
        self.problems: list[tuple[Location, str]] = []
        self.unresolved: set[Location] = set()
        self.places = dict(places)

    def resolve(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings without references; what cannot be resolved is left out."""
        resolved = self._value(data, ())
        assert isinstance(resolved, dict)  # noqa: S101  # a mapping stays one
        return resolved

    def _value(self, value: Any, location: Location) -> Any:
        if isinstance(value, Mapping):
            return dict(self._items(value, location))
        if isinstance(value, list):
            return [self._value(item, (*location, index)) for index, item in enumerate(value)]
        return self._text(value, location) if isinstance(value, str) else value

    def _items(self, data: Mapping[str, Any], location: Location) -> Iterator[tuple[str, Any]]:
        for key, value in data.items():
            here = (*location, key)
            base = str(key).removesuffix(FILE_SUFFIX)
            if base == key or not is_secret(field_at(self._model, (*location, base))):
                yield key, self._value(value, here)
            elif base in data:
                self._note(here, f"given together with {base}; keep one of them")
            else:
                self.places[*location, base] = self._places[here]
                path = self._text(str(value), here)
                try:
                    yield base, FileSecret(Path(path))
                except ValueError as error:
                    self._note(here, str(error))
                    self.unresolved.add((*location, base))

    def _text(self, text: str, location: Location) -> str:
        def replaced(found: re.Match[str]) -> str:
            if found["escaped"]:
                return found[0][1:]
            name = found["name"]
            if default := _DEFAULT.match(name):
                self._note(location, f"a default is written ${{{default[1]}:-default}}")
                self.unresolved.add(location)
            elif not _NAME.fullmatch(name):
                self._note(location, f"{name!r} is no name of a variable; $${{ stands for the text ${{")
            elif found["default"] is not None:
                return self._environ.get(name) or found["default"]
            elif name in self._environ:
                return self._environ[name]
            else:
                near = closest(name, filter(_NAME.fullmatch, self._environ))
                self._note(location, f"the variable {name} is not set{f'; did you mean ${{{near}}}?' if near else ''}")
                self.unresolved.add(location)
            return ""

        if "://" in text and _BARE.search(text):
            # Not which: it may be a password.
            self._note(location, "holds a variable that is not filled in: write ${NAME}, or %24 for the sign $ itself")
            self.unresolved.add(location)
        return _REFERENCE.sub(replaced, text)

    def _note(self, location: Location, message: str) -> None:
        self.problems.append((location, message))

    def sentences(self, layer: int) -> Iterator[tuple[Place, str]]:
        """Yield the sentence about each problem with its place, as that of a layer of settings."""
        for location, message in self.problems:
            known = location
            while known not in self._places:
                known = known[:-1]
            place = Place(layer, *self._places[known])
            yield place, f"{place}: {'.'.join(map(str, location))}: {message}"


def field_at(model: type[BaseModel], location: Sequence[str | int]) -> FieldInfo | None:
    """Return the field of a model, or of the models in it, that a location leads to."""
    first, *rest = location
    field = model.model_fields.get(str(first))
    if field is None or not rest:
        return field
    for inner in models_in(field.annotation):
        # Below a name, where sections have names of their own choice.
        named = field_at(inner, rest[1:]) if rest[1:] and _holds_named(field.annotation, inner) else None
        if found := field_at(inner, rest) or named:
            return found
    return None


def _holds_named(annotation: Any, model: type[BaseModel]) -> bool:
    """Tell whether an annotation takes a mapping of names to such models."""
    arguments = get_args(annotation)
    if get_origin(annotation) is dict:
        return model in models_in(arguments[1])
    return any(_holds_named(argument, model) for argument in arguments)


def is_secret(field: FieldInfo | None) -> bool:
    """Tell whether a field holds a secret."""
    return field is not None and _mentions_secret(field.annotation)


def _mentions_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_mentions_secret(argument) for argument in get_args(annotation))
