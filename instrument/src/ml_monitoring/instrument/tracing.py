"""Exemplars: the trace of a request beside its time, from OpenTelemetry or the W3C header `traceparent`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

Exemplar = dict[str, str]

# Version, trace, parent, flags; later versions may append. Without the flag "sampled" no trace is stored anywhere.
_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?")
_SAMPLED: Final = 1


class Exemplars:
    """Tells which trace a request belongs to."""

    def __init__(self) -> None:
        self._current_span: Callable[[], Any] | None = None
        try:
            from opentelemetry.trace import get_current_span  # noqa: PLC0415  # used where the service has it
        except ImportError:
            return
        self._current_span = get_current_span

    def current(self) -> Exemplar | None:
        """Return the trace of OpenTelemetry's present span, where there is one that is sampled."""
        if self._current_span is None:
            return None
        try:
            context = self._current_span().get_span_context()
            if context.is_valid and context.trace_flags & _SAMPLED:
                return {"trace_id": f"{context.trace_id:032x}"}
        except Exception:  # noqa: BLE001  # another library's state; an exemplar is not worth a request
            return None
        return None


def of_traceparent(header: str) -> Exemplar | None:
    """Return the trace that a client sent along, where it is sampled."""
    found = _TRACEPARENT.fullmatch(header.strip())
    if found is None or not int(found[2], 16) & _SAMPLED:
        return None
    return {"trace_id": found[1]}
