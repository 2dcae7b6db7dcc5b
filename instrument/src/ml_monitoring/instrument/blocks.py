"""Pieces of work that are timed: context managers, some of them decorators of functions too."""

from __future__ import annotations

import sys
from abc import abstractmethod
from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Generator
from contextlib import ExitStack
from copy import copy
from functools import wraps
from inspect import (
    isasyncgenfunction,
    isawaitable,
    iscoroutinefunction,
    isgenerator,
    isgeneratorfunction,
    isroutine,
    signature,
)
from time import perf_counter
from types import CodeType, TracebackType
from typing import Any, ClassVar, Concatenate, Final, Generic, NoReturn, ParamSpec, TypeVar, cast

from ml_monitoring.instrument.calls import explanation, mismatch
from ml_monitoring.instrument.families import HasMetrics, Metrics, add_operation
from ml_monitoring.instrument.mistakes import WrongValueError, did_you_mean
from ml_monitoring.instrument.places import place_in

Function = TypeVar("Function", bound=Callable[..., Any])
Owner = TypeVar("Owner", bound=HasMetrics)
Maker = TypeVar("Maker", bound=HasMetrics)
Block = TypeVar("Block", bound="TrackedBlock[Any]")
_Arguments = ParamSpec("_Arguments")

_UNUSED: Final = 0.0


def _until_it_ends(result: Any, block: ExitStack) -> Any:
    """Return what a function returned; where that is work which is yet to be done, the block ends when it does."""
    if isgenerator(result):
        return _generated(result, block.pop_all())
    if hasattr(type(result), "add_done_callback"):
        rest = block.pop_all()
        result.add_done_callback(lambda future: _end_as(future, rest))
    elif isawaitable(result):
        return _awaited(result, block.pop_all())
    return result


def _end_as(future: Any, block: ExitStack) -> None:
    error = CancelledError() if future.cancelled() else future.exception()
    block.__exit__(type(error) if error is not None else None, error, None)


async def _awaited(result: Awaitable[Any], block: ExitStack) -> Any:
    with block:
        return await result


def _generated(result: Generator[Any, Any, Any], block: ExitStack) -> Generator[Any, Any, Any]:
    with block:
        return (yield from result)


class TrackedBlock(Generic[Owner]):
    """A piece of work that `with` begins; a subclass names the method of its owner that makes it."""

    __slots__ = ("_code", "_instruction", "_owner", "_started")
    _operation: ClassVar[str]

    def __init_subclass__(cls, operation: str | None = None) -> None:
        if operation is not None:
            cls._operation = operation
            add_operation(operation)

    _code: CodeType
    _instruction: int

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._started = _UNUSED

    @property
    def _metrics(self) -> Metrics:
        return self._owner._metrics

    def _mistake(self, text: str, place: str = "") -> None:
        self._metrics.failed(self._operation, WrongValueError(text, place))

    async def __aenter__(self) -> Any:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    @abstractmethod
    def __enter__(self) -> Any:
        """Begin the block."""

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""

    def __del__(self) -> None:
        # A comparison and no more of what was used: this runs for each prediction.
        if self._started == _UNUSED and not sys.is_finalizing():
            self._say_unused()

    def _say_unused(self) -> None:
        # What is dropped at the end of a function is dropped where that was called.
        self._mistake("there is no `with` in front of it", place_in(self._code, self._instruction))


def makes_block(
    method: Callable[Concatenate[Maker, _Arguments], Block],
) -> Callable[Concatenate[Maker, _Arguments], Block]:
    """Make a method remember where its block is made; where it needs no arguments, wrong ones are said and left out."""
    needs = any(each.default is each.empty for each in list(signature(method).parameters.values())[1:])

    bare = cast("Callable[[Any], Any]", method)

    @wraps(method)
    def call(self: Maker, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> Block:
        if args and not needs and isroutine(args[0]):
            # A decorator without its brackets.
            return cast("Block", bare(self)(args[0]))
        try:
            block = method(self, *args, **kwargs)
        except TypeError as error:
            problem = mismatch(method, (self, *args), kwargs)
            if needs or not problem:
                raise explanation(error, method, (self, *args), kwargs) from None
            block = bare(self)
            if inside := [name for name in kwargs if name in getattr(block, "_attributes", ())]:
                problem = f"{inside[0]} is set inside of the `with` block, as an attribute of what it gives"
            self._metrics.failed(method.__name__, WrongValueError(problem))
        frame = sys._getframe(1)
        block._code = frame.f_code
        block._instruction = frame.f_lasti
        return block

    return call


class FilledBlock(TrackedBlock[Owner]):
    """A block that gets attributes inside. Any other may be set, as a misspelled one must not break a request."""

    __slots__ = ("__dict__",)
    _attributes: ClassVar[tuple[str, ...]]

    def __call__(self, *_: Any) -> NoReturn:
        """Refuse to be a decorator: what is set inside of the block is of one call.

        Raises:
            TypeError: Always.
        """
        self._started = perf_counter()
        raise TypeError(f"{self._operation}: it is no decorator: use `with model.{self._operation}() as ...:` inside")

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

    def _say_unused(self) -> None:
        # What an object makes for later may go with it.
        if self._code.co_name != "__init__":
            super()._say_unused()

    def _begin(self) -> None:
        """Record that it begins."""

    @abstractmethod
    def _end(self, seconds: float, error: BaseException | None) -> None:
        """Record that it ended, maybe with an exception."""

    def __call__(self, function: Function) -> Function:
        """Return the function as one whose calls are blocks, those of a coroutine function until they have ended.

        Raises:
            ValueError: It is a generator, or no function.
        """
        self._started = perf_counter()
        if not callable(function):
            raise ValueError(f"{self._operation}: as a decorator it takes a function, not {type(function).__name__}")  # noqa: TRY004  # as all wrong options
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
                with ExitStack() as block:
                    block.enter_context(copy(self))
                    return _until_it_ends(function(*args, **kwargs), block)

        return cast("Function", call)
