"""What a signal is: one question of an operator, with the PromQL that answers it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ml_monitoring.alerting.model.placeholders import fill
from ml_monitoring.exporter.catalog import Unit

# Metrics of sources that can be given by names, and what is recorded of them.
_NAMED: Final = {
    "mlflow": "mlflow",
    "variant": "variants",
    "variants": "variants",
    "fleet": "fleet",
    "ml_monitoring_experiment": "experiments",
    "docker_container": "containers",
}
# The level of a recorded series, before its colon, is no metric.
_OF_NAMED: Final = re.compile(rf"\b(?:\w+:)?+({'|'.join(_NAMED)})(?:_|\{{)")
_PER_TIME: Final = re.compile(r" per (second|minute|hour)\b|\brate\b", re.IGNORECASE)
# Dashboards of others in the same Grafana must keep their uids.
UID_PREFIX: Final = "ml-monitoring-"


@dataclass(frozen=True, slots=True)
class Signal:
    """One named PromQL expression from which panels and alerts are made.

    Attributes:
        name: snake_case, unique.
        title: Panel title.
        question: The operator's question in one sentence; it becomes the panel's description.
        expr: PromQL with `<filter>` where a dashboard's matchers go, `<place>` where only those of clusters and
            namespaces do, `<window>` where a range goes, `<node>` and its like for whose series of another
            program's metric are meant, see `Selectors`, and `<Alert.parameter>` for an alert's number.
        unit: Unit of the result.
        dashboard: uid of the page that shows the signal; alerts link there.
        by: Labels that tell the resulting series apart. Target labels such as `job` may survive beside them.
        filters: Labels that a dashboard variable of the same name may narrow.
        legend: Legend format; by default the labels in `by`.
        lacks: Of the labels that say where a target runs, those that the series do not have, so that no page narrows
            it by them.
        window: Range used outside Grafana; panels pass `$__rate_interval`.
        signed: Whether values may be below 0 although the unit's usually are not, such as a difference of ratios.
        above_one: Whether a ratio may be above 1, as one of what is worse to what was, or of CPUs to those given.
        suffix: What stands behind values in a unit of the user's own.
        over_time: Whether its page has a panel over time that leads with it, to which its alerts link: the value at the
            end of a night says nothing of the night.
        curve: Name of another signal of the page whose panel over time shows what is behind it, where it has none.
            Alerts on signals with neither link to the page.
    """

    name: str
    title: str
    question: str
    expr: str
    unit: Unit
    dashboard: str
    by: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    legend: str = ""
    lacks: tuple[str, ...] = ()
    window: str = "5m"
    signed: bool = False
    above_one: bool = False
    suffix: str = ""
    over_time: bool = True
    curve: str = ""

    @property
    def legend_format(self) -> str:
        """Return the legend, `{{a}} {{b}}` from the surviving labels unless one was given."""
        return self.legend or " ".join(f"{{{{{label}}}}}" for label in self.by)

    @property
    def is_rate(self) -> bool:
        """Tell whether counts are given per time, so that less than one is not nothing."""
        return self.unit is Unit.COUNT and _PER_TIME.search(self.title) is not None

    @property
    def variable_matchers(self) -> str:
        """Return matchers that bind every filter label to the dashboard variable of its name."""
        return ",".join(f'{label}=~"${label}"' for label in self.filters)

    @property
    def source(self) -> str:
        """Return the source that its series are of, where that can be given several times, by names."""
        found = _OF_NAMED.search(self.expr)
        return _NAMED[found[1]] if found is not None else ""

    def promql(
        self, scope: Mapping[str, str], *, matchers: str = "", window: str | None = None, place: str = ""
    ) -> str:
        """Return the expression with its placeholders filled.

        Args:
            scope: What the placeholders of selectors stand for, see `Thresholds.scope`.
            matchers: Label matchers for each `<filter>`, such as `experiment=~"$experiment"`; none by default.
            window: Range for each `<window>`; the signal's own by default.
            place: Label matchers for each `<place>`; none by default.
        """
        return fill(self.expr, {**scope, "filter": matchers, "place": place, "window": window or self.window})


def loudest(firing: Callable[[str], str], calm: str, doubt: str = "") -> str:
    """Return PromQL of the highest severity of which an alert fires, 3 for critical to 1 for info, and 0 for none.

    In doubt it is -1 for none.

    Args:
        firing: Returns PromQL that is 1 where an alert of a severity fires.
        calm: PromQL of what is there to be watched; without it there is no answer.
        doubt: PromQL of what is there and cannot be judged, so that it is not known whether all is well.
    """
    unknown = f" or 0 * {doubt} - 1" if doubt else ""
    # `or` keeps the first that there is.
    return f"3 * {firing('critical')} or 2 * {firing('warning')} or {firing('info')}{unknown} or 0 * {calm}"


def named_by_code(values: str, codes: str, names: Sequence[str]) -> str:
    """Return PromQL of values with a label `verdict`: what the codes 0, 1, ... of other series say of them.

    Args:
        values: PromQL.
        codes: PromQL of series with the same labels.
        names: What each code is called.
    """
    return " or ".join(
        f'label_replace({values} and {codes} == {code}, "verdict", "{name}", "", "")' for code, name in enumerate(names)
    )
