from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ml_monitoring.alerting.domains import ALERTS
from ml_monitoring.alerting.monitoring.signals import ALERTS_PAGE
from ml_monitoring.alerting.overview.signals import DOMAIN_ALERTS, STATES
from tests.support import verdict_lint

Json = dict[str, Any]
Rule = Callable[[list[Json]], Iterator[str]]

RULES: tuple[Rule, ...] = (
    verdict_lint.a_question_heads_the_page,
    verdict_lint.an_answer_comes_first,
    verdict_lint.ratios_of_the_answer_are_judged,
    verdict_lint.little_is_open,
    verdict_lint.alerts_are_those_of_the_page,
    verdict_lint.one_of_many_is_not_the_first_of_the_alphabet,
    verdict_lint.alerts_of_one_are_its_own,
    verdict_lint.every_page_is_named,
    verdict_lint.nothing_is_drawn_twice,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_page_keeps_the_rule(rule: Rule, pages: list[Json]) -> None:
    assert list(rule(pages)) == []


def test_a_page_without_question_is_found(pages: list[Json]) -> None:
    page = spoiled(pages)
    page["panels"][0]["title"] = "Overview"
    assert list(verdict_lint.a_question_heads_the_page([page])) == [f"{page['uid']}: no question heads the page"]


def test_a_number_is_no_state(pages: list[Json]) -> None:
    page = spoiled(pages)
    page["panels"][1]["options"]["colorMode"] = "value"
    assert list(verdict_lint.an_answer_comes_first([page])) == [f"{page['uid']}: begins with State, which is no state"]


def test_a_state_without_since_is_found(pages: list[Json]) -> None:
    page = spoiled(pages)
    page["panels"] = page["panels"][:2]
    assert list(verdict_lint.an_answer_comes_first([page])) == [f"{page['uid']}: nothing that is open says since when"]


def test_a_share_that_nothing_judges_is_found(pages: list[Json]) -> None:
    page = spoiled(pages)
    (errors,) = [panel for panel in page["panels"] if panel["title"] == "Error ratio"]
    del errors["fieldConfig"]["defaults"]["thresholds"]["steps"][1:]
    found = list(verdict_lint.ratios_of_the_answer_are_judged([page]))
    assert found == [f"{page['uid']}: Error ratio is neither good nor bad"]


def test_a_third_open_row_and_a_long_page_are_found(pages: list[Json]) -> None:
    page = spoiled(pages)
    (row, *_) = [panel for panel in page["panels"] if panel.get("collapsed")]
    row.update(collapsed=False, gridPos={"x": 0, "y": 90, "w": 24, "h": 1})
    assert list(verdict_lint.little_is_open([page])) == [
        f"{page['uid']}: 3 rows are open",
        f"{page['uid']}: 3458 pixels are open",
    ]


def firing(page: Json) -> Json:
    (found,) = [panel for panel in page["panels"] if panel["title"] == "Firing alerts"]
    return found  # type: ignore[no-any-return]  # JSON


def test_alerts_of_other_pages_and_another_order_are_found(pages: list[Json]) -> None:
    page = spoiled(pages)
    table = firing(page)
    table["options"]["sortBy"].reverse()
    for target in table["targets"]:
        target["expr"] = re.sub(r'alertname=~"[^"]*",?', "", target["expr"])
    order = table["options"]["sortBy"][0]["displayName"]
    assert list(verdict_lint.alerts_are_those_of_the_page([page])) == [
        f"{page['uid']}: lists alerts by {order}, or not since when they fire",
        f"{page['uid']}: lists alerts of other pages, or not all",
    ]


def test_a_missing_list_and_a_second_one_are_found(pages: list[Json]) -> None:
    page = spoiled(pages)
    firing(page).update(title="Recent alerts", type="alertlist")
    assert list(verdict_lint.alerts_are_those_of_the_page([page])) == [
        f"{page['uid']}: 0 lists of firing alerts are open",
        f"{page['uid']}: has a second list of alerts",
    ]


def test_a_page_that_opens_on_the_first_of_the_alphabet_is_found(pages: list[Json]) -> None:
    page = copy.deepcopy(next(page for page in pages if page["uid"] == "ml-monitoring-fleet-server"))
    (server,) = [one for one in page["templating"]["list"] if one["name"] == "one_server"]
    server["sort"] = 5
    found = list(verdict_lint.one_of_many_is_not_the_first_of_the_alphabet([page]))
    assert found == [f"{page['uid']}: opens on the Server that is first in the alphabet"]


def test_alerts_of_others_are_found(pages: list[Json]) -> None:
    page = copy.deepcopy(next(page for page in pages if page["uid"] == "ml-monitoring-variant-detail"))
    for target in firing(page)["targets"]:
        target["expr"] = target["expr"].replace(',variant=~"|$one_variant"', "")
    found = list(verdict_lint.alerts_of_one_are_its_own([page]))
    assert found == [f"{page['uid']}: Firing alerts has alerts of each $one_variant"]


# What alerts of a page must have where they have such a label: those about nothing that is chosen are for all.
CHOSEN = {
    "fleet-incident": 'profile=~"|$profile",server=~"|$server",file=~"|$file"',
    "experiments": 'experiment=~"|$declared_experiment"',
    "gpus": 'Hostname=~"|$Hostname"',
    "llm-serving": 'job=~"|$llm_job",model=~"|$language_model"',
    "ml-api": 'job=~"|$job",origin=~"|$origin"',
    "mlflow-experiments": 'experiment=~"|$experiment"',
    "mlflow-models": 'model=~"|$model"',
    "mlflow-traces": 'experiment=~"|$experiment"',
    "model-quality": 'model=~"|$model",model_version=~"|$model_version"',
    "training": 'experiment=~"|$experiment"',
    "variant-performance": 'persona=~"|$persona",pattern=~"|$pattern"',
}


@pytest.mark.parametrize("page", CHOSEN)
def test_alerts_of_a_page_are_those_of_what_is_chosen_on_it(page: str, pages: list[Json]) -> None:
    (panels,) = [one["panels"] for one in pages if one["uid"] == f"ml-monitoring-{page}"]
    # The state of models is that of their accuracy.
    titles = {"State", "Active since", "Firing alerts"} - ({"State"} if page == "model-quality" else set())
    shown = {panel["title"]: panel["targets"] for panel in panels if panel["title"] in titles}
    assert shown.keys() == titles
    exprs = [target["expr"] for targets in shown.values() for target in targets]
    assert [expr for expr in exprs if CHOSEN[page] not in expr] == []


def test_a_service_without_data_is_not_called_well_beside_others(pages: list[Json]) -> None:
    (panels,) = [one["panels"] for one in pages if one["uid"] == "ml-monitoring-ml-api"]
    (state,) = [panel for panel in panels if panel["title"] == "State"]
    # What is calm must be there, too: all that is asked for is narrowed but whether rules are evaluated.
    (target,) = state["targets"]
    narrowed = re.findall(r"(\w+)\{[^}]*" + re.escape(CHOSEN["ml-api"]), target["expr"])
    assert set(narrowed) == {"ALERTS", "ml_http_requests_total", "ml_process_start_timestamp_seconds", "rate"}


def test_a_page_that_the_overview_does_not_name_is_found(pages: list[Json]) -> None:
    stray = spoiled(pages) | {"uid": "ml-monitoring-stray"}
    found = list(verdict_lint.every_page_is_named([*pages, stray]))
    assert found == ["ml-monitoring-stray: the overview does not name it"]


def test_a_chart_that_is_there_twice_is_found(pages: list[Json]) -> None:
    page = spoiled(pages)
    chart = next(panel for panel in page["panels"] if panel["type"] == "timeseries")
    page["panels"].append(chart | {"title": "Again"})
    found = list(verdict_lint.nothing_is_drawn_twice([page]))
    assert found == [f"{page['uid']}: Again shows the same as {chart['title']}"]


def test_each_alert_is_shown_by_one_light_of_the_overview() -> None:
    shown = {
        alert.name: [domain for domain, names in DOMAIN_ALERTS.items() if re.fullmatch(names, alert.name)]
        for alert in ALERTS
        # It fires always, and has a tile of its own.
        if alert.name != "MlMonitoringWatchdog"
    }
    assert {name: lights for name, lights in shown.items() if len(lights) != 1} == {}


def spoiled(pages: list[Json]) -> Json:
    return copy.deepcopy(next(page for page in pages if page["uid"] == "ml-monitoring-ml-api"))


@pytest.mark.parametrize("page", sorted(STATES.keys() - {ALERTS_PAGE}))
def test_a_state_is_that_of_the_alerts_that_link_to_its_page(page: str) -> None:
    (names,) = set(re.findall(r'alertname=~"([^"]*)"', STATES[page].expr))
    meant = {alert.name for alert in ALERTS if re.fullmatch(names, alert.name)}
    # The watchdog fires always, which says nothing of a page.
    linked = {alert.name for alert in ALERTS if alert.signal.dashboard == page} - {"MlMonitoringWatchdog"}
    assert meant == linked
