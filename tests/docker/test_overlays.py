"""Each overlay on top of the deployment that the other tests have used, but `render`, whose image Grafana makes."""

import json
import time
from dataclasses import dataclass

import psycopg2
import psycopg2.errors
import pytest

from tests.support.certificates import make_certificates, replace_certificate
from tests.support.comparison import OVER_COUNTERS, Both, differences, panel_queries
from tests.support.deployment import SERVICES, Deployment, wait_for

pytestmark = pytest.mark.stack

SCRAPE = 15


@dataclass
class Private:
    """The deployment with overlays, and addresses inside its networks, as nothing is published."""

    deployment: Deployment
    prometheus: str
    victoria: str
    since: float


@pytest.fixture(scope="module")
def private(deployed: Deployment) -> Private:
    """Lay three overlays over the stack: each is to work beside others."""
    printed = deployed.do("--with", f"private variants scale {deployed.folder / 'tests.yaml'}", "up")
    assert "ok    remote write    VictoriaMetrics has Prometheus's samples\n" in printed
    assert "http://" not in printed
    prometheus = f"http://{deployed.address('prometheus')}:9090"
    return Private(deployed, prometheus, f"http://{deployed.address('victoriametrics')}:8428", time.time())


@pytest.fixture(scope="module")
def demo(deployed: Deployment) -> Deployment:
    overlays = f"tls demo {deployed.folder / 'tests.yaml'} {deployed.folder / 'tests-demo.yaml'}"
    deployed.do("--with", overlays, "up")
    return deployed


def test_private_publishes_nothing(private: Private) -> None:
    services = (*SERVICES, "victoriametrics")
    networks = {name: private.deployment.container(name)["NetworkSettings"] for name in services}
    published = {
        name: [port for port, bindings in each["Ports"].items() if bindings] for name, each in networks.items()
    }
    assert {name: ports for name, ports in published.items() if ports} == {}
    with pytest.raises(OSError, match="refused"):
        private.deployment.api("prometheus", "/api/v1/query?query=up")


def test_variants_that_their_writer_writes_are_measured(private: Private) -> None:
    password, address = (
        private.deployment.secret("variants_writer_password"),
        private.deployment.address("postgres", "data"),
    )
    connection = psycopg2.connect(f"postgresql://variants_writer:{password}@{address}/variants")
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO variants (id, persona_id, content, predicted_er, pattern_used, status, posted_at)"
                " VALUES ('v1', 'ada', 'words', 0.05, 'question', 'active', now());"
                "INSERT INTO variant_monitoring"
                " (variant_id, persona_id, current_er, interaction_count, view_count, status)"
                " VALUES ('v1', 'ada', 0.25, 50, 200, 'active')"
            )
        with pytest.raises(psycopg2.errors.InsufficientPrivilege), connection, connection.cursor() as cursor:
            cursor.execute("DROP TABLE variants")
    finally:
        connection.close()
    measured = 'variant_engagement_ratio{persona="ada",variant="v1"}'
    wait_for(lambda: list(private.deployment.query(measured, server=private.prometheus).values()) == [0.25])


def test_every_panel_shows_the_same_from_prometheus_and_from_victoriametrics(private: Private) -> None:
    # A span before which every rule was evaluated with the overlay, and that has arrived; what is newer than 30 s is
    # not shown yet.
    span, late = 4 * SCRAPE, 45
    time.sleep(max(0.0, private.since + span + 3 * SCRAPE + late - time.time()))
    end = (time.time() - late) // SCRAPE * SCRAPE
    both = Both(private.prometheus, private.victoria, end - span, end, SCRAPE)
    queries = panel_queries(both, scrape=SCRAPE)
    assert len(queries) > 200
    compared = {place: query for place, query in queries.items() if not OVER_COUNTERS.search(query)}
    assert {place: found for place, query in compared.items() if (found := differences(both, query))} == {}
    shown = {place.partition("/")[0] for place, query in compared.items() if both.series(both.victoria, query)}
    assert {
        "ml-monitoring-mlflow-experiments",
        "ml-monitoring-exporter-health",
        "ml-monitoring-system-infrastructure",
        "ml-monitoring-variant-performance",
    } <= shown


def test_victoriametrics_gets_what_was_scraped_while_it_was_away(private: Private) -> None:
    since = time.time()
    private.deployment.stack.as_deployed().compose("stop", "victoriametrics")
    time.sleep(3 * SCRAPE)
    until = time.time()
    private.deployment.stack.as_deployed().compose("start", "victoriametrics")
    server = f"http://{private.deployment.address('victoriametrics')}:8428"

    def gone() -> dict[str, float]:
        expression = f"count_over_time(up[{until - since:.0f}s])"
        here = private.deployment.query(expression, until, private.prometheus)
        there = private.deployment.query(expression, until, server)
        return {job: count - there.get(job, 0) for job, count in here.items()}

    wait_for(lambda: set(gone().values()) == {0})


