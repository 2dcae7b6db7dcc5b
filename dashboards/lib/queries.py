"""From a signal to the query of a panel: variables narrow it, its unit is converted, its series get names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ml_monitoring.alerting.model.alert import BoundAlert
from ml_monitoring.alerting.model.foreign import PLACE_LABELS, STORE_LABEL
from ml_monitoring.alerting.model.links import store_variable, variable
from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.dashboards.lib.style import ABOVE_ZERO, FORMATS, Colour, Format
from ml_monitoring.dashboards.lib.thresholds import comparing
from ml_monitoring.dashboards.lib.upstream import Json, grafana
from ml_monitoring.dashboards.lib.variables import DATASOURCE

# At least four scrapes wide, and never narrower than the step; right for rate() and its kin only.
RATE_WINDOW = "$__rate_interval"
# The whole time range that the page shows, for single values such as "errors in this range".
SHOWN_RANGE = "$__range"
# From one value of a query to the next.
STEP = "$__interval"

REF_IDS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

# A heatmap names its rows by their upper bound; a table has columns instead of a legend.
_LEGENDS = {"heatmap": "{{le}}", "table": "__auto"}


@dataclass(frozen=True, slots=True)
class Scope:
    """What a panel may know of its page.

    Attributes:
        uid: The page.
        variables: Names of the variables that narrow its queries.
        alerts: The alerts, of which those on a panel's signals colour it.
        selectors: Whose series of other programs' metrics are meant, see `Thresholds.scope`.
        shown_places: Clusters, namespaces and stores, as far as their choice is shown, and so of which ones series are.
    """

    uid: str
    variables: frozenset[str]
    alerts: tuple[BoundAlert, ...] = ()
    selectors: Mapping[str, str] = field(default_factory=dict)
    shown_places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Limit:
    """Where a value begins to be bad that no alert compares, and so which colour it has.

    Attributes:
        signal: What is compared.
        comparison: `>` or `<`.
        threshold: With what.
        severity: How bad it is then: critical, warning or info.
    """

    signal: Signal
    comparison: str | None
    threshold: float
    severity: str


class _WithExemplars(grafana.Target):  # type: ignore[misc]  # grafanalib carries no types
    def to_json_data(self) -> Json:
        return {**super().to_json_data(), "exemplar": True}


@dataclass(frozen=True, slots=True)
class Query:
    """A signal as one query of a panel.

    Attributes:
        signal: What is asked.
        name: Legend of its series, or title of its column; by default the signal's own.
        where: Labels held at one value, instead of by the variable of that name.
        matchers: More matchers, such as `alertname=~"A|B"`.
        window: Range of rates in the signal.
        colour: A colour of its own; for a signal that gives one series.
        decimals: Instead of the unit's.
        lowest: Only so many series of each cluster and namespace, those with the lowest values; 0 for all.
        highest: The same with those with the highest.
        values: Words and colours of the values of a code, in a table.
        limits: Comparison, threshold and severity of what no alert judges, such as `("<", 0, "critical")`.
        form: How values are shown, where not as the signal's unit says.
        dashed: Draw as a dashed line, for references beside the real thing.
        above_zero: Only values above 0.
        exemplars: Show exemplars too; for a signal that reads a histogram's buckets itself, not a recorded series.
        nameless: What a series is called none of whose labels in the legend has a value; Grafana calls it `Value`.
    """

    signal: Signal
    name: str = ""
    where: Mapping[str, str] = field(default_factory=dict)
    matchers: str = ""
    window: str = RATE_WINDOW
    colour: Colour | None = None
    decimals: int | None = None
    lowest: int = 0
    highest: int = 0
    values: Mapping[str, tuple[str, Colour]] = field(default_factory=dict)
    limits: tuple[tuple[str, float, str], ...] = ()
    form: Format | None = None
    dashed: bool = False
    above_zero: bool = False
    exemplars: bool = False
    nameless: str = ""

    def __post_init__(self) -> None:
        unknown = set(self.where) - set(self.signal.filters)
        if unknown:
            raise ValueError(f"signal {self.signal.name} cannot be narrowed by {', '.join(sorted(unknown))}")

    @property
    def format(self) -> Format:
        """Return how values of the signal are shown."""
        if self.form or not self.signal.suffix:
            return self.form or FORMATS[self.signal.unit]
        return Format(f"suffix:{self.signal.suffix}", low=0)

    def judges(self, scope: Scope) -> tuple[Limit, ...]:
        """Return what says which values are bad, in the unit that is shown: alerts, and the query's own limits."""
        judges = (*comparing([self.signal], scope.alerts), *(Limit(self.signal, *limit) for limit in self.limits))
        scale = self.format.divisor
        return tuple(Limit(self.signal, one.comparison, one.threshold / scale, one.severity) for one in judges)

    @property
    def legend(self) -> str:
        """Return the name of the query's series; never empty, since Grafana would show the whole expression."""
        return self.name or self.signal.legend_format or self.signal.title

    def expr(self, scope: Scope) -> str:
        """Return the PromQL for a page."""
        matchers = []
        places = [label for label in PLACE_LABELS if label not in self.signal.lacks]
        for label in (*self.signal.filters, *places):
            if label in self.where:
                matchers.append(f'{label}="{self.where[label]}"')
            elif variable(scope.uid, label) in scope.variables:
                matchers.append(f'{label}=~"${variable(scope.uid, label)}"')
        if (of_store := store_variable(self.signal.source)) in scope.variables:
            matchers.append(f'{STORE_LABEL}=~"${of_store}"')
        if self.matchers:
            matchers.append(self.matchers)
        place = ",".join(f'{label}=~"${label}"' for label in places if label in scope.variables)
        expr = self.signal.promql(scope.selectors, matchers=",".join(matchers), window=self.window, place=place)
        if self.lowest:
            expr = f"bottomk by ({', '.join(PLACE_LABELS)}) ({self.lowest}, {expr})"
        if self.highest:
            expr = f"topk by ({', '.join(PLACE_LABELS)}) ({self.highest}, {expr})"
        if self.above_zero:
            expr = f"({expr}) > 0"
        if self.format.divisor != 1:
            return f"({expr}) / {self.format.divisor}"
        return expr if self.format.factor == 1 else f"{self.format.factor} * ({expr})"

    def shown_legend(self, scope: Scope) -> str:
        """Return the name of the query's series where those of several places are shown."""
        return " ".join([self.legend, *(f"{{{{{label}}}}}" for label in scope.shown_places)])

    def target(self, scope: Scope, ref_id: str, *, instant: bool = False, form: str = "time_series") -> Any:
        """Return the grafanalib target; `finalise` adds what it lacks and removes its dead keys."""
        made = _WithExemplars if self.exemplars else grafana.Target
        return made(
            expr=self.expr(scope),
            datasource=DATASOURCE,
            legendFormat=_LEGENDS.get(form, self.shown_legend(scope)),
            refId=ref_id,
            instant=instant,
            format=form,
        )


