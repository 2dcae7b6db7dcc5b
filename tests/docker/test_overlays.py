"""The overlays `tls` and `demo` on top of the deployment that the other tests have used."""

import pytest

from tests.docker.deployment import Deployment, wait_for

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def demo(deployed: Deployment) -> Deployment:
    overlays = f"tls demo {deployed.folder / 'tests.yaml'} {deployed.folder / 'tests-demo.yaml'}"
    deployed.do("--with", overlays, "up")
    return deployed


def test_prometheus_scrapes_the_exporter_by_tls(demo: Deployment) -> None:
    targets = demo.api("prometheus", "/api/v1/targets?state=active")["data"]["activeTargets"]
    urls = {target["labels"]["job"]: (target["scrapeUrl"], target["health"]) for target in targets}
    assert urls["exporter"] == ("https://exporter:9847/metrics", "up")
    assert urls["demo-inference"][1] == "up"
    # Without TLS nothing is answered any more.
    assert demo.stack.call("http://exporter:9847/metrics", service="alertlog").status in (0, 400)


def test_runs_reach_mlflow_through_its_server(demo: Deployment) -> None:
    answer = demo.api("mlflow", "/api/2.0/mlflow/experiments/get-by-name?experiment_name=demo-inference")
    assert answer["experiment"]["name"] == "demo-inference"
    wait_for(lambda: demo.query("sum(mlflow_runs{experiment='demo-inference',status='FINISHED'})").get("", 0) >= 2)


def test_every_source_of_the_demo_has_something_to_show(demo: Deployment) -> None:
    wait_for(lambda: demo.query("sum(exporter_source_up)") == {"": 3})
    for metric in ("variant_engagement_ratio", "fleet_server_cpu_utilization_ratio", "ab_test_requests_total"):
        assert demo.query(f"count({metric})").get("", 0) > 1, metric
