from __future__ import annotations

from typing import Any

import pytest

from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.alerting.exporter.signals import SOURCE_UP
from ml_monitoring.alerting.model.links import panel_id
from ml_monitoring.dashboards.lib.layout import COLUMNS, Position, Size, flow
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import Panel, stat, text, timeseries
from ml_monitoring.dashboards.lib.variables import datasource
from ml_monitoring.dashboards.lint import panels

Json = dict[str, Any]


def page(*rows: Row, uid: str = "ml-monitoring-exporter-health") -> Page:
    return Page(uid=uid, title="T", description="D", folder="F", variables=(datasource(),), rows=rows)


def test_panels_go_side_by_side_and_then_below_the_highest_of_the_line() -> None:
    positions, bottom = flow([Size(12, 4), Size(12, 8), Size(16, 3), Size(8, 3)], 10)
    assert positions == [
        Position(0, 10, 12, 8),
        Position(12, 10, 12, 8),
        Position(0, 18, 16, 3),
        Position(16, 18, 8, 3),
    ]
    assert bottom == 21


@pytest.mark.parametrize(("width", "height"), [(0, 4), (25, 4), (12, 0)])
def test_a_size_outside_of_the_grid_is_refused(width: int, height: int) -> None:
    with pytest.raises(ValueError, match="a panel is"):
        Size(width, height)


def test_every_line_of_panels_fills_the_width(pages: list[Json]) -> None:
    for one in pages:
        for group in (one["panels"], *(panel.get("panels", []) for panel in one["panels"])):
            widths: dict[int, int] = {}
            for panel in group:
                # Grafana widens a repeated panel to the whole line by itself.
                width = COLUMNS if "repeat" in panel else panel["gridPos"]["w"]
                widths[panel["gridPos"]["y"]] = widths.get(panel["gridPos"]["y"], 0) + width
            assert set(widths.values()) <= {COLUMNS}, one["uid"]


def test_a_folded_row_takes_one_line_and_holds_its_panels() -> None:
    folded = Row("Folded", (text("A", "a"),), collapsed=True)
    built = page(folded, Row("Open", (text("B", "b"),))).to_json(load_alerts(), load_thresholds().scope())
    assert [(one["title"], one["gridPos"]["y"]) for one in built["panels"]] == [("Folded", 0), ("Open", 1), ("B", 2)]
    assert [(one["title"], one["gridPos"]["y"]) for one in built["panels"][0]["panels"]] == [("A", 1)]


def ids(*given: Panel, uid: str = "ml-monitoring-exporter-health") -> list[int]:
    built = page(Row("R", given), uid=uid).to_json(load_alerts(), load_thresholds().scope())
    return [panel["id"] for panel in panels(built)][1:]


def test_the_first_panel_of_a_signal_has_its_id_wherever_it_stands() -> None:
    own, other = stat(SOURCE_UP), text("Other", "x")
    number = panel_id("source_up")
    assert ids(own, other)[0] == number
    assert ids(other, own)[1] == number
    assert ids(own, stat(SOURCE_UP, title="Again"))[1] != number


def test_a_panel_over_time_has_the_id_of_its_signal_rather_than_a_number() -> None:
    number, curve = stat(SOURCE_UP), timeseries(SOURCE_UP, title="Over time")
    assert ids(number, curve)[1] == ids(curve, number)[0] == panel_id("source_up")
    # Grafana opens no panel that it repeats.
    assert ids(curve.repeated("cluster"), timeseries(SOURCE_UP, title="Once"))[1] == panel_id("source_up")


def test_a_signal_of_another_page_does_not_take_its_id_away_from_there() -> None:
    assert ids(stat(SOURCE_UP), uid="ml-monitoring-mlflow-experiments") != [panel_id("source_up")]


def test_two_panels_without_a_way_to_tell_them_apart_are_refused() -> None:
    with pytest.raises(
        ValueError, match="two panels get one id: ml-monitoring-exporter-health/A and ml-monitoring-exporter-health/A"
    ):
        ids(text("A", "a"), text("A", "b"))


def test_a_panel_cannot_be_repeated_by_a_variable_that_the_page_lacks() -> None:
    with pytest.raises(ValueError, match="repeated by metric, which is no variable"):
        ids(stat(SOURCE_UP).repeated("metric"))
