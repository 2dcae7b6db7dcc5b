"""Options of recorders and middleware: checked when they are given, so that no request finds them wrong."""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction, signature
from typing import Any, Final

from ml_monitoring.instrument.calls import explained
from ml_monitoring.instrument.catalog import CATALOG
from ml_monitoring.instrument.labels import clean, is_label_value
from ml_monitoring.instrument.mistakes import shown

_log = logging.getLogger("ml_monitoring.instrument")

DISABLED_VARIABLE: Final = "ML_MONITORING_INSTRUMENT_DISABLED"
_ON: Final = frozenset({"1", "true", "yes", "on"})
_OFF: Final = frozenset({"", "0", "false", "no", "off"})

HEALTH_CHECKS: Final = (
    r"/(health|healthz|healthcheck|live|livez|ready|readyz|ping)/?",
    r"/-/(healthy|ready)",
    r"/v2/health/(live|ready)",
    r"/grpc\.health\.v1\.Health/\w+",
)

# What begins with a letter or digit, as no path does.
_WITHOUT_SLASH: Final = re.compile(r"\^?\w")
_HEADER_NAME: Final = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_LABEL_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_TAKEN_LABELS: Final = frozenset(
    {"le", "quantile", "job", "instance"}.union(
        *({*metric.labels, *metric.optional_labels} for metric in CATALOG.values())
    )
)

# Seconds. Of what takes longer, bounds are rare, and those of somebody who means milliseconds usual.
_LONG_FIRST: Final = 10.0
_LONG_LAST: Final = 1000.0
_LONG_WITHOUT_SHORT: Final = 100.0

Request = Any
"""What a hook gets: the ASGI scope, the WSGI environment, or gRPC's `HandlerCallDetails`."""

Hook = Callable[[Request], str | None]
OnFailure = Callable[[str, str, Hook, Exception | None, object], None]


def disabled() -> bool:
    """Return whether the environment switches instrumentation off.

    Raises:
        ValueError: The variable is neither on nor off.
    """
    value = os.environ.get(DISABLED_VARIABLE, "").strip().lower()
    if value not in _ON | _OFF:
        raise ValueError(f"{DISABLED_VARIABLE}: {shown(value)} is neither 1 nor 0")
    return value in _ON


def checked_buckets(name: str, bounds: Iterable[float] | None, default: tuple[float, ...]) -> tuple[float, ...]:
    """Return the upper bounds of a histogram without +Inf.

    Raises:
        ValueError: They are none, not numbers, not positive or not ascending.
    """
    if bounds is None:
        return default
    given: tuple[float, ...] | None = None
    with suppress(TypeError, ValueError):
        # Of a text each digit would be one.
        given = None if isinstance(bounds, str) else tuple(float(bound) for bound in bounds)
    if given is None:
        raise ValueError(f"{name}: {shown(bounds)} is not a sequence of numbers")
    finite = given[:-1] if given and given[-1] == math.inf else given
    if not finite:
        raise ValueError(f"{name}: give at least one bound")
    if not all(0 < bound < math.inf for bound in finite):
        raise ValueError(f"{name}: bounds are positive seconds; +Inf may only be the last: {given}")
    if list(finite) != sorted(set(finite)):
        raise ValueError(f"{name}: bounds must ascend: {given}")
    first, last = finite[0], finite[-1]
    if first >= _LONG_FIRST or last >= _LONG_LAST or (first > 1 and last >= _LONG_WITHOUT_SHORT):
        _log.warning(
            "%s: bounds are seconds, here from %gs to %gs; if milliseconds are meant, write 50 ms as 0.05",
            name,
            first,
            last,
        )
    return finite


def checked_type(name: str, value: object, kind: type | tuple[type, ...], wanted: str) -> None:
    """Refuse an option that is of another type.

    Raises:
        ValueError: It is.
    """
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        is_class = isinstance(value, type) and issubclass(value, kind)
        raise ValueError(
            f"{name}: {shown(value)} is " + (f"a class: call it, {shown(value)}()" if is_class else f"not {wanted}")
        )


def checked_name(argument: str, value: object, *, optional: bool = False) -> str:
    """Return what something is called, as a value of a label; of an optional one None is none.

    Raises:
        ValueError: It is something else.
    """
    if not isinstance(value, (str, int, float)) and not (optional and value is None):
        raise ValueError(f"{argument}: {shown(value)} is not text or a number")
    if value == "" and not optional:
        raise ValueError(f"{argument}: it is empty")
    return clean(value)


