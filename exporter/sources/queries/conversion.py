"""Settings of `queries` made of a configuration of query-exporter or sql_exporter.

Their forms are those of query-exporter 5, of sql_exporter by free and burningalchemist, and of JustWatch's, which
Debian has. What has no counterpart is listed and left out; nothing is asked of any database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import ScalarNode

from ml_monitoring.exporter import yaml_syntax
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.redaction import redact
from ml_monitoring.exporter.sources.queries.settings import QueriesSettings
from ml_monitoring.exporter.suggestions import suggestion, suggestion_or_all

Json = Mapping[str, Any]
_DEFAULT_INTERVAL: Final = "60s"
# Of query-exporter's metrics; those that are not taken over are read all the same.
_KINDS: Final = ("counter", "enum", "gauge", "histogram", "summary")
_QUERY_KEYS: Final = ("databases", "interval", "metrics", "parameters", "schedule", "sql", "timeout")
# What reading raises where a list stands for a mapping, or something is missing.
_SHAPES: Final = (KeyError, TypeError, ValueError, AttributeError)


@dataclass
class Conversion:
    """What became of a configuration.

    Attributes:
        queries: Settings of `sources.queries`.
        tasks: What is to be done before they are used.
        left_out: What did not become any.
    """

    queries: dict[str, dict[str, Any]] = field(default_factory=dict)
    tasks: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    _metrics: set[str] = field(default_factory=set)

    def add(self, name: str, query: dict[str, Any]) -> None:
        """Add a query, where it is one."""
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
        for metric in [each for each in query["metrics"] if each in self._metrics]:
            self.left_out.append(f"query {name}: metric {metric}: another query has it")
            del query["metrics"][metric]
        if not query["metrics"]:
            self.left_out.append(f"query {name}: no metric of it could be taken")
            return
        try:
            QueriesSettings.model_validate({**query, "uri": "sqlite:///any"})
        except ValidationError as error:
            problems = {f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()}
            self.left_out += [f"query {name}: {redact(problem)}" for problem in sorted(problems)]
            return
        self.queries[name] = query
        self._metrics |= query["metrics"].keys()


def convert(path: Path) -> Conversion:
    """Make settings of a file.

    Raises:
        ConfigError: The file cannot be read, or is of neither.
    """
    content = _load(path)
    try:
        if "databases" in content and "queries" in content:
            return _of_query_exporter(content)
        if "jobs" in content and any("connections" in job for job in _items(content, "jobs")):
            return _of_jobs(content)
        if "target" in content or "collectors" in content or "metrics" in content:
            return _of_collectors(content, path.parent)
    except _SHAPES as error:
        raise ConfigError([f"{path}: {_shape(error)}"]) from None
    raise ConfigError([f"{path}: no configuration of query-exporter or sql_exporter"])


class _Constructor(SafeConstructor):
    """Takes query-exporter's tags for variables and files as what they are called here."""

    def variable(self, node: ScalarNode) -> str:
        return f"${{{node.value}}}"

    def file(self, node: ScalarNode) -> str:
        return f"file:{node.value}"


_Constructor.add_constructor("!env", _Constructor.variable)
_Constructor.add_constructor("!file", _Constructor.file)


def _load(path: Path) -> Json:
    loader = YAML(typ="safe", pure=True)
    loader.Constructor = _Constructor
    try:
        content = loader.load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: is not UTF-8"]) from None
    except MarkedYAMLError as error:
        where = f"{path}:{line}" if (line := yaml_syntax.line_of(error)) else f"{path}"
        raise ConfigError([f"{where}: not valid YAML: {yaml_syntax.describe(error)}"]) from None
    except (YAMLError, ValueError):
        # Without the library's words, which may hold a password.
        raise ConfigError([f"{path}: not valid YAML"]) from None
    if not isinstance(content, Mapping):
        raise ConfigError([f"{path}: must hold a mapping"])
    return content


def _items(content: Json, key: str) -> Sequence[Json]:
    found = content.get(key) or ()
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else ()


