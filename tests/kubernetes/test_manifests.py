"""The manifests fit the published schemas, each other, and what they are made of."""

from __future__ import annotations

import json
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.generate.files import render
from ml_monitoring.alerting.generate.rules import build_alerts, build_recording_rules
from ml_monitoring.alerting.model.scope import COMPONENTS
from ml_monitoring.exporter.config import load
from ml_monitoring.exporter.environment import DEFAULT_FILES
from ml_monitoring.exporter.shard import Shard
from ml_monitoring.exporter.sources.mlflow import MlflowSettings
from tests.kubernetes.conftest import K8S, one
from tests.support.kubernetes_schemas import problems
from tools.kubernetes.cli import main
from tools.kubernetes.monitoring import MAX_OBJECT_BYTES
from tools.kubernetes.write import manifests

Json = dict[str, Any]


def test_every_object_fits_its_published_schema(
    base: dict[str, Json], secrets: list[Json], example: list[Json], sharded: list[Json]
) -> None:
    found = {name: problems(manifest) for name, manifest in base.items()}
    for manifest in (*secrets, *example, *sharded):
        found[f"{manifest['kind']}/{manifest['metadata']['name']}"] = problems(manifest)
    assert {name: lines for name, lines in found.items() if lines} == {}
    kinds = {manifest["kind"] for manifest in (*base.values(), *secrets, *sharded)}
    assert kinds == {
        *("AlertmanagerConfig", "ConfigMap", "Deployment", "Namespace", "NetworkPolicy", "PrometheusRule", "Secret"),
        *("PersistentVolumeClaim", "Service", "ServiceAccount", "ServiceMonitor", "StatefulSet"),
    }


def test_the_schemas_find_misspelt_keys_and_wrong_types(base: dict[str, Json]) -> None:
    broken = deepcopy(base["exporter-deployment.yaml"])
    container = broken["spec"]["template"]["spec"]["containers"][0]
    container["securityContext"]["readOnlyRootFileSystem"] = True
    container["ports"][0]["containerPort"] = "9847"
    assert problems(broken) == [
        ".spec.template.spec.containers[0].ports[0].containerPort: '9847' is taken for 9847",
        ".spec.template.spec.containers[0].securityContext.readOnlyRootFileSystem: unknown",
    ]
    missing = deepcopy(base["alertmanagerconfig.yaml"])
    del missing["spec"]["receivers"][0]["name"]
    assert problems(missing)