# What servers call an application with, by its kind.
_CALLS: Final[Mapping[str, tuple[str, ...]]] = {
    "ASGI": ("scope", "receive", "send"),
    "WSGI": ("environ", "start_response"),
}


def kinds_of(app: object) -> list[str]:
    """Return the kinds of application that an object can be by what it is called with: ASGI and WSGI."""
    return [kind for kind, arguments in _CALLS.items() if callable(app) and takes(app, *arguments)]


def checked_app(app: object, kind: str) -> None:
    """Refuse an application that servers call in another way.

    Raises:
        ValueError: It is.
    """
    kinds = kinds_of(app)
    if kind in kinds:
        return
    given = f"app: {shown(app)} is"
    if kinds:
        raise ValueError(f"{given} an application of {kinds[0]}, not of {kind}: wrap it in {kinds[0]}Middleware")
    arguments = ", ".join(_CALLS[kind])
    raise ValueError(f"{given} no application of {kind}, called with {arguments}: pass the application itself")


def checked_recorder(recorder: object, kind: type) -> None:
    """Refuse what is no recorder.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(recorder, kind):
        hint = ": call it, Recorder()" if recorder is kind else ""
        raise TypeError(f"recorder: {shown(recorder)} is no Recorder{hint}")


def takes(function: Callable[..., Any], *arguments: object, **named: object) -> bool:
    """Return whether a function can be called with so many arguments, as far as is known."""
    try:
        called = signature(function)
    except (TypeError, ValueError):
        return True
    try:
        called.bind(*arguments, **named)
    except TypeError:
        return False
    return True


def checked_patterns(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the regular expressions of `exclude`, of which one may stand alone.

    Raises:
        ValueError: There is something else among them.
    """
    if patterns == "":
        raise ValueError("exclude: it is empty; leave it out to exclude nothing")
    if isinstance(patterns, str):
        return (patterns,)
    found = tuple(patterns) if isinstance(patterns, Iterable) else (patterns,)
    for pattern in found:
        given: object = pattern
        if isinstance(given, (tuple, list)):
            raise ValueError(f"exclude: {shown(given)} stands in a list; put * in front of it")  # noqa: TRY004  # as all wrong options
        if not isinstance(given, str):
            raise ValueError(f"exclude: {shown(given)} is not a regular expression written as text")  # noqa: TRY004  # as all wrong options
    return found


def _as_regex(pattern: str) -> str:
    """Return a template of routes or a glob as a regular expression; empty if it is neither."""
    found = re.sub(r"/\*\*?$", "/.*", re.sub(r"\{[A-Za-z_]\w*(?::\w+)?\}|(?<!\?P)<[\w:]+>", "[^/]+", pattern))
    return "" if found == pattern else found


def excluded(patterns: Iterable[str]) -> Callable[[str], object] | None:
    """Return what tells whether a path is excluded, or None when nothing is.

    Raises:
        ValueError: A pattern is not a regular expression, or does not begin as paths do.
    """
    patterns = checked_patterns(patterns)
    for pattern in patterns:
        if _WITHOUT_SLASH.match(pattern):
            # Of what begins with a method the path alone.
            meant = f"/{pattern.rpartition(' ')[2].removeprefix('^').removeprefix('/')}"
            raise ValueError(f"exclude: {pattern!r} does not begin with /, as all paths do; did you mean {meant!r}?")
        if meant := _as_regex(pattern):
            raise ValueError(f"exclude: {pattern!r} is not a regular expression of paths; did you mean {meant!r}?")
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"exclude: {pattern!r} is not a regular expression: {error}") from None
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns)).fullmatch if patterns else None


def checked_path(metrics_path: str | None) -> str | None:
    """Return the path of the scrape endpoint.

    Raises:
        ValueError: It is none that a request can have.
    """
    if metrics_path is not None and not (isinstance(metrics_path, str) and metrics_path.startswith("/")):
        raise ValueError(f"metrics_path: {shown(metrics_path)} does not begin with /; None serves no metrics here")
    if metrics_path is not None and (wrong := set("?# ").intersection(metrics_path)):
        raise ValueError(f"metrics_path: {shown(metrics_path)} is a path only without {min(wrong)!r}")
    return metrics_path


