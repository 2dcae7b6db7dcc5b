from __future__ import annotations

import re
from typing import Any

import pytest

from ml_monitoring.alerting.domains import SIGNALS, load_alerts, load_thresholds
from ml_monitoring.alerting.model.alert import BoundAlert
from ml_monitoring.alerting.model.links import panel_id
from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.style import LONG_TIMES
from ml_monitoring.dashboards.lint import panels
from ml_monitoring.dashboards.pages import build_all
from ml_monitoring.exporter.catalog import Unit

Json = dict[str, Any]
ALERTS = load_alerts()
OVER_TIME = {"timeseries", "state-timeline", "status-history", "heatmap"}
OUTLINES = {
    page.uid: [panel for row in page.rows for panel in row.panels]
    for page in build_all(PageContext.of(load_thresholds()))
}


@pytest.mark.parametrize("alert", ALERTS, ids=[alert.name for alert in ALERTS])
def test_an_alert_links_to_a_panel_over_time_or_to_the_page(alert: BoundAlert, pages: list[Json]) -> None:
    address = alert.annotations["dashboard_url"]
    found = re.search(r"/d/([\w-]+)(?:\?(?:viewPanel=(\d+))?(.*))?$", address)
    assert found, address
    uid, number, rest = found.groups()
    (page,) = (page for page in pages if page["uid"] == uid)
    assert any(alert.signal.question in (panel.get("description") or "") for panel in panels(page))
    if number:
        # Grafana opens the row of a link's panel, but not for those that it repeats.
        (panel,) = (panel for panel in panels(page) if panel["id"] == int(number))
        (lead,) = (one.lead for one in OUTLINES[uid] if one.title == panel["title"] and one.is_over_time)
        assert lead is not None
        assert lead.name in (alert.signal.name, alert.signal.curve)
        assert "repeat" not in panel
        # A value of the end of a night is green again.
        assert panel["type"] in OVER_TIME
    else:
        assert not alert.signal.curve
        # Nothing on the page says how it went: `over_time` of the signal is then False.
        leads = [panel.lead for panel in OUTLINES[uid] if panel.is_over_time]
        assert alert.signal not in leads
    declared = {variable["name"] for variable in page["templating"]["list"]}
    assert set(re.findall(r"\bvar-(\w+)=", rest or "")) <= declared


# What is shown by its labels, as words, has no number.
NUMBERS = [alert for alert in ALERTS if alert.comparison and alert.signal.unit is not Unit.INFO]


@pytest.mark.parametrize("alert", NUMBERS, ids=lambda alert: alert.name)
def test_a_panel_changes_colour_at_the_number_of_its_alert(alert: BoundAlert, pages: list[Json]) -> None:
    number = panel_id(alert.signal.name)
    (panel,) = (panel for page in pages for panel in panels(page) if panel["id"] == number)
    defaults = panel["fieldConfig"]["defaults"]
    steps = defaults["thresholds"]["steps"]
    per = {form.unit: form.divisor for form in LONG_TIMES.values()}.get(defaults["unit"], 1)
    # Of `> 0`, a 0 is still good.
    first = 1e-9 if (alert.comparison, alert.threshold) == (">", 0) else alert.threshold / per
    assert first in [step["value"] for step in steps]


@pytest.mark.parametrize("signal", SIGNALS, ids=[signal.name for signal in SIGNALS])
def test_every_signal_is_shown_on_its_page(signal: Signal) -> None:
    (page,) = (page for page in build_all(PageContext.of(load_thresholds())) if page.uid == signal.dashboard)
    shown = {query.signal.name for row in page.rows for panel in row.panels for query in panel.queries}
    shown |= {mark.query.signal.name for mark in page.marks}
    assert signal.name in shown


def test_the_pages_offer_a_menu_of_all_pages(pages: list[Json]) -> None:
    for page in pages:
        assert [link["tags"] for link in page["links"] if link["type"] == "dashboards"] == [["ml-stack"]]
