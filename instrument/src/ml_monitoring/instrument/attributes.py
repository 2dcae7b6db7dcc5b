"""Attributes that recorders do not have: what is said of setting and of reading one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Never

from ml_monitoring.instrument.blocks import FilledBlock
from ml_monitoring.instrument.calls import options_named
from ml_monitoring.instrument.families import Metrics
from ml_monitoring.instrument.mistakes import did_you_mean


class WithoutAttributes:
    """Mixed into what a service keeps: an attribute that it sets there has no effect, which is logged."""

    _metrics: Metrics

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        # A test may put another function in the place of a method.
        if not name.startswith("_") and not (callable(value) and hasattr(type(self), name)):
            self._metrics.note(type(self).__name__, f"setting {name!r} has no effect: {_belongs(type(self), name)}")

    # Type checkers would take every name for an attribute.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Never:
            # With the context that it would be given, tracebacks would ask once more what is meant.
            raise AttributeError(f"{type(self).__name__} has no {name!r}{_meant(type(self), name)}", name=name)


def _meant(kind: type, name: str) -> str:
    if name.startswith("_"):
        return ""
    owners = [each.__name__ for each in WithoutAttributes.__subclasses__() if name in vars(each)]
    methods = [each for each in dir(kind) if not each.startswith("_")]
    return f": it is a method of {owners[0]}" if owners else did_you_mean(name, methods)


def _belongs(kind: type, name: str) -> str:
    if callable(getattr(kind, name, None)):
        return f"it is a method, which is called as {name}(...)"
    for block in FilledBlock.__subclasses__():
        if name in block._attributes:
            return f"it belongs to the {block.__name__} of `with model.{block._operation}() as ...`"
    if owners := options_named(name):
        return f"it is an argument of {', '.join(owners)}"
    methods = [each for each in vars(kind) if not each.startswith("_")]
    attributes = [each for block in FilledBlock.__subclasses__() for each in block._attributes]
    return f"there is no such attribute{did_you_mean(name, [*attributes, *methods])}"