def test_the_base_lists_every_file_and_kustomize_reads_it(base: dict[str, Json], sharded: list[Json]) -> None:
    listed = yaml.safe_load((K8S / "base" / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    assert listed == sorted(base)
    names = {(each["kind"], each["metadata"]["name"]) for each in base.values()}
    rendered = {(each["kind"], each["metadata"]["name"]) for each in sharded}
    assert rendered ^ names == {("Deployment", "ml-exporter"), ("StatefulSet", "ml-exporter")}


def test_no_object_is_larger_than_kubectl_apply_can_note(base: dict[str, Json]) -> None:
    sizes = {name: len(json.dumps(manifest)) for name, manifest in base.items()}
    assert {name: size for name, size in sizes.items() if size > MAX_OBJECT_BYTES} == {}


def test_selectors_ports_and_references_meet(base: dict[str, Json], secrets: list[Json]) -> None:
    pod = base["exporter-deployment.yaml"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    labels = pod["metadata"]["labels"].items()
    service = base["exporter-service.yaml"]
    monitor = base["servicemonitor.yaml"]["spec"]
    policy = base["exporter-networkpolicy.yaml"]["spec"]
    assert base["exporter-deployment.yaml"]["spec"]["selector"]["matchLabels"].items() <= labels
    assert service["spec"]["selector"].items() <= labels
    assert policy["podSelector"]["matchLabels"].items() <= labels
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert service["metadata"]["labels"][monitor["jobLabel"]] == "ml-monitoring"
    ports = {port["name"] for port in container["ports"]}
    assert ports == {service["spec"]["ports"][0]["targetPort"], policy["ingress"][0]["ports"][0]["port"]} == {"http"}
    assert {probe["httpGet"]["port"] for name, probe in container.items() if name.endswith("Probe")} == ports
    assert monitor["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]

    objects = [*base.values(), *secrets]
    for volume in pod["spec"]["volumes"]:
        if "secret" in volume:
            one(objects, "Secret", volume["secret"]["secretName"])
        else:
            one(objects, "ConfigMap", volume["configMap"]["name"])
    assert {mount["name"] for mount in container["volumeMounts"]} == {each["name"] for each in pod["spec"]["volumes"]}
    one(objects, "ServiceAccount", pod["spec"]["serviceAccountName"])


def test_the_pod_meets_the_restricted_pod_security_standard(base: dict[str, Json]) -> None:
    assert base["namespace.yaml"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    spec = base["exporter-deployment.yaml"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {kind for volume in spec["volumes"] for kind in volume.keys() - {"name"}} <= {"configMap", "secret"}
    assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}
    # And more than the standard asks for.
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert spec["automountServiceAccountToken"] is False
    assert "memory" in container["resources"]["limits"]


def settings_of(objects: list[Json], workload: Json, directory: Path, *, pod_index: int) -> MlflowSettings:
    """Return the exporter's settings as a pod of this workload reads them: its ConfigMap, environment and Secret."""
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    settings = directory / "ml-monitoring.yml"
    settings.write_text(one(objects, "ConfigMap", "ml-exporter")["data"]["ml-monitoring.yml"], encoding="utf-8")
    uri = directory / "mlflow_uri"
    (secret, *_) = yaml.safe_load_all((K8S / "secrets.example.yaml").read_text(encoding="utf-8"))
    uri.write_text(secret["stringData"][uri.name], encoding="utf-8")
    environment = {}
    for variable in container["env"]:
        field = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        index = {"metadata.labels['apps.kubernetes.io/pod-index']": str(pod_index)}
        environment[variable["name"]] = index[field] if field else variable["value"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert Path(mounts["settings"], "ml-monitoring.yml") in DEFAULT_FILES
    assert environment["ML_MONITORING_SOURCES__MLFLOW__URI_FILE"] == f"{mounts['secrets']}/mlflow_uri"
    environment["ML_MONITORING_SOURCES__MLFLOW__URI_FILE"] = str(uri)
    loaded = load(settings, environ=environment)
    assert loaded.web.port == container["ports"][0]["containerPort"]
    section = loaded.enabled_sources()["mlflow"]
    assert isinstance(section, MlflowSettings)
    return section


def test_the_exporter_accepts_the_settings_of_base_and_overlays(
    base: dict[str, Json], example: list[Json], sharded: list[Json], tmp_path: Path
) -> None:
    objects = list(base.values())
    section = settings_of(objects, one(objects, "Deployment", "ml-exporter"), tmp_path, pod_index=0)
    assert section.shard == Shard()
    section = settings_of(example, one(example, "Deployment", "ml-exporter"), tmp_path, pod_index=0)
    assert section.interval == 30.0
    workload = one(sharded, "StatefulSet", "ml-exporter")
    shards = [
        settings_of(sharded, workload, tmp_path, pod_index=index).shard for index in range(workload["spec"]["replicas"])
    ]
    assert shards == [Shard(index=index, count=3) for index in range(3)]


def test_the_example_overlay_changes_what_it_says(example: list[Json]) -> None:
    deployment = one(example, "Deployment", "ml-exporter")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example.org/ml-monitoring/exporter:0.1.0"
    assert {each["metadata"]["labels"]["release"] for each in example} == {"kube-prometheus-stack"}
    # A Deployment's selector can never be changed, so no overlay may touch it.
    assert deployment["spec"]["selector"]["matchLabels"] == {"app.kubernetes.io/name": "ml-exporter"}
    egress = one(example, "NetworkPolicy", "ml-exporter")["spec"]["egress"]
    assert [rule["ports"][0]["port"] for rule in egress] == [53, 6432]


def test_dashboards_are_the_generated_ones(base: dict[str, Json]) -> None:
    folders = {}
    # Of components that are off by default.
    off = {"ml-monitoring-system-infrastructure", "ml-monitoring-logs"}
    pages = [path for path in Path("dashboards/generated").glob("*/*.json") if path.stem not in off]
    for path in pages:
        config_map = base[f"dashboards/{path.stem}.yaml"]
        assert json.loads(config_map["data"][path.name]) == json.loads(path.read_text(encoding="utf-8"))
        assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
        folders[path.stem] = config_map["metadata"]["annotations"]["grafana_folder"]
    assert folders == {path.stem: path.parent.name for path in pages}
    assert not {f"dashboards/{page}.yaml" for page in off} & base.keys()


def test_rules_are_the_generated_ones_with_their_namespace(base: dict[str, Json], programs: dict[str, Path]) -> None:
    groups = {
        group["name"]: group
        for name, manifest in base.items()
        if name.startswith("rules/")
        for group in manifest["spec"]["groups"]
    }
    wanted = {}
    for build in (build_recording_rules, build_alerts):
        made = render("rules.yml", build(load_thresholds().changed({"components": []})))
        for group in yaml.safe_load(made)["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    rule["labels"] |= {"namespace": "ml-monitoring", "target_namespace": "{{ $labels.namespace }}"}
            wanted[group["name"]] = group
    assert groups == wanted
    generated = yaml.safe_load(Path("alerting/generated/alerts.yml").read_text(encoding="utf-8"))["groups"]
    off = {f"{component}.alerts" for component in COMPONENTS}
    assert {name for name in wanted if name.endswith(".alerts")} == {group["name"] for group in generated} - off


def test_components_that_are_switched_on_have_their_rules_and_pages() -> None:
    everything = manifests("ml-monitoring", load_thresholds().changed({"components": ["host", "logs"]}))
    assert {"rules/host.yaml", "rules/logs.yaml", "dashboards/ml-monitoring-logs.yaml"} <= everything.keys()
    assert "dashboards/ml-monitoring-system-infrastructure.yaml" in everything
    assert not {"rules/database.yaml", "rules/monitoring.yaml", "rules/containers.yaml"} & everything.keys()
    targets = everything["rules/exporter.yaml"]["spec"]["groups"][0]["rules"][0]["expr"]
    assert 'up{job="node"}' in targets
    assert 'up{job="postgres"}' not in targets


def test_promtool_accepts_the_rules(base: dict[str, Json], programs: dict[str, Path], tmp_path: Path) -> None:
    for name, manifest in base.items():
        if name.startswith("rules/"):
            path = tmp_path / Path(name).name
            path.write_text(yaml.safe_dump(manifest["spec"]), encoding="utf-8")
            done = subprocess.run([programs["promtool"], "check", "rules", path], capture_output=True, check=False)
            assert done.returncode == 0, done.stderr


def test_another_namespace_and_other_addresses_reach_every_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFANA_URL", "https://grafana.example.org")
    monkeypatch.setenv("RUNBOOKS_URL", "https://runbooks.example.org")
    (tmp_path / "gone.yaml").write_text("{}", encoding="utf-8")
    assert main(["generate", "--namespace", "elsewhere", "--output-dir", str(tmp_path)]) == 0
    text = "".join(path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.yaml"))
    assert "namespace: ml-monitoring" not in text
    assert "namespace: elsewhere" in text
    assert "runbook_url: https://runbooks.example.org/MlMonitoringDown" in text
    assert "dashboard_url: https://grafana.example.org/d/" in text
    assert not (tmp_path / "gone.yaml").exists()


def test_no_secret_is_in_the_base(base: dict[str, Json]) -> None:
    assert "Secret" not in {manifest["kind"] for manifest in base.values()}
