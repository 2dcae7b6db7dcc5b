"""What the values of the Helm chart change: a matrix of them, and what the exporter reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ml_monitoring.exporter.config import load
from ml_monitoring.exporter.shard import Shard
from tests.kubernetes.chart_matrix import MATRIX, NO_BULK, STORE
from tests.kubernetes.conftest import one
from tests.kubernetes.test_chart import alerts, of_kind, pages
from tests.support import helm
from tests.support.kubernetes_schemas import problems

Json = dict[str, Any]


@pytest.mark.parametrize("name", MATRIX)
def test_each_of_the_matrix_fits_the_published_schemas(name: str) -> None:
    objects = helm.template(MATRIX[name], release="monitoring", namespace="ml")
    assert objects
    assert [(each["kind"], each["metadata"]["name"], found) for each in objects if (found := problems(each))] == []
    assert len({(each["kind"], each["metadata"]["name"]) for each in objects}) == len(objects)
    assert {each["metadata"]["namespace"] for each in objects} == {"ml"}


@pytest.mark.parametrize(
    "name", ["several stores", "shards", "fleet files", "nodes", "an alert log without token or volume"]
)
def test_selectors_ports_and_references_meet(name: str) -> None:
    objects = helm.template(MATRIX[name])
    workloads = [each for each in objects if each["kind"] in ("Deployment", "StatefulSet")]
    assert len(workloads) == 2
    for workload in workloads:
        title, template = workload["metadata"]["name"], workload["spec"]["template"]
        labels = template["metadata"]["labels"].items()
        service = one(objects, "Service", title)
        monitor = one(objects, "ServiceMonitor", title)
        for selector in (
            workload["spec"]["selector"]["matchLabels"],
            service["spec"]["selector"],
            one(objects, "NetworkPolicy", title)["spec"]["podSelector"]["matchLabels"],
        ):
            assert selector.items() <= labels
        assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        job = service["metadata"]["labels"][monitor["spec"]["jobLabel"]]
        assert job == ("alertlog" if title.endswith("alertlog") else "ml-monitoring")
        (container,) = template["spec"]["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {
            each["name"] for each in template["spec"]["volumes"]
        }
        assert {port["name"] for port in container["ports"]} == {service["spec"]["ports"][0]["targetPort"]} == {"http"}
        one(objects, "ServiceAccount", template["spec"]["serviceAccountName"])
    # What the test's pod is let in by.
    pod = one(objects, "Pod", "ml-monitoring-test")
    (entry,) = one(objects, "NetworkPolicy", "ml-monitoring")["spec"]["ingress"]
    assert entry["from"][1]["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()


def settings_of(objects: list[Json], folder: Path, index: int = 0) -> Any:
    """Return the exporter's settings as its own parser reads them in a pod: Secrets are files, the index a variable."""
    (workload,) = (
        each
        for each in objects
        if each["kind"] in ("Deployment", "StatefulSet") and not each["metadata"]["name"].endswith("log")
    )
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    text = one(objects, "ConfigMap", "ml-monitoring")["data"]["ml-monitoring.yml"]
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    there: dict[str, str] = {}
    for store in yaml.safe_load(text)["sources"].values():
        for path in _files(store):
            assert str(Path(path).parent) in mounted
            here = folder / path.lstrip("/")
            here.parent.mkdir(parents=True, exist_ok=True)
            here.write_text("postgresql://exporter@db.example/mlflow" if "uri" in here.name else "secret")
            there[path] = str(here)
    for path, local in there.items():
        text = text.replace(f"{path}\n", f"{local}\n")
    settings = folder / "ml-monitoring.yml"
    settings.write_text(text)
    names = {variable["name"] for variable in container.get("env", [])}
    return load(settings, environ={"SHARD_INDEX": str(index)} if "SHARD_INDEX" in names else {})


def _files(section: Any) -> Iterator[str]:
    for key, value in section.items():
        if isinstance(value, dict):
            yield from _files(value)
        elif key.endswith("_file"):
            yield value


