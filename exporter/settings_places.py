"""Where else in settings a key exists that is unknown where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from os.path import commonprefix
from typing import Any, Final, get_args

from pydantic import BaseModel

from ml_monitoring.exporter.settings_hints import Location, Names, alternatives

# What stands for a name of the user's choice, and how many places are listed.
_NAME: Final = "NAME"
_SHOWN: Final = 4
_Path = tuple[str, ...]


def elsewhere(model: type[BaseModel], location: Location) -> str:
    """Return what an unknown key belongs below, as the end of a message; nothing where no settings have such a key.

    Of several places those are listed that are nearest to where the key stands.
    """
    *above, key = (part for part in location if not isinstance(part, int))
    paths = sorted((_named(path, above) for path, name in _keys(model, ()) if name == key), key=len)
    # Settings that may have a name, or none, are one place.
    found = {tuple(part for part in path if part != _NAME): path for path in reversed(paths) if path != tuple(above)}
    shared = max((_shared(path, above) for path in found.values()), default=0)
    places = [".".join(path) for path in reversed(found.values()) if _shared(path, above) == shared]
    if places[:1] == [""]:
        return "; it belongs on the top level"
    more = f" or {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    return f"; it belongs below {', '.join(places[:_SHOWN])}{more}" if places else ""


def _shared(path: _Path, above: list[str]) -> int:
    return len(commonprefix([path, tuple(above)]))  # noqa: RUF071  # of parts, not of texts


def _named(path: _Path, above: list[str]) -> _Path:
    """Return a path with the user's own names, as far as it leads along the other one."""
    named: list[str] = []
    for index, part in enumerate(path):
        is_along = named == above[:index] and index < len(above)
        named.append(above[index] if part == _NAME and is_along else part)
    return tuple(named)


def _keys(kind: Any, path: _Path) -> Iterator[tuple[_Path, str]]:
    """Yield all keys that may stand in settings of a kind, each with what it stands below."""
    for each in alternatives(kind):
        if isinstance(each, type) and issubclass(each, BaseModel):
            for name, field in each.model_fields.items():
                called = field.alias or name
                yield path, called
                yield from (
                    ((*path, called), one)
                    for taken in field.metadata
                    if isinstance(taken, Names)
                    for one in taken.names
                )
                yield from _keys(field.annotation, (*path, called))
        else:
            is_named = getattr(each, "__origin__", None) is dict
            for argument in get_args(each)[1 if is_named else 0 :]:
                yield from _keys(argument, (*path, _NAME) if is_named else path)
