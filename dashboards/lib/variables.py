"""Dashboard variables. Their names are the label names that they narrow, so that panels find them by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ml_monitoring.alerting.model.foreign import FOREIGN, PLACE_LABELS, STORE_LABEL, TARGET_LABELS
from ml_monitoring.alerting.model.links import store_variable
from ml_monitoring.dashboards.lib.upstream import grafana
from ml_monitoring.exporter.catalog import CATALOG

# What every panel, annotation and variable names as its data source.
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

# The same for panels and variables of logs.
LOGS_DATASOURCE = {"type": "loki", "uid": "${loki_datasource}"}

# The same for panels that ask the variant tables themselves. `postgres` is what every Grafana
# from 9.4 on knows: since 10.3 the type is `grafana-postgresql-datasource`, of which that is an alias.
VARIANTS_DATASOURCE = {"type": "postgres", "uid": "${variants_datasource}"}

# Grafana's numbers: read the values again when the time range changes; sort by name without regard to case.
ON_TIME_RANGE = 2
SORT_BY_NAME = 5
UNSORTED = 0
SHOWN, OUT_OF_SIGHT = 0, 2
# By source that can be given by names, what each store has few series of.
_OF_STORES = {
    "mlflow": "mlflow_experiments",
    "variants": "variants",
    "fleet": "fleet_file_info",
    "experiments": "ml_monitoring_experiment_info",
    "containers": "docker_container_running",
}


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a page.

    Attributes:
        name: Its name, which is the label that it narrows; `datasource` narrows none.
        template: The grafanalib object.
    """

    name: str
    template: Any


def datasource() -> Variable:
    """Return the choice of the Prometheus that the page reads."""
    return Variable(
        "datasource",
        grafana.Template(
            name="datasource", label="Data source", type="datasource", query="prometheus", refresh=1, sort=0
        ),
    )


def places(*, shown: bool) -> list[Variable]:
    """Return the choices of where targets run, by default all; links and addresses work out of sight too.

    Grafana cannot hide a variable of one value only, hence the setting.
    """
    return [
        Variable(
            label,
            grafana.Template(
                name=label,
                label=label.capitalize(),
                type="query",
                dataSource=DATASOURCE,
                query=f"label_values(instance:up:own{_braces(PLACE_LABELS[:index])}, {label})",
                refresh=ON_TIME_RANGE,
                sort=SORT_BY_NAME,
                multi=True,
                includeAll=True,
                # Also series without the label, as a Prometheus of one cluster has them.
                allValue=".*",
                default="All",
                hide=SHOWN if shown else OUT_OF_SIGHT,
            ),
        )
        for index, label in enumerate(PLACE_LABELS)
    ]


def stores(others: Sequence[Variable], sources: Sequence[str] = (), *, shown: bool) -> list[Variable]:
    """Return the choice of a store, by default all, of the sources by which the other variables are narrowed.

    Args:
        others: The page's other variables.
        sources: More sources.
        shown: Whether it is more than there.
    """
    queries = " ".join(str(other.template.query) for other in others)
    return [
        Variable(
            store_variable(source),
            grafana.Template(
                name=store_variable(source),
                label=STORE_LABEL.capitalize(),
                type="query",
                dataSource=DATASOURCE,
                query=f"label_values({series}{_braces(PLACE_LABELS)}, {STORE_LABEL})",
                refresh=ON_TIME_RANGE,
                sort=SORT_BY_NAME,
                multi=True,
                includeAll=True,
                # Also series without the label, as those of a source without a name.
                allValue=".*",
                default="All",
                hide=SHOWN if shown else OUT_OF_SIGHT,
            ),
        )
        for source, series in _OF_STORES.items()
        if source in sources or f"${store_variable(source)}" in queries
    ]


def loki_datasource() -> Variable:
    """Return the choice of the Loki that a page with logs reads."""
    return Variable(
        "loki_datasource",
        grafana.Template(name="loki_datasource", label="Logs", type="datasource", query="loki", refresh=1, sort=0),
    )