def checked_hook(name: str, hook: Hook | None) -> Hook | None:
    """Return a function that is asked of each request.

    Raises:
        ValueError: It is no function.
    """
    given: object = hook
    if given is from_header:
        raise ValueError(f'{name}: from_header is not called: write from_header("X-Name")')
    if hook is not None and not callable(hook):
        raise ValueError(
            f"{name}: {shown(hook)} is no function of the request; from_header makes one that reads a header"
        )
    if hook is None:
        return None
    function: Any = hook
    while isinstance(function, partial):
        function = function.func
    called = getattr(function, "__name__", None) or shown(function)
    # An object that is called as a function is what its method is.
    functions = (function, getattr(function, "__call__", None))  # noqa: B004  # for its kind
    if any(map(iscoroutinefunction, functions)):
        raise ValueError(f"{name}: {called} is a coroutine function: write it with def, it is not awaited")
    if any(isgeneratorfunction(each) or isasyncgenfunction(each) for each in functions):
        raise ValueError(f"{name}: {called} is a generator: write it with return in place of yield")
    if not takes(hook, {}):
        raise ValueError(f"{name}: {called} does not take the request as its only argument")
    return hook


class ExtraLabels:
    """The labels that a service adds to its requests.

    Args:
        labels: Constant values, or what tells the value from the request, by label name.

    Raises:
        ValueError: A name is not one that Prometheus takes, or is in use already; or there are no values.
    """

    def __init__(self, labels: Mapping[str, str | Hook]) -> None:
        if not isinstance(labels, Mapping):
            raise ValueError(f"labels: {shown(labels)} has no values: give each name its own, or from_header")  # noqa: TRY004  # as all wrong options
        for name, value in labels.items():
            if callable(value):
                checked_hook(f"labels: {name}", value)
            elif not is_label_value(value):
                raise ValueError(
                    f"labels: {name}: {shown(value)} is not text or a number, nor a function of the request"
                )
            if not isinstance(name, str) or not _LABEL_NAME.fullmatch(name) or name.startswith("__"):
                meant = re.sub(r"^(?=\d)|\W", "_", name, flags=re.ASCII).lstrip("_") if isinstance(name, str) else ""
                hint = f"; did you mean {meant!r}?" if _LABEL_NAME.fullmatch(meant) else ""
                raise ValueError(f"labels: {shown(name)} is not the name of a label{hint}")
            if name in _TAKEN_LABELS:
                raise ValueError(f"labels: {shown(name)} is a label of these metrics already")
        self.names = tuple(labels)
        self.constant = not any(callable(value) for value in labels.values())
        self._values = tuple(value if callable(value) else clean(value) for value in labels.values())

    def values(self, request: Request, on_failure: OnFailure) -> tuple[str, ...]:
        """Return the values for a request; empty where none is known."""
        found = []
        for name, value in zip(self.names, self._values, strict=True):
            found.append(ask("labels", value, request, on_failure, name) if callable(value) else value)
        return tuple(found)


def ask(operation: str, hook: Hook, request: Request, on_failure: OnFailure, label: str = "") -> str:
    """Return what a hook says of a request; empty where it says nothing or fails.

    Args:
        operation: What is asked for.
        hook: The user's.
        request: What it gets.
        on_failure: Called with the operation, its name, the hook, and what it raised, or None and what it returned.
        label: Which label it is for, if it is for one.
    """
    error, value = None, None
    try:
        value = hook(request)
        if isinstance(value, str):
            return value
        if value is None or is_label_value(value):
            return clean(value)
    except Exception as raised:  # noqa: BLE001  # it is the user's; the request must be counted all the same
        error = raised
    on_failure(operation, f"{operation}: {label}" if label else operation, hook, error, value)
    return ""


@explained
def from_header(name: str, default: str = "") -> Hook:
    """Return what reads a header of the request (gRPC: metadata), for `labels=` and `get_variant=`.

    Args:
        name: Of the header, in any case.
        default: Value when the request has none.

    Raises:
        ValueError: No header has such a name.
    """
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"from_header: name: {shown(name)} is not the name of a header, such as X-Variant")
    default = clean(default)
    lower = name.lower()
    raw = lower.encode("latin-1")
    variable = "HTTP_" + name.upper().replace("-", "_")

    def read(request: Request) -> str:
        if not isinstance(request, Mapping):
            metadata = request.invocation_metadata or ()
            return next((str(value) for key, value in metadata if key == lower), default)
        if "wsgi.version" in request:
            return str(request.get(variable, default))
        return next((value.decode("latin-1") for key, value in request["headers"] if key.lower() == raw), default)

    return read
