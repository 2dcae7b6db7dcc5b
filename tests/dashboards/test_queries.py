from __future__ import annotations

import pytest

from alerting.signals import BY_NAME as SIGNAL
from alerting.signals import Signal
from dashboards.lib.panels import Column, barchart, gauge, heatmap, state_timeline, table, timeseries
from dashboards.lib.queries import Query, Scope, as_queries
from dashboards.lib.variables import label_values
from exporter.catalog import Unit

NOWHERE = Scope("page", frozenset())
WHEN = Signal(name="when", title="When", question="When?", expr="x{<filter>}", unit=Unit.TIMESTAMP, dashboard="page")


def test_a_query_is_narrowed_by_the_variables_that_the_page_has() -> None:
    query = Query(SIGNAL["source_up"])
    assert query.expr(NOWHERE) == "exporter_source_up"
    assert query.expr(Scope("page", frozenset({"source", "other"}))) == 'exporter_source_up{source=~"$source"}'


def test_a_fixed_label_goes_before_the_variable() -> None:
    query = Query(SIGNAL["source_up"], where={"source": "mlflow"})
    scope = Scope("page", frozenset({"source", "instance"}))
    assert query.expr(scope) == 'exporter_source_up{instance=~"$instance",source="mlflow"}'


def test_a_label_that_the_signal_cannot_be_narrowed_by_is_refused() -> None:
    with pytest.raises(ValueError, match="signal source_up cannot be narrowed by metric"):
        Query(SIGNAL["source_up"], where={"metric": "loss"})


def test_a_timestamp_is_converted_to_the_milliseconds_that_grafana_counts() -> None:
    assert Query(WHEN).expr(NOWHERE) == "1000 * (x)"


def test_queries_that_do_not_fit_one_axis_are_refused() -> None:
    with pytest.raises(ValueError, match="one axis cannot show different units: source_up, source_interval"):
        as_queries([SIGNAL["source_up"], SIGNAL["source_interval"]])
    with pytest.raises(ValueError, match="have the same legend"):
        as_queries([SIGNAL["source_interval"], SIGNAL["source_last_success_age"]])
    with pytest.raises(ValueError, match="1 to 26 queries, not 0"):
        as_queries([])


def test_a_panel_refuses_a_signal_that_it_cannot_show() -> None:
    with pytest.raises(ValueError, match="a dial needs two ends"):
        gauge(SIGNAL["source_interval"])
    with pytest.raises(ValueError, match="needs a flag"):
        state_timeline(SIGNAL["source_interval"])
    with pytest.raises(ValueError, match="needs the label le"):
        heatmap(SIGNAL["source_interval"])
    with pytest.raises(ValueError, match="show its age"):
        timeseries(WHEN)
    with pytest.raises(ValueError, match="has no label colour"):
        barchart(SIGNAL["source_interval"], x="colour")
    with pytest.raises(ValueError, match="signal source_interval has no label team"):
        table((Column("team", "Team"),), SIGNAL["source_interval"], title="T")
    with pytest.raises(ValueError, match="no column Age to sort by"):
        table((Column("source", "Source"),), SIGNAL["source_interval"], title="T", sort_by="Age")


def test_a_variable_needs_a_metric_that_carries_its_labels() -> None:
    with pytest.raises(ValueError, match="variable x: no metric nothing in the catalog"):
        label_values("x", "nothing", title="X")
    with pytest.raises(ValueError, match="variable status: mlflow_runs has no label server"):
        label_values("status", "mlflow_runs", title="Status", within=("server",))