def _uri(conversion: Conversion, where: str, dsn: object) -> dict[str, str]:
    """Return the settings that say where to ask; an address itself may hold a password, and is not repeated."""
    text = str(dsn)
    if isinstance(dsn, str) and re.fullmatch(r"\$\{\w+\}", text):
        return {"uri": text}
    if text.startswith("file:") and "//" not in text:
        return {"uri_file": text.removeprefix("file:")}
    if text.startswith("env:"):
        return {"uri": f"${{{text.removeprefix('env:')}}}"}
    variable = re.sub(r"\W", "_", where).upper() + "_URI"
    task = f"set the variable {variable} to the address of {where}: postgresql://, mysql:// or sqlite:///"
    if task not in conversion.tasks:
        conversion.tasks.append(task)
    return {"uri": f"${{{variable}}}"}


def _seconds(value: object) -> str:
    return value if isinstance(value, str) and not value.isdigit() else f"{value}s"


def _of_query_exporter(content: Json) -> Conversion:
    conversion = Conversion()
    for name, query in content["queries"].items():
        try:
            _add_query(conversion, str(name), query, content)
        except _SHAPES as error:
            conversion.left_out.append(f"query {name}: {_shape(error)}")
    if conversion.queries:
        conversion.left_out.append(
            "the label database, which query-exporter sets: select it as a column where it is used"
        )
    return conversion


def _add_query(conversion: Conversion, name: str, query: Json, content: Json) -> None:
    """Add a query of query-exporter; what cannot be read of it is raised as one of `_SHAPES`."""
    databases, metrics = content["databases"] or {}, content.get("metrics") or {}
    first, *others = query["databases"]
    for key in query.keys() - _QUERY_KEYS:
        conversion.left_out.append(f"query {name}: {key}: unknown key{suggestion(str(key), _QUERY_KEYS)}")
    for unused in ("parameters", "schedule"):
        if query.get(unused):
            conversion.left_out.append(f"query {name}: {unused}")
    if query.get("parameters"):
        return
    if others:
        conversion.left_out.append(f"query {name}: databases {', '.join(others)}: write a query for each")
    if first not in databases:
        conversion.left_out.append(f"query {name}: there is no database {first}{suggestion_or_all(first, databases)}")
        return
    database = databases.get(first) or {}
    if database.get("connect-sql"):
        conversion.left_out.append(f"database {first}: connect-sql")
    taken = dict(_metrics_of_query_exporter(conversion, name, query["metrics"], metrics))
    if constant := [f"{label}={value!r}" for label, value in (database.get("labels") or {}).items()]:
        conversion.left_out.append(f"database {first}: labels {', '.join(constant)}: select them as columns")
    converted = {
        **_uri(conversion, first, database.get("dsn")),
        "interval": _seconds(query.get("interval") or _DEFAULT_INTERVAL),
        "sql": query["sql"],
        "metrics": taken,
    }
    if query.get("timeout"):
        converted["timeout"] = f"{round(float(query['timeout']) * 1000)}ms"
    conversion.add(name, converted)


def _shape(error: Exception) -> str:
    """Return how a configuration differs from what is read, without anything of its values."""
    return (
        f"{error.args[0]} is missing"
        if isinstance(error, KeyError)
        else "is not as the exporter's documentation has it"
    )


def _metrics_of_query_exporter(
    conversion: Conversion, query: str, names: Sequence[str], declared: Json
) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in names:
        metric = declared.get(name) or {}
        kind = metric.get("type", "gauge")
        if kind not in _KINDS:
            conversion.left_out.append(
                f"metric {name}: type {kind}: there is none{suggestion_or_all(str(kind), _KINDS)}"
            )
            continue
        if kind not in ("gauge", "counter") or metric.get("increment"):
            what = "increment" if metric.get("increment") else kind
            conversion.left_out.append(f"query {query}: metric {name}: {what}: count in SQL")
            continue
        if metric.get("expiration"):
            conversion.left_out.append(f"metric {name}: expiration: what is not selected ends at once")
        # Its library appends the end of a counter's name itself.
        exposed = f"{name.removesuffix('_total')}_total" if kind == "counter" else name
        yield exposed, _metric(name, kind, metric.get("description"), metric.get("labels"))


