"""Settings of one query of the source `queries`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator
from typing_extensions import override

from ml_monitoring.exporter.catalog import CATALOG
from ml_monitoring.exporter.settings_hints import Location
from ml_monitoring.exporter.sources.base import DatabaseAddress, SourceSettings
from ml_monitoring.exporter.suggestions import suggestion_or_all
from ml_monitoring.exporter.values import NAME_PATTERN, Duration, Model, Names, refuse

_COUNTER_END: Final = "_total"
# What samples of counters, histograms and summaries are called behind the names of their families.
_SAMPLE_ENDS: Final = (_COUNTER_END, "_bucket", "_count", "_sum", "_created", "_info")
# Prometheus sets these at each scrape, or they mean something of their own.
_TAKEN_LABELS: Final = frozenset({"job", "instance", "cluster", "namespace", "le", "quantile"})


def _family(metric: str) -> str:
    """Return what OpenMetrics calls the family of a metric."""
    return metric.removesuffix(_COUNTER_END)


# What client libraries say of their process, as the exporter does; it depends on the system which of these there are.
_OF_THE_PROCESS: Final = (
    *("process_virtual_memory_bytes", "process_resident_memory_bytes", "process_start_time_seconds"),
    *("process_cpu_seconds_total", "process_open_fds", "process_max_fds", "python_info"),
    *("python_gc_objects_collected_total", "python_gc_objects_uncollectable_total", "python_gc_collections_total"),
)
# What Prometheus adds to each scrape, and what it makes of alerts.
_OF_PROMETHEUS: Final = frozenset({"up", "ALERTS", "ALERTS_FOR_STATE"})
_OF_SCRAPES: Final = "scrape_"
# Name of a family -> the metrics of the catalog that take it, and those beside it.
_TAKEN: Final = {
    name: metric.name
    for metric in CATALOG.values()
    for name in (metric.name, _family(metric.name), *metric.sample_names)
} | {name: metric for metric in _OF_THE_PROCESS for name in (metric, _family(metric))}


def _free_metric(name: str) -> str:
    if name.startswith("ml_monitoring_"):
        raise ValueError("names that begin with ml_monitoring_ are the exporter's own: choose another one")
    if name in _OF_PROMETHEUS or name.startswith(_OF_SCRAPES):
        raise ValueError("a name of Prometheus's own: choose another one")
    if taken := _TAKEN.get(name) or _TAKEN.get(_family(name)):
        raise ValueError(f"the exporter has the metric {taken}: choose another name")
    return name


def _free_labels(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name.startswith("__") or name in _TAKEN_LABELS:
            raise ValueError(f"{name!r} is a label of Prometheus's own; name the column otherwise with AS")
    if len({name.lower() for name in names}) < len(names):
        raise ValueError("a column is given twice")
    return names


Column = Annotated[str, Field(pattern=NAME_PATTERN, max_length=63)]
MetricName = Annotated[str, Field(pattern=NAME_PATTERN, max_length=200), AfterValidator(_free_metric)]


class QueryMetric(Model):
    """One metric of a query.

    Attributes:
        value: Column of its values.
        help: One sentence about it.
        type: A counter's name ends in `_total`.
        labels: Columns that become labels of the same names.
    """

    value: Annotated[Column, Field(examples=["number"])]
    help: Annotated[str, Field(min_length=1, max_length=500, examples=["Orders that wait."])]
    type: Literal["gauge", "counter"] = "gauge"
    labels: Annotated[Names, AfterValidator(_free_labels)] = ()

    @model_validator(mode="after")
    def _has_columns(self) -> Self:
        refuse(
            f"labels: {column!r} is no name of a column; name it otherwise with AS"
            for column in self.labels
            if not column.isidentifier() or not column.isascii()
        )
        return self


class QueriesSettings(SourceSettings):
    """Settings of one query.

    Attributes:
        store: Source whose database is asked, such as `mlflow`, `mlflow/prod` or `variants`.
        uri: Database that is asked, in place of `store`; a user that may only read will do.
        sql: One SELECT.
        metrics: What is made of its columns, by the names of metrics.
    """

    interval: Duration = 60.0
    max_series: Annotated[int, Field(ge=1)] = 1_000
    store: str | None = None
    uri: DatabaseAddress | None = None
    sql: Annotated[str, Field(min_length=1, examples=["SELECT count(*) AS number FROM orders"])]
    metrics: Annotated[
        dict[MetricName, QueryMetric],
        Field(min_length=1, examples=[{"shop_orders": {"value": "number", "help": "Orders that wait."}}]),
    ]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[str]:
        if (self.store is None) is (self.uri is None):
            yield "store: give either store or uri"
        for name, metric in self.metrics.items():
            if metric.type == "counter" and not name.endswith(_COUNTER_END):
                yield f"metrics.{name}: the name of a counter ends in {_COUNTER_END}: call it {name}{_COUNTER_END}"
            if metric.type == "gauge" and name.endswith(_SAMPLE_ENDS):
                grows = "; of what only grows give type: counter" if name.endswith(_COUNTER_END) else ""
                yield f"metrics.{name}: the name of a gauge must not end in {_ends(name)}{grows}"

    @override
    def conflicts(self, sections: Mapping[str, SourceSettings]) -> Iterator[tuple[Location, str]]:
        """Yield a store that is none, and metrics that a query before has."""
        if self.store is not None and self.store not in (stores := _stores(sections)):
            meant = suggestion_or_all(self.store, stores) if stores else "; give the file that has it, too"
            yield ("store",), f"there is no source {self.store!r} with a database{meant}"
        before: dict[str, str] = {}
        for name, section in sections.items():
            if section is self:
                break
            if isinstance(section, QueriesSettings):
                before |= {_family(metric): name for metric in section.metrics}
        for metric in self.metrics:
            if other := before.get(_family(metric)):
                yield ("metrics", metric), f"{other} has a metric of this name"

    @override
    def completed(self, sections: Mapping[str, SourceSettings]) -> SourceSettings:
        """Return these settings with the URI of the store."""
        return self if self.store is None else self.model_copy(update={"uri": _stores(sections)[self.store]})


def _ends(name: str) -> str:
    return next(end for end in _SAMPLE_ENDS if name.endswith(end))


def _stores(sections: Mapping[str, SourceSettings]) -> dict[str, SecretStr]:
    """Return the databases of other sources by their names."""
    found = {}
    for name, section in sections.items():
        uri = getattr(section, "uri", None)
        if isinstance(section, QueriesSettings) or not isinstance(uri, SecretStr):
            continue
        # A tracking server has a URI too, but takes no SQL.
        if not uri.get_secret_value().startswith(("http://", "https://")):
            found[name] = uri
    return found
