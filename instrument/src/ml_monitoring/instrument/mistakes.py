"""Wrong values that a service hands to a recording method: what is wrong, and in which of its lines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Mapping
from inspect import Parameter, signature
from numbers import Real
from typing import Any, Final

# Frames of these are not where the service made its mistake; `contextlib` calls the ends of context managers.
_PACKAGE: Final = __name__.rpartition(".")[0]
_BETWEEN: Final = "contextlib"

_FLAG: Final = "True or False"
# By a word of the annotation: what a value has to be, and how that is said.
_WANTED: Final[Mapping[str, tuple[Callable[[object], bool], str]]] = {
    "float": (lambda value: isinstance(value, Real), "a number"),
    "int": (lambda value: isinstance(value, Real), "a number"),
    "bool": (lambda value: value is not None and not isinstance(value, str), _FLAG),
    "str": (lambda value: isinstance(value, Hashable), "text"),
    "Hashable": (lambda value: isinstance(value, Hashable), "an id"),
}


class WrongValueError(ValueError):
    """A value that cannot be recorded; the message names its argument."""


def is_true(name: str, value: object) -> bool:
    """Return whether an argument that is a flag is set.

    Raises:
        WrongValueError: It is None or a text, any of which counts as true in Python.
    """
    if value is None or isinstance(value, str):
        raise WrongValueError(_wrong(name, value, _FLAG))
    # A comparison of arrays gives an array's own kind of truth.
    return bool(value)


def describe(method: Callable[..., Any], error: Exception, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """Return what is wrong with the arguments of a call that raised; empty if they are right."""
    if isinstance(error, WrongValueError):
        return str(error)
    called = signature(method)
    try:
        given = called.bind(*args, **kwargs).arguments
    except TypeError as mismatch:
        plain = [each.replace(annotation=Parameter.empty) for each in list(called.parameters.values())[1:]]
        wanted = called.replace(parameters=plain, return_annotation=Parameter.empty)
        return f"{mismatch}: it is called as {method.__name__}{wanted}"
    for name, value in given.items():
        # All modules have their annotations as text.
        words = str(called.parameters[name].annotation).split(" | ")
        fits, kind = _WANTED.get(words[0], (None, ""))
        if fits is not None and not fits(value) and not (value is None and "None" in words):
            return _wrong(name, value, kind)
    return ""


def _wrong(name: str, value: object, wanted: str) -> str:
    # Never the value: it may be anything of anybody's.
    given = "None" if value is None else f"of type {type(value).__name__}"
    return f"{name} is {given}, not {wanted}"


def caller() -> str:
    """Return the file and line that called into this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        module = str(frame.f_globals.get("__name__"))
        if module not in (_BETWEEN, _PACKAGE) and not module.startswith(f"{_PACKAGE}."):
            break
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