def _metric(value: str, kind: str, text: str | None, labels: Sequence[str] | None) -> dict[str, Any]:
    metric: dict[str, Any] = {"value": value, "type": kind, "help": text or f"{value} by a query."}
    return metric | ({"labels": list(labels)} if labels else {})


def _of_collectors(content: Json, folder: Path) -> Conversion:
    conversion = Conversion()
    target = content.get("target") or {}
    collectors = list(_items(content, "collectors")) + ([content] if "metrics" in content else [])
    for pattern in content.get("collector_files") or ():
        collectors += [_load(path) for path in sorted(folder.glob(pattern))]
    conversion.left_out += [
        f"job {job.get('job_name')}: write its queries for each target" for job in _items(content, "jobs")
    ]
    default = (content.get("global") or {}).get("min_interval")
    for collector in collectors:
        interval = collector.get("min_interval") or default
        shared = {each["query_name"]: each["query"] for each in _items(collector, "queries") if "query_name" in each}
        by_query: dict[str, dict[str, Any]] = {}
        for metric in _items(collector, "metrics"):
            name = str(metric.get("metric_name"))
            reference = metric.get("query_ref")
            sql = shared.get(str(reference)) if reference else metric.get("query")
            if sql is None:
                conversion.left_out.append(f"metric {name}: its query is missing")
                continue
            query = by_query.setdefault(
                str(reference or name),
                {
                    **_uri(conversion, "target", target.get("data_source_name")),
                    "interval": _seconds(interval) if interval and interval != "0s" else _DEFAULT_INTERVAL,
                    "sql": sql,
                    "metrics": {},
                },
            )
            query["metrics"] |= _metric_of_collector(conversion, name, metric)
        for name, query in by_query.items():
            conversion.add(name, query)
    return conversion


def _metric_of_collector(conversion: Conversion, name: str, metric: Json) -> dict[str, Any]:
    values: Sequence[str] = metric.get("values") or []
    if len(values) != 1 or metric.get("static_value") is not None:
        conversion.left_out.append(f"metric {name}: several values or a fixed one: select each as a metric of its own")
        return {}
    for unused in ("static_labels", "timestamp_value"):
        if metric.get(unused):
            advice = ": select them as columns" if unused == "static_labels" else ""
            conversion.left_out.append(f"metric {name}: {unused}{advice}")
    kind = str(metric.get("type", "gauge")).lower()
    return {name: _metric(values[0], kind, metric.get("help"), metric.get("key_labels"))}


def _of_jobs(content: Json) -> Conversion:
    conversion = Conversion()
    shared = content.get("queries") or {}
    for job in _items(content, "jobs"):
        connections = job.get("connections") or [""]
        name_of_job = str(job.get("name"))
        if others := len(connections) - 1:
            conversion.left_out.append(f"job {name_of_job}: {others} more connections: write its queries for each")
        if job.get("startup_sql"):
            conversion.left_out.append(f"job {name_of_job}: startup_sql")
        for query in _items(job, "queries"):
            name = str(query.get("name"))
            values, labels = query.get("values") or (), query.get("labels")
            exposed = {f"sql_{name}" if len(values) == 1 else f"sql_{name}_{value}": value for value in values}
            conversion.add(
                name,
                {
                    **_uri(conversion, name_of_job, connections[0]),
                    "interval": _seconds(job.get("interval") or _DEFAULT_INTERVAL),
                    "sql": query.get("query") or shared.get(query.get("query_ref"), ""),
                    "metrics": {
                        metric: _metric(value, "gauge", query.get("help"), labels) for metric, value in exposed.items()
                    },
                },
            )
    if conversion.queries:
        conversion.left_out.append("the labels col, database, driver, host, sql_job and user, which sql_exporter sets")
    return conversion
