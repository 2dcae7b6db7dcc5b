"""The choices of clusters and namespaces, which every page has."""

from __future__ import annotations

from typing import Any

import pytest

from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.pages import build_all, mlflow, system_infrastructure
from tests.support.specimen import specimen


@pytest.mark.parametrize("shown", [False, True])
def test_a_page_offers_clusters_and_namespaces_where_the_settings_say_so(*, shown: bool) -> None:
    context = PageContext.of(load_thresholds().changed({"dashboards": {"cluster_variables": shown}}))
    page = specimen().to_json(load_alerts(), context.selectors, cluster_variables=context.cluster_variables)
    source, cluster, namespace, *_ = page["templating"]["list"]
    assert source["name"] == "datasource"
    for variable, query in (
        (cluster, "label_values(instance:up:own, cluster)"),
        (namespace, 'label_values(instance:up:own{cluster=~"$cluster"}, namespace)'),
    ):
        assert variable["hide"] == (0 if shown else 2)
        assert variable["query"]["query"] == query
        # Series without the label, as a Prometheus of one cluster has them, are among all.
        assert (variable["current"]["text"], variable["allValue"]) == (["All"], ".*")


@pytest.mark.parametrize("shown", [False, True])
def test_pages_of_sources_with_names_offer_their_stores_where_the_settings_say_so(*, shown: bool) -> None:
    context = PageContext.of(load_thresholds().changed({"dashboards": {"store_variable": shown}}))
    page = mlflow.build(context).to_json(context.alerts, context.selectors, store_variable=context.store_variable)
    variables = {variable["name"]: variable for variable in page["templating"]["list"]}
    store = variables["mlflow_store"]
    assert store["hide"] == (0 if shown else 2)
    places = 'cluster=~"$cluster",namespace=~"$namespace"'
    assert store["query"]["query"] == f"label_values(mlflow_experiments{{{places}}}, store)"
    # A source without a name has series without the label.
    assert (store["current"]["text"], store["allValue"]) == (["All"], ".*")
    assert variables["experiment"]["query"]["query"] == (
        f'label_values(mlflow_runs{{{places},store=~"$mlflow_store"}}, experiment)'
    )
    (legend, expr), *_ = (
        (target["legendFormat"], target["expr"])
        for panel in page["panels"]
        for target in panel.get("targets", ())
        if "mlflow_runs:recent{" in target["expr"] and target["legendFormat"] != "__auto"
    )
    assert 'store=~"$mlflow_store"' in expr
    assert legend.endswith(" {{store}}") is shown
    # Alerts of other domains have no store.
    assert not [
        target["expr"]
        for panel in page["panels"]
        for target in panel.get("targets", ())
        if target["expr"].startswith("ALERTS") and "mlflow_store" in target["expr"]
    ]


def test_where_clusters_can_be_chosen_series_and_rows_say_which_they_are_of() -> None:
    page = specimen().to_json(load_alerts(), load_thresholds().scope(), cluster_variables=True)
    panels = {panel["title"]: panel for panel in page["panels"]}
    assert panels["Source up"]["targets"][0]["legendFormat"].endswith(" {{cluster}} {{namespace}}")
    assert panels["Table"]["transformations"][-1]["options"] == {
        "excludeByName": {"Time": True},
        "indexByName": {"instance": 0, "source": 1, "Value #A": 2, "Value #B": 3, "cluster": 4, "namespace": 5},
        "renameByName": {
            "instance": "Exporter",
            "source": "Source",
            "Value #A": "Interval",
            "Value #B": "Age",
            "cluster": "Cluster",
            "namespace": "Namespace",
        },
    }


@pytest.mark.parametrize("shown", [False, True])
def test_links_between_pages_hand_on_which_store_is_chosen(*, shown: bool) -> None:
    context = PageContext.of(load_thresholds().changed({"dashboards": {"store_variable": shown}}))
    built = {page.uid.removeprefix("ml-monitoring-"): page for page in build_all(context)}
    page, other, health = (
        built[name].to_json(context.alerts, context.selectors, store_variable=shown)
        for name in ("training", "logs", "exporter-health")
    )
    kept = "${datasource:queryparam}&${cluster:queryparam}&${namespace:queryparam}"
    own, of_row = "${mlflow_store:queryparam}", 'var-mlflow_store=${__data.fields["Store"]:percentencode}'
    experiment = 'var-experiment=${__data.fields["Experiment"]:percentencode}'
    assert {url for url in _urls(page) if "mlflow-experiments" in url} == {
        # A row that says of which store it is leads to that one.
        f"/d/ml-monitoring-mlflow-experiments?{experiment}&{kept}&{of_row if shown else own}&${{__url_time_range}}"
    }
    # A page that has no choice of stores is given none, and has none to hand on.
    assert f"/d/ml-monitoring-alerts?{kept}&${{__url_time_range}}" in _urls(page)
    assert not [url for url in _urls(other) | _urls(health) if "store" in url]


@pytest.mark.parametrize("shown", [False, True])
def test_containers_of_engines_with_names_can_be_chosen(*, shown: bool) -> None:
    context = PageContext.of(load_thresholds().changed({"dashboards": {"store_variable": shown}}))
    page = system_infrastructure.build(context).to_json(context.alerts, context.selectors, store_variable=shown)
    (store,) = [each for each in page["templating"]["list"] if each["name"] == "containers_store"]
    assert store["hide"] == (0 if shown else 2)
    expressions = [target["expr"] for panel in _panels(page) for target in panel.get("targets", ())]
    assert all(('store=~"$containers_store"' in expr) == ("docker_container" in expr) for expr in expressions)


def _panels(page: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for panel in page["panels"] for each in (panel, *panel.get("panels", ()))]


def _urls(thing: object) -> set[str]:
    if isinstance(thing, dict):
        return set().union(*map(_urls, thing.values()))
    if isinstance(thing, list):
        return set().union(*map(_urls, thing))
    return {thing} if isinstance(thing, str) and thing.startswith("/d/") else set()