def test_the_exporter_reads_stores_of_several_secrets(tmp_path: Path) -> None:
    objects = helm.template(
        NO_BULK
        | {
            "exporter": {
                "stores": [
                    {**STORE, "name": "prod", "settings": {"interval": "30s"}},
                    {**STORE, "name": "eu-1", "existingSecret": "other"},
                    {"kind": "variants", "existingSecret": "other", "secretKeys": {"uri": "variants_uri"}},
                ],
                "settings": {"web": {"enable_lifecycle": True}, "sources": {"fleet": {"path": "/data/fleet.csv"}}},
            }
        }
    )
    settings = settings_of(objects, tmp_path)
    assert settings.enabled_sources().keys() == {"mlflow/prod", "mlflow/eu-1", "variants", "fleet"}
    assert settings.enabled_sources()["mlflow/prod"].interval == 30.0
    assert settings.web.enable_lifecycle
    assert [str(address) for address in settings.web.addresses] == ["0.0.0.0:9847"]


def test_shards_share_every_mlflow_store(tmp_path: Path) -> None:
    objects = helm.template(MATRIX["shards"])
    workload = one(objects, "StatefulSet", "ml-monitoring")
    assert workload["spec"]["serviceName"] == "ml-monitoring"
    for index in range(workload["spec"]["replicas"]):
        sources = settings_of(objects, tmp_path, index).enabled_sources()
        assert {source.shard == Shard(index=index, count=3) for source in sources.values()} == {True}
        assert sources.keys() == {"mlflow/prod", "mlflow/other"}


def test_two_stores_of_one_name_are_refused() -> None:
    for stores, message in (
        ([STORE, STORE], "there is another store of kind mlflow: give each of them a name"),
        ([{**STORE, "name": "a"}, {**STORE, "name": "a"}], "there are two stores of kind mlflow and name a"),
        ([{"kind": "mlflow", "secretKeys": {"uri": "u"}}], "secretKeys of mlflow need existingSecret"),
    ):
        assert message in helm.refused({"exporter": {"stores": stores}})


def test_pods_meet_the_restricted_pod_security_standard() -> None:
    objects = helm.template(NO_BULK)
    specs = [each["spec"]["template"]["spec"] for each in of_kind(objects, "Deployment").values()]
    specs += [each["spec"] for each in of_kind(objects, "Pod").values()]
    assert len(specs) == 3
    for spec in specs:
        (container,) = spec["containers"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert spec["automountServiceAccountToken"] is False
        # The variables that Kubernetes would set for a Service of this name begin as those of the exporter's settings.
        assert spec["enableServiceLinks"] is False
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}
        assert "memory" in container["resources"]["limits"]


def test_kube_prometheus_stack_selects_all_of_it_as_it_is_installed_by_default() -> None:
    objects = helm.template(release="ml", namespace="elsewhere")
    # Its Prometheus: serviceMonitorSelector and ruleSelector match `release`, in all namespaces; its Alertmanager takes
    # every AlertmanagerConfig; Grafana's sidecar looks for the label in all namespaces.
    for kind in ("ServiceMonitor", "PrometheusRule", "AlertmanagerConfig"):
        assert of_kind(objects, kind)
        assert {each["metadata"]["labels"]["release"] for each in of_kind(objects, kind).values()} == {
            "kube-prometheus-stack"
        }
    assert {each["metadata"]["labels"]["grafana_dashboard"] for each in pages(objects).values()} == {"1"}
    # The Operator routes by namespace.
    assert {rule["labels"]["namespace"] for rule in alerts(objects).values()} == {"elsewhere"}
    grafana = "http://kube-prometheus-stack-grafana.monitoring.svc/d/"
    assert {rule["annotations"]["dashboard_url"].startswith(grafana) for rule in alerts(objects).values()} == {True}
    names = {each["metadata"]["name"] for each in objects}
    assert {name for name in names if not name.startswith("ml-ml-monitoring")} == set()