def log_label(label: str, *, title: str) -> Variable:
    """Return a choice of one, several or all values of a label of logs; the page needs `loki_datasource`."""
    template = grafana.Template(
        name=label,
        label=title,
        type="query",
        dataSource=LOGS_DATASOURCE,
        query=label,
        refresh=ON_TIME_RANGE,
        sort=SORT_BY_NAME,
        multi=True,
        includeAll=True,
        # LogQL wants one matcher at least that an empty value does not meet.
        allValue=".+",
        default="All",
    )
    return Variable(label, template)


def typed(name: str, *, title: str) -> Variable:
    """Return a field that the reader types into; it is empty at first."""
    return Variable(name, grafana.Template(name=name, label=title, type="textbox", query="", sort=0))


def variants_datasource() -> Variable:
    """Return the choice of the PostgreSQL that a page with rows of the variant tables reads."""
    return Variable(
        "variants_datasource",
        grafana.Template(
            name="variants_datasource",
            label="Variant tables",
            type="datasource",
            query="postgres",
            refresh=1,
            sort=0,
        ),
    )


def label_values(
    label: str,
    metric: str,
    *,
    title: str,
    name: str = "",
    within: tuple[str, ...] = (),
    through: Mapping[str, str] = MappingProxyType({}),
    may_be_empty: bool = False,
    first_only: bool = False,
    first: str = "",
    foreign: bool = False,
) -> Variable:
    """Return a choice of one, several or all values of a label.

    Args:
        label: The label, and so the variable's name.
        metric: The metric whose series carry the label, of the catalog or of another program; one with few series.
        title: What the page calls it.
        name: Name of the variable where it is not the label's, see `alerting.model.links.variable`.
        within: Variables that narrow the choice, by label name.
        through: The same by label for variables that have another name than their label.
        may_be_empty: Whether series may have the label empty, which "All" then includes.
        first_only: Open on the first value, not on all, and do not offer all: for pages about one of very many.
        first: Of such a page, which one opens: PromQL of the label's series, `<filter>` for the matchers, of which the
            highest comes first, not the first of the alphabet.
        foreign: Whether it is a metric of a user's own, whose labels nothing here knows.

    Raises:
        ValueError: If nothing gives the metric or one of the labels.
    """
    if metric in CATALOG:
        series = CATALOG[metric].sample_names[0]
        labels = CATALOG[metric].sample_labels(series)
    elif metric in FOREIGN:
        series, labels = metric, FOREIGN[metric]
    elif foreign:
        series, labels = metric, frozenset({label, *within, *through})
    else:
        raise ValueError(f"variable {label}: no metric {metric} in the catalog or in alerting/model/foreign.py")
    unknown = {label, *within, *through} - labels - TARGET_LABELS
    if unknown:
        raise ValueError(f"variable {label}: {metric} has no label {', '.join(sorted(unknown))}")
    # What a source exposes that the settings give a name is narrowed by its name, too; see `stores`.
    origin = CATALOG[metric].origin if metric in CATALOG else ""
    of_store = {STORE_LABEL: store_variable(origin)} if origin in _OF_STORES else {}
    braces = _braces((*PLACE_LABELS, *within), {**of_store, **through})
    template = grafana.Template(
        name=name or label,
        label=title,
        type="query",
        dataSource=DATASOURCE,
        query=f"query_result(sort_desc({first.replace('<filter>', braces.strip('{}'))}))"
        if first
        else f"label_values({series}{braces}, {label})",
        regex=f'/[{{,]{label}="([^"]+)"/' if first else None,
        refresh=ON_TIME_RANGE,
        sort=UNSORTED if first else SORT_BY_NAME,
        multi=True,
        includeAll=not first_only,
        # `.+` demands the label: a series without it is no series of this choice. `.*` where it may be empty.
        allValue=None if first_only else ".*" if may_be_empty else ".+",
        default=None if first_only else "All",
    )
    return Variable(name or label, template)


def _braces(names: Sequence[str], through: Mapping[str, str] = MappingProxyType({})) -> str:
    matchers = ",".join(f'{label}=~"${name}"' for label, name in {**{name: name for name in names}, **through}.items())
    return f"{{{matchers}}}" if matchers else ""
