"""Structured logs on standard error: one event a line, as logfmt or JSON."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any, Literal

from ml_monitoring.exporter.redaction import redact

_NEEDS_QUOTES = re.compile(r'[\s="\\]')


def setup(level: str, form: Literal["logfmt", "json"]) -> None:
    """Send all logs to standard error in the given form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(form))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def event(logger: logging.Logger, level: int, message: str, **fields: object) -> None:
    """Log an event with fields."""
    logger.log(level, message, extra={"fields": fields})


class Seldom:
    """Logs each kind of event once a minute at most: what clients can repeat must not fill a disk."""

    def __init__(self, interval: float = 60.0) -> None:
        self._interval = interval
        self._next: dict[tuple[str, str], float] = {}
        self._held: Counter[tuple[str, str]] = Counter()

    def event(self, logger: logging.Logger, level: int, message: str, kind: str = "", **fields: object) -> None:
        """Log an event with fields, or only count it: the next line tells how many were held back."""
        key = (message, kind)
        now = time.monotonic()
        if now < self._next.get(key, now):
            self._held[key] += 1
            return
        self._next[key] = now + self._interval
        held = self._held.pop(key, 0)
        if held:
            fields["repeated"] = held
        event(logger, level, message, **fields)


class _Formatter(logging.Formatter):
    def __init__(self, form: Literal["logfmt", "json"]) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "msg": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        # The last gate: whatever a library put into a message, a URI's password does not leave the process.
        cleaned = {key: redact(value) if isinstance(value, str) else value for key, value in fields.items()}
        if self._form == "json":
            return json.dumps(cleaned, ensure_ascii=False, default=str)
        return " ".join(f"{key}={_logfmt(value)}" for key, value in cleaned.items())


def _logfmt(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or _NEEDS_QUOTES.search(text) else text
