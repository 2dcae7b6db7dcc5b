"""Which values dashboard variables have: asked of Prometheus, sorted, filtered and chosen by Grafana's rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ml_monitoring.dashboards.render.errors import QueryError, RenderError
from ml_monitoring.dashboards.render.intervals import TimeRange, format_duration, parse_duration, round_interval
from ml_monitoring.dashboards.render.model import Dashboard
from ml_monitoring.dashboards.render.prometheus import Prometheus
from ml_monitoring.dashboards.render.variables import ALL, Value, Variables, builtins

Json = dict[str, Any]
Option = tuple[str, str]  # value, text

_LABEL_VALUES = re.compile(r"^label_values\((?:(.+),\s*)?([a-zA-Z_$][a-zA-Z0-9_]*)\s*\)\s*$", re.DOTALL)
_LABEL_NAMES = re.compile(r"^label_names\(\)\s*$")
_METRICS = re.compile(r"^metrics\((.+)\)\s*$", re.DOTALL)
_QUERY_RESULT = re.compile(r"^query_result\((.+)\)\s*$", re.DOTALL)


def resolve_variables(
    dashboard: Dashboard, prometheus: Prometheus, span: TimeRange, wanted: Mapping[str, list[str]]
) -> Variables:
    """Return the values of a dashboard's variables.

    Args:
        dashboard: The dashboard.
        prometheus: Where query variables read.
        span: The time range shown.
        wanted: Values chosen by the user, by variable name.

    Raises:
        RenderError: If a chosen variable does not exist, or a query of one fails; the message names it.
    """
    declared = {str(variable.get("name")): variable for variable in dashboard.variables}
    unknown = set(wanted) - set(declared)
    if unknown:
        known = ", ".join(declared) or "none"
        raise RenderError(f"{dashboard.uid} has no variable {', '.join(sorted(unknown))}; it has {known}")
    variables = Variables({}, builtins(span, dashboard.title))
    for name in _in_order(declared):
        try:
            value = _choose(declared[name], variables, prometheus, span, wanted.get(name))
        except QueryError as error:
            raise QueryError(f"{dashboard.uid}: variable {name}: {error}") from error
        if value is not None:
            variables = Variables({**variables.values, name: value}, variables.builtin)
    return variables


def _in_order(declared: Mapping[str, Json]) -> list[str]:
    """Return the names so that each comes after those that its query names."""
    done: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in done or name in path:
            return
        text = f"{_query_text(declared[name])} {declared[name].get('regex') or ''}"
        for other in sorted(Variables().references(text) & set(declared)):
            visit(other, (*path, name))
        done.append(name)

    for name in declared:
        visit(name, ())
    return done


def _choose(
    variable: Json, variables: Variables, prometheus: Prometheus, span: TimeRange, wanted: list[str] | None
) -> Value | None:
    kind = variable.get("type")
    if kind in ("adhoc", "groupby"):
        return None
    if kind in ("constant", "textbox", "switch"):
        current = _current(variable)
        text = (wanted or current or [str(variable.get("query") or "")])[0]
        return Value((text,), (text,))
    options = _options(variable, variables, prometheus, span)
    if kind == "interval" and not wanted and variable.get("auto"):
        least = parse_duration(str(variable.get("auto_min") or "10s"))
        auto = max(least, round_interval(span.seconds / max(1, int(variable.get("auto_count") or 30))))
        options = (
            [(format_duration(auto), "auto"), *options] if _current(variable)[:1] in ([], ["$__auto"]) else options
        )
    if kind == "interval":
        options = [option for option in options if option[0] != "$__auto"]
    return replace(_selected(variable, options, wanted), options=tuple(options))


def _selected(variable: Json, options: list[Option], wanted: list[str] | None) -> Value:
    listed = bool(variable.get("multi") or variable.get("includeAll"))
    every = Value(
        tuple(value for value, _ in options),
        tuple(text for _, text in options),
        is_all=True,
        all_value=str(variable.get("allValue") or ""),
        listed=True,
    )
    texts = dict(options)
    if wanted:
        if variable.get("includeAll") and wanted in (["All"], [ALL]):
            return every
        by_text = {text: value for value, text in options}
        chosen = [by_text.get(one, one) if one not in texts else one for one in wanted]
        return Value(tuple(chosen), tuple(texts.get(one, one) for one in chosen), listed=listed)
    current = _current(variable)
    if ALL in current and variable.get("includeAll"):
        return every
    valid = [one for one in current if one in texts]
    if variable.get("type") == "datasource" or not options:
        valid = valid or [one for one in current if one != ALL]
    if valid:
        chosen = valid if variable.get("multi") else valid[:1]
        return Value(tuple(chosen), tuple(texts.get(one, one) for one in chosen), listed=listed)
    if variable.get("includeAll"):
        return every
    # Grafana takes the first option when the stored one is no longer there.
    first = options[:1]
    return Value(tuple(value for value, _ in first), tuple(text for _, text in first), listed=listed)


def _current(variable: Json) -> list[str]:
    value = (variable.get("current") or {}).get("value")
    values = value if isinstance(value, list) else [value]
    return [str(one) for one in values if one not in (None, "")]


def _options(variable: Json, variables: Variables, prometheus: Prometheus, span: TimeRange) -> list[Option]:
    kind = variable.get("type")
    if kind == "query":
        found = _filtered(
            _ask(variable, variables, prometheus, span), variables.query(str(variable.get("regex") or ""))
        )
        return _sorted(found, int(variable.get("sort") or 0))
    if kind == "datasource":
        return [(str(variable.get("query") or "prometheus"), str(variable.get("query") or "prometheus"))]
    if kind in ("custom", "interval"):
        found = []
        for part in re.split(r"(?<!\\),", str(variable.get("query") or "")):
            text, colon, value = part.replace("\\,", ",").strip().partition(" : ")
            found.append((value.strip() if colon else text.strip(), text.strip()))
        return [option for option in found if option[0]]
    raise RenderError(f"variable {variable.get('name')}: the type {kind} is not known")


def _query_text(variable: Json) -> str:
    query = variable.get("query")
    if isinstance(query, dict):
        query = query.get("query")
    return str(query or variable.get("definition") or "")


def _ask(variable: Json, variables: Variables, prometheus: Prometheus, span: TimeRange) -> list[str]:
    text = variables.query(_query_text(variable)).strip()
    if found := _LABEL_VALUES.match(text):
        return prometheus.label_values(found[2], (found[1] or "").strip(), span)
    if _LABEL_NAMES.match(text):
        return prometheus.label_names(span)
    if found := _METRICS.match(text):
        pattern = re.compile(found[1].strip())
        return [name for name in prometheus.label_values("__name__", "", span) if pattern.search(name)]
    query = found[1] if (found := _QUERY_RESULT.match(text)) else text
    if not query:
        return []
    answer = prometheus.instant(query, span.end).result()
    return [
        f"{_series_name(series.labels)} {series.points[0][1]:g} {series.points[0][0] * 1000:.0f}"
        for series in answer.series
    ]


def _series_name(labels: Mapping[str, str]) -> str:
    inner = ",".join(f'{name}="{value}"' for name, value in labels.items() if name != "__name__")
    return f"{labels.get('__name__', '')}{{{inner}}}"


def _filtered(values: list[str], regex: str) -> list[Option]:
    if not regex:
        return [(value, value) for value in dict.fromkeys(values)]
    found: dict[str, str] = {}
    for value in values:
        match = js_regex(regex).search(value)
        if not match:
            continue
        groups = match.groupdict()
        if groups:
            chosen = groups.get("value") or groups.get("text") or ""
            found.setdefault(chosen, groups.get("text") or chosen)
        else:
            chosen = match.group(1) if match.groups() else value
            if chosen is not None:
                found.setdefault(chosen, chosen)
    return list(found.items())


def js_regex(text: str) -> re.Pattern[str]:
    """Return `/pattern/flags`, as Grafana writes regular expressions, or a bare pattern, for Python.

    Raises:
        RenderError: If Python cannot read it.
    """
    pattern, flags = text, 0
    if found := re.fullmatch(r"/(.*)/([gimsuy]*)", text, re.DOTALL):
        pattern = found[1]
        flags = re.IGNORECASE if "i" in found[2] else 0
    try:
        return re.compile(re.sub(r"\(\?<(?![=!])", "(?P<", pattern).replace("\\/", "/"), flags)
    except re.error as error:
        raise RenderError(f"the regular expression {text} cannot be read: {error}") from error


def _sorted(options: list[Option], order: int) -> list[Option]:
    if order == 0:
        return options
    kind = (order + 1) // 2  # 1 alphabetical, 2 numerical, 3 without regard to case, 4 natural

    def key(option: Option) -> tuple[float, str] | str | tuple[tuple[int, str], ...]:
        text = option[1]
        if kind == 2:
            digits = re.search(r"-?\d+(\.\d+)?", text)
            return (float(digits[0]) if digits else -1.0, text)
        if kind == 4:
            parts = re.findall(r"\d+|\D+", text.lower())
            return tuple((int(part), "") if part.isdigit() else (-1, part) for part in parts)
        return text.lower() if kind == 3 else text

    return sorted(options, key=key, reverse=order % 2 == 0)
