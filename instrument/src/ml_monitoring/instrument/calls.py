"""Calls with arguments that a public function does not have: what is said of them, in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import Parameter, isroutine, signature
from typing import Any, Final, ParamSpec, TypeVar

from ml_monitoring.instrument.mistakes import close_to, did_you_mean

# Arguments of the functions and classes that are explained, by their names.
_ARGUMENTS: Final[dict[str, tuple[str, ...]]] = {}

# What other libraries call them.
_OF_NEIGHBOURS: Final[Mapping[str, str]] = {
    "path": "metrics_path",
    "endpoint": "metrics_path",
    "excluded_handlers": "exclude",
    "skip_paths": "exclude",
    "buckets": "response_buckets",
    "latency_buckets": "response_buckets",
}
_VERY_ALIKE: Final = 0.8

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


def explained(function: Callable[_Given, _Result]) -> Callable[_Given, _Result]:
    """Make a function, or the `__init__` of a class, say which arguments it has when it is called with others."""
    _ARGUMENTS[_name(function)] = tuple(each for each in signature(function).parameters if each != "self")

    @wraps(function)
    def call(*args: _Given.args, **kwargs: _Given.kwargs) -> _Result:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            raise explanation(error, function, args, kwargs) from None

    return call


def explanation(
    error: TypeError, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> TypeError:
    """Return what a call that raised is to raise: the same, unless its arguments are those of no call."""
    problem = mismatch(function, args, kwargs)
    return TypeError(f"{_name(function, args)}: {problem}") if problem else error


def _name(function: Callable[..., Any], args: tuple[Any, ...] = ()) -> str:
    if function.__name__ == "__init__" and args:
        # Of a class that inherits it, too.
        return type(args[0]).__name__
    return function.__qualname__.removesuffix(".__init__").rpartition(".")[2]


def mismatch(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """Return why a function cannot be called with these arguments; empty if it can."""
    called = signature(function)
    name = _name(function, args)
    unknown = next((each for each in kwargs if each not in called.parameters), None)
    try:
        called.bind(*args, **kwargs)
    except TypeError as error:
        if len(args) > 1 and isroutine(args[-1]) and function.__name__ != "__init__":
            return f"as a decorator it is written with brackets, @...{name}()"
        problem = str(error) if unknown is None else f"there is no {unknown!r}{_meant(unknown, [*called.parameters])}"
        end = "" if problem.endswith("?") else ":"
        return f"{problem}{end} it is called as {name}({_parameters(list(called.parameters.values()))})"
    return ""


def options_named(name: str) -> list[str]:
    """Return the functions and classes that have an argument of this name."""
    return [owner for owner, arguments in _ARGUMENTS.items() if name in arguments]


def _meant(unknown: str, own: list[str]) -> str:
    if owners := options_named(unknown):
        return f", which is an argument of {', '.join(owners)}"
    others = {each: owner for owner, arguments in _ARGUMENTS.items() for each in arguments}
    close = _OF_NEIGHBOURS.get(unknown, "") if set(own).intersection(_OF_NEIGHBOURS.values()) else ""
    if close in own:
        return f"; did you mean {close!r}?"
    if not close and (meant := did_you_mean(unknown, own)):
        return meant
    # What is only a little like it has another meaning.
    close = close or close_to(unknown, others, _VERY_ALIKE)
    return f"; did you mean {close!r} of {others[close]}?" if close else ""


def _parameters(parameters: list[Parameter]) -> str:
    plain = [
        each.replace(annotation=Parameter.empty, default=_DOTS if " at 0x" in repr(each.default) else each.default)
        for each in parameters
        if each.name != "self"
    ]
    return str(signature(lambda: None).replace(parameters=plain))[1:-1]


class _Dots:
    """Stands for a default that has no short text."""

    def __repr__(self) -> str:
        return "..."


_DOTS: Final = _Dots()
