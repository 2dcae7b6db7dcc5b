"""Pieces of work that are timed: context managers, some of them decorators of functions too."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Callable
from copy import copy
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from time import perf_counter
from types import TracebackType
from typing import Any, ClassVar, Final, Generic, TypeVar, cast

from ml_monitoring.instrument.families import HasMetrics, Metrics, add_operation
from ml_monitoring.instrument.mistakes import WrongValueError, did_you_mean

Function = TypeVar("Function", bound=Callable[..., Any])
Owner = TypeVar("Owner", bound=HasMetrics)

_UNUSED: Final = 0.0


class TrackedBlock(Generic[Owner]):
    """A piece of work that `with` begins; a subclass names the method of its owner that makes it."""

    __slots__ = ("_owner", "_started")
    _operation: ClassVar[str]

    def __init_subclass__(cls, operation: str | None = None) -> None:
        if operation is not None:
            cls._operation = operation
            add_operation(operation)

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._started = _UNUSED

    @property
    def _metrics(self) -> Metrics:
        return self._owner._metrics

    def _mistake(self, text: str) -> None:
        self._metrics.failed(self._operation, WrongValueError(text))

    def __del__(self) -> None:
        # A comparison and no more of what was used: this runs for each prediction.
        if self._started == _UNUSED and not sys.is_finalizing():
            self._mistake("there is no `with` in front of it")


class FilledBlock(TrackedBlock[Owner]):
    """A block that gets attributes inside. Any other may be set, as a misspelled one must not break a request."""

    __slots__ = ("__dict__",)
    _attributes: ClassVar[tuple[str, ...]]

    def _say_unknown(self) -> None:
        for name in vars(self):
            self._mistake(f"{type(self).__name__} has no attribute {name!r}{did_you_mean(name, self._attributes)}")
        vars(self).clear()


class EndedBlock:
    """Mixed into a result when its block ends, in front of its class: what is set then comes too late."""

    __slots__ = ()

    def __enter__(self) -> Any:
        # Of the same layout: entered again, it is what it was before it ended.
        self.__class__ = type(self).__bases__[1]
        return self.__enter__()

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        if not name.startswith("_"):
            cast("TrackedBlock[Any]", self)._mistake(f"{name} is set after its `with` block has ended")


class ReusableBlock(TrackedBlock[Owner]):
    """A block that may be used again and again, and decorates functions: each call is a block then."""

    def __enter__(self) -> None:
        self._started = perf_counter()
        self._begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(perf_counter() - self._started, error)

    def _begin(self) -> None:
        """Record that it begins."""

    @abstractmethod
    def _end(self, seconds: float, error: BaseException | None) -> None:
        """Record that it ended, maybe with an exception."""

    def __call__(self, function: Function) -> Function:
        """Return the function as one whose calls are blocks, those of a coroutine function until they have ended.

        Raises:
            ValueError: It is a generator.
        """
        self._started = perf_counter()
        if isgeneratorfunction(function) or isasyncgenfunction(function):
            raise ValueError(
                f"{self._operation}: {function.__name__} is a generator, which runs after it was called: "
                "use `with` inside of it"
            )
        if iscoroutinefunction(function) or iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004  # an object may be one, too

            @wraps(function)
            async def call(*args: Any, **kwargs: Any) -> Any:
                with copy(self):
                    return await function(*args, **kwargs)

        else:

            @wraps(function)
            def call(*args: Any, **kwargs: Any) -> Any:
                with copy(self):
                    return function(*args, **kwargs)

        return cast("Function", call)