def test_prometheus_scrapes_the_exporter_by_tls(demo: Deployment) -> None:
    targets = demo.api("prometheus", "/api/v1/targets?state=active")["data"]["activeTargets"]
    urls = {target["labels"]["job"]: (target["scrapeUrl"], target["health"]) for target in targets}
    assert urls["ml-monitoring"] == ("https://exporter:9847/metrics", "up")
    assert urls["demo-inference"][1] == "up"
    # Without TLS nothing is answered any more.
    assert demo.stack.call("http://exporter:9847/metrics", service="alertlog").status in (0, 400)


def test_runs_reach_mlflow_through_its_server(demo: Deployment) -> None:
    answer = demo.api("mlflow", "/api/2.0/mlflow/experiments/get-by-name?experiment_name=demo-inference")
    assert answer["experiment"]["name"] == "demo-inference"
    wait_for(lambda: demo.query("sum(mlflow_runs{experiment='demo-inference',status='FINISHED'})").get("", 0) >= 2)


def test_every_source_of_the_demo_has_something_to_show(demo: Deployment) -> None:
    wait_for(lambda: demo.query("sum(ml_monitoring_source_up)") == {"": 3})
    for metric in ("variant_engagement_ratio", "fleet_server_cpu_utilization_ratio", "ab_test_requests_total"):
        assert demo.query(f"count({metric})").get("", 0) > 1, metric


def test_a_certificate_that_ends_soon_is_warned_of_and_renewed_without_losing_scrapes(demo: Deployment) -> None:
    folder = demo.folder / "secrets"
    replace_certificate(folder, days=12)
    shown = "certificate good for 12 days"
    # The exporter takes files by itself, no matter who wrote them.
    warned = demo.do("verify")
    assert f"warn  certificates    authority good for 3650 days, {shown}; renew with make deploy" in warned
    started = {name: demo.container(name)["State"]["StartedAt"] for name in SERVICES}
    before = (folder / "exporter_certificate").read_text()
    since = time.time()
    overlays = f"tls demo {demo.folder / 'tests.yaml'} {demo.folder / 'tests-demo.yaml'}"
    renewed = demo.do("--with", overlays, "up")
    assert f"ok    certificates    authority good for 3650 days, {shown}; renewed now: certificate" in renewed
    assert "ok    certificates    authority good for 3650 days, certificate good for 397 days\n" in renewed
    assert (folder / "exporter_certificate").read_text() != before
    assert {name: demo.container(name)["State"]["StartedAt"] for name in SERVICES} == started
    time.sleep(2 * SCRAPE)
    elapsed = time.time() - since
    scraped = demo.query(f"count_over_time(up{{job='ml-monitoring'}}[{elapsed:.0f}s])")["ml-monitoring"]
    assert scraped >= elapsed // SCRAPE - 1
    assert demo.query(f"sum_over_time(up{{job='ml-monitoring'}}[{elapsed:.0f}s])")["ml-monitoring"] >= scraped - 1


def test_a_new_authority_reaches_prometheus_without_a_restart(demo: Deployment) -> None:
    folder = demo.folder / "secrets"
    started = demo.container("prometheus")["State"]["StartedAt"]
    # An authority that ends is replaced; its old key is nothing any more.
    (folder / "ca_certificate").chmod(0o644)
    (folder / "ca_certificate").write_text("")
    make_certificates(folder)
    demo.do("verify")
    assert demo.container("prometheus")["State"]["StartedAt"] == started
    assert demo.query("up{job='ml-monitoring'}") == {"ml-monitoring": 1}


def test_a_backup_has_the_data_of_every_overlay_that_left_some(demo: Deployment) -> None:
    target = demo.folder / "backup-of-demo"
    demo.inside("mlflow", "sh", "-c", "echo kept > /artifacts/kept")
    now = time.time()
    runs = demo.query("sum(mlflow_runs{experiment='demo-inference'})", now)[""]
    # As it was deployed, whatever WITH says now.
    said = demo.do("backup", f"--to={target}")
    assert "packing the data of mlflow, which was away for" in said
    # Its overlay is gone, and its volume is there.
    assert "packing the data of victoriametrics, which does not run" in said
    stores = ["prometheus-data", "alertmanager-data", "alertlog-data"]
    overlays = ["mlflow-artifacts", "fleet-data", "victoriametrics-data"]
    manifest = json.loads((target / "backup.json").read_text())
    assert manifest["stores"] == [*stores, *overlays]
    assert manifest["overlays"][:2] == ["tls", "demo"]
    demo.inside("mlflow", "rm", "/artifacts/kept")
    given = f"tls demo {demo.folder / 'tests.yaml'} {demo.folder / 'tests-demo.yaml'}"
    said = demo.do("--with", given, "restore", str(target))
    assert "LEFT OUT: data of victoriametrics, which is not deployed here (the backup is of WITH='tls demo " in said
    assert demo.inside("mlflow", "cat", "/artifacts/kept") == "kept\n"
    wait_for(lambda: demo.query("sum(mlflow_runs{experiment='demo-inference'})").get("", 0) >= runs)
