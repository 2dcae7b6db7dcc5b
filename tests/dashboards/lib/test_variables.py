"""The choices of clusters and namespaces, which every page has."""

from __future__ import annotations

import pytest

from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.pages import mlflow
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
        if "mlflow_runs{" in target["expr"] and target["legendFormat"] != "__auto"
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
