"""Dashboard variables: their values, read as Grafana reads them, and their replacement in queries and titles."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from ml_monitoring.dashboards.render.errors import RenderError
from ml_monitoring.dashboards.render.intervals import Steps, TimeRange, at, format_duration

Json = dict[str, Any]

ALL = "$__all"
_REFERENCE = re.compile(r"\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?:\.([^:^}]+))?(?::([^}]+))?\}")


@dataclass(frozen=True, slots=True)
class Value:
    """What a variable stands for.

    Attributes:
        values: The chosen values.
        texts: How they are shown, one for each value.
        is_all: Whether "All" is chosen.
        all_value: The raw text that "All" puts into queries, empty for the list of all values.
        listed: Whether several may be chosen, so that queries need a regular expression.
        options: What there is to choose from: value and text.
    """

    values: tuple[str, ...]
    texts: tuple[str, ...]
    is_all: bool = False
    all_value: str = ""
    listed: bool = False
    options: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    @property
    def text(self) -> str:
        """Return how titles show the value."""
        return "All" if self.is_all else " + ".join(self.texts)


@dataclass(frozen=True, slots=True)
class Variables:
    """The values of all variables of a dashboard, and Grafana's own (`__interval` and its kin)."""

    values: Mapping[str, Value] = field(default_factory=dict)
    builtin: Mapping[str, str] = field(default_factory=dict)

    def scoped(self, scope: Iterable[tuple[str, str]]) -> Variables:
        """Return the variables with some held at one value, as a repeated panel sees them."""
        held = {}
        for name, value in scope:
            known = self.values.get(name)
            text = dict(zip(known.values, known.texts, strict=True)).get(value, value) if known else value
            held[name] = Value((value,), (text,), listed=bool(known and known.listed))
        return replace(self, values={**self.values, **held})

    def with_builtin(self, **builtin: str) -> Variables:
        """Return the variables with more of Grafana's own, named without their leading underscores."""
        return replace(self, builtin={**self.builtin, **{f"__{name}": text for name, text in builtin.items()}})

    def of_query(self, steps: Steps, span: TimeRange) -> Variables:
        """Return the variables with Grafana's own of one query."""
        return self.with_builtin(
            interval=format_duration(steps.step),
            interval_ms=str(round(steps.step * 1000)),
            rate_interval=format_duration(steps.rate),
            rate_interval_ms=str(round(steps.rate * 1000)),
            range=f"{round(span.seconds)}s",
            range_s=str(round(span.seconds)),
            range_ms=str(round(span.seconds * 1000)),
        )

    def query(self, text: str) -> str:
        """Return PromQL with the variables replaced: several values as a regular expression, quotes escaped."""
        return self._replace(text, _promql)

    def title(self, text: str) -> str:
        """Return a title or text with the variables replaced by what a reader sees."""
        return self._replace(text, lambda value: value.text)

    def address(self, text: str) -> str:
        """Return an address with the variables replaced and percent-encoded."""
        return self._replace(text, lambda value: formatted("", value, "percentencode"))

    def _replace(self, text: str, default: Callable[[Value], str]) -> str:
        def one(found: re.Match[str]) -> str:
            simple, bracket, bracket_format, brace, _, brace_format = found.groups()
            name = simple or bracket or brace
            form = bracket_format or brace_format
            if name in self.builtin:
                return _moment(self.builtin[name], form) if name in ("__from", "__to") else self.builtin[name]
            value = self.values.get(name)
            if value is None:
                return found.group(0)
            if value.is_all and value.all_value and form not in ("text", "queryparam"):
                # Grafana puts a custom "All" into the query as it is written.
                return value.all_value
            return formatted(name, value, form) if form else default(value)

        return _REFERENCE.sub(one, text)

    def references(self, text: str) -> set[str]:
        """Return the names of the variables that the text names."""
        return {(match[1] or match[2] or match[4]) for match in _REFERENCE.finditer(text)}


def formatted(name: str, value: Value, form: str) -> str:
    """Return a variable in one of the formats of `${name:format}`."""
    values = list(value.values)
    joined = ",".join(values)
    simple: dict[str, Callable[[], str]] = {
        "raw": lambda: joined,
        "csv": lambda: joined,
        "text": lambda: value.text,
        "pipe": lambda: "|".join(values),
        "regex": lambda: _regex(values),
        "json": lambda: json.dumps(values if value.listed else values[0] if values else ""),
        "glob": lambda: "{" + joined + "}" if len(values) > 1 else joined,
        "distributed": lambda: ",".join([*values[:1], *(f"{name}={other}" for other in values[1:])]),
        "singlequote": lambda: ",".join("'" + one.replace("'", r"\'") + "'" for one in values),
        "doublequote": lambda: ",".join('"' + one.replace('"', r"\"") + '"' for one in values),
        "sqlstring": lambda: ",".join("'" + one.replace("'", "''") + "'" for one in values),
        "percentencode": lambda: quote("{" + joined + "}" if len(values) > 1 else joined, safe=""),
        "uriencode": lambda: quote("{" + joined + "}" if len(values) > 1 else joined),
        # The other page finds out by itself what all is.
        "queryparam": lambda: "&".join(
            f"var-{name}={quote(one, safe='')}" for one in ([ALL] if value.is_all else values)
        ),
        "lucene": lambda: "(" + " OR ".join(f'"{one}"' for one in values) + ")" if len(values) > 1 else joined,
    }
    return simple[form]() if form in simple else joined


def parse_selected(given: Sequence[str]) -> dict[str, list[str]]:
    """Return `--var name=value` options by name; a repeated name chooses several values.

    Raises:
        RenderError: If one has no `=`.
    """
    selected: dict[str, list[str]] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise RenderError(f"--var {one}: write it as NAME=VALUE")
        selected.setdefault(name.removeprefix("var-"), []).append(value)
    return selected


def _promql(value: Value) -> str:
    if not value.listed:
        # One value stands in a plain string: only what would end the string is escaped.
        return ",".join(one.replace("\\", "\\\\").replace('"', '\\"') for one in value.values)
    escaped = [_escape(one).replace("\\", "\\\\").replace('"', '\\"') for one in value.values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def _escape(text: str) -> str:
    return re.sub(r"([\\^$*+?.()|\[\]{}])", r"\\\1", text)


def _regex(values: list[str]) -> str:
    escaped = [_escape(one).replace("/", "\\/") for one in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def _moment(milliseconds: str, form: str | None) -> str:
    if not form:
        return milliseconds
    if form == "date:seconds":
        return str(int(milliseconds) // 1000)
    return at(int(milliseconds) / 1000).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def builtins(span: TimeRange, dashboard: str) -> dict[str, str]:
    """Return Grafana's own variables that hold for a whole dashboard."""
    return {
        "__range": f"{round(span.seconds)}s",
        "__range_s": str(round(span.seconds)),
        "__range_ms": str(round(span.seconds * 1000)),
        "__from": str(round(span.start * 1000)),
        "__to": str(round(span.end * 1000)),
        "__dashboard": dashboard,
        "timezone": "utc",
    }