def of_source(signal: Signal, kind: str) -> Query:
    """Return a signal about sources of the exporter for those of a kind, with and without names of their own."""
    return Query(signal, matchers=f'source=~"{kind}(/.+)?"')


def as_query(given: Signal | Query) -> Query:
    """Return the query, or the signal as one."""
    return given if isinstance(given, Query) else Query(given)


def as_queries(given: Sequence[Signal | Query]) -> tuple[Query, ...]:
    """Return the queries of a panel with one axis.

    Raises:
        ValueError: If there are none or more than 26, if their units differ, or if two would have the same legend.
    """
    queries = tuple(as_query(one) for one in given)
    names = ", ".join(query.signal.name for query in queries)
    if not 1 <= len(queries) <= len(REF_IDS):
        raise ValueError(f"a panel has 1 to {len(REF_IDS)} queries, not {len(queries)}: {names}")
    if len({query.format.unit for query in queries}) > 1:
        raise ValueError(f"one axis cannot show different units: {names}")
    if len({query.legend for query in queries}) < len(queries):
        raise ValueError(f"two queries of one panel have the same legend, give each a name: {names}")
    return queries


def targets(queries: Sequence[Query], scope: Scope, *, instant: bool = False, form: str = "time_series") -> list[Any]:
    """Return a panel's targets, lettered from A."""
    return [
        query.target(scope, ref_id, instant=instant, form=form)
        for query, ref_id in zip(queries, REF_IDS[: len(queries)], strict=True)
    ]


def name_overrides(queries: Sequence[Query]) -> list[Json]:
    """Return the field override that names series without a name, where a query says how."""
    given = next((query.nameless for query in queries if query.nameless), "")
    # As many blanks as there are labels but one, or Grafana's own word for no name at all.
    matcher = {"id": "byRegexp", "options": r"/^\s*(?:Value)?$/"}
    return [{"matcher": matcher, "properties": [{"id": "displayName", "value": given}]}] if given else []


def colour_overrides(
    queries: Sequence[Query], by_word: Mapping[str, Colour] | None = None, *, base: Colour | None = None
) -> list[Json]:
    """Return the field overrides that fix colours.

    Args:
        queries: Those with a colour of their own give it to their series.
        by_word: Colours of series by a word in their name, such as a run status.
        base: Colour of a 0, which is no alarm; by default that of the word.
    """
    matchers = [
        ({"id": "byFrameRefID", "options": ref_id}, query.colour)
        for query, ref_id in zip(queries, REF_IDS, strict=False)
        if query.colour
    ]
    matchers += [({"id": "byRegexp", "options": rf"/\b{word}\b/"}, colour) for word, colour in (by_word or {}).items()]
    return [{"matcher": matcher, "properties": _coloured(colour, base)} for matcher, colour in matchers]


def _coloured(colour: Colour, base: Colour | None) -> list[Json]:
    if base is None:
        return [{"id": "color", "value": {"mode": "fixed", "fixedColor": str(colour)}}]
    counted = [{"color": str(base), "value": None}, {"color": str(colour), "value": ABOVE_ZERO}]
    return [{"id": "thresholds", "value": {"mode": "absolute", "steps": counted}}]
