from __future__ import annotations

import pytest

from ml_monitoring.alerting.exporter.signals import SOURCE_INTERVAL, SOURCE_LAST_SUCCESS_AGE, SOURCE_UP
from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.dashboards.lib.panels import (
    Column,
    barchart,
    gauge,
    heatmap,
    stat,
    state_timeline,
    table,
    timeseries,
)
from ml_monitoring.dashboards.lib.queries import Query, Scope, as_queries
from ml_monitoring.dashboards.lib.style import Colour
from ml_monitoring.dashboards.lib.upstream import as_json
from ml_monitoring.dashboards.lib.variables import label_values
from ml_monitoring.exporter.catalog import Unit

NOWHERE = Scope("page", frozenset())
WHEN = Signal(name="when", title="When", question="When?", expr="x{<filter>}", unit=Unit.TIMESTAMP, dashboard="page")


def test_a_query_is_narrowed_by_the_variables_that_the_page_has() -> None:
    query = Query(SOURCE_UP)
    assert query.expr(NOWHERE) == "ml_monitoring_source_up"
    assert query.expr(Scope("page", frozenset({"source", "other"}))) == 'ml_monitoring_source_up{source=~"$source"}'


def test_a_fixed_label_goes_before_the_variable() -> None:
    query = Query(SOURCE_UP, where={"source": "mlflow"})
    scope = Scope("page", frozenset({"source", "instance"}))
    assert query.expr(scope) == 'ml_monitoring_source_up{instance=~"$instance",source="mlflow"}'


def test_a_label_that_the_signal_cannot_be_narrowed_by_is_refused() -> None:
    with pytest.raises(ValueError, match="signal source_up cannot be narrowed by metric"):
        Query(SOURCE_UP, where={"metric": "loss"})


def test_a_timestamp_is_converted_to_the_milliseconds_that_grafana_counts() -> None:
    assert Query(WHEN).expr(NOWHERE) == "1000 * (x)"


def test_limits_of_a_query_colour_what_no_alert_judges() -> None:
    panel = stat(Query(SOURCE_INTERVAL, limits=(("<", 1e-9, "critical"), ("<", 0.25, "warning"))))
    defaults = as_json(panel.render(NOWHERE))["fieldConfig"]["defaults"]
    assert defaults["thresholds"]["steps"] == [
        {"color": Colour.FAILURE, "value": None},
        {"color": Colour.WARNING, "value": 1e-9},
        {"color": Colour.GOOD, "value": 0.25},
    ]


@pytest.mark.parametrize(
    ("limit", "unit", "expr", "shown"),
    [
        (3600, "s", "ml_monitoring_source_interval_seconds", 3600),
        (86_400, "suffix: h", "(ml_monitoring_source_interval_seconds) / 3600", 24),
        (864_000, "suffix: d", "(ml_monitoring_source_interval_seconds) / 86400", 10),
    ],
)
def test_an_axis_of_long_times_is_in_hours_or_days(limit: float, unit: str, expr: str, shown: float) -> None:
    drawn = as_json(timeseries(Query(SOURCE_INTERVAL, limits=((">", limit, "warning"),))).render(NOWHERE))
    defaults = drawn["fieldConfig"]["defaults"]
    assert (defaults["unit"], defaults["thresholds"]["steps"][1]["value"]) == (unit, shown)
    assert drawn["targets"][0]["expr"] == expr


def test_the_highest_and_the_lowest_are_those_of_each_place() -> None:
    assert Query(SOURCE_UP, highest=1).expr(NOWHERE) == "topk by (cluster, namespace) (1, ml_monitoring_source_up)"
    assert Query(SOURCE_UP, lowest=2).expr(NOWHERE) == "bottomk by (cluster, namespace) (2, ml_monitoring_source_up)"


def test_queries_that_do_not_fit_one_axis_are_refused() -> None:
    with pytest.raises(ValueError, match="one axis cannot show different units: source_up, source_interval"):
        as_queries([SOURCE_UP, SOURCE_INTERVAL])
    with pytest.raises(ValueError, match="have the same legend"):
        as_queries([SOURCE_INTERVAL, SOURCE_LAST_SUCCESS_AGE])
    with pytest.raises(ValueError, match="1 to 26 queries, not 0"):
        as_queries([])


def test_a_panel_refuses_a_signal_that_it_cannot_show() -> None:
    with pytest.raises(ValueError, match="a dial needs two ends"):
        gauge(SOURCE_INTERVAL)
    with pytest.raises(ValueError, match="needs a flag"):
        state_timeline(SOURCE_INTERVAL)
    with pytest.raises(ValueError, match="needs the label le"):
        heatmap(SOURCE_INTERVAL)
    with pytest.raises(ValueError, match="show its age"):
        timeseries(WHEN)
    with pytest.raises(ValueError, match="has no label colour"):
        barchart(SOURCE_INTERVAL, x="colour")
    with pytest.raises(ValueError, match="no signal has the label team"):
        table((Column("team", "Team"),), SOURCE_INTERVAL, title="T")
    with pytest.raises(ValueError, match="no column Age to sort by"):
        table((Column("source", "Source"),), SOURCE_INTERVAL, title="T", sort_by="Age")


def test_a_variable_needs_a_metric_that_carries_its_labels() -> None:
    with pytest.raises(ValueError, match="variable x: no metric nothing in the catalog"):
        label_values("x", "nothing", title="X")
    with pytest.raises(ValueError, match="variable status: mlflow_runs has no label server"):
        label_values("status", "mlflow_runs", title="Status", within=("server",))
