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
from ml_monitoring.exporter import __version__
from ml_monitoring.exporter.config import load
from ml_monitoring.exporter.environment import DEFAULT_FILES
from ml_monitoring.exporter.shard import Shard
from ml_monitoring.exporter.sources.mlflow import MlflowSettings
from ml_monitoring.k8s.cli import main
from ml_monitoring.k8s.manifests.write import in_cluster
from tests.kubernetes.conftest import K8S, kustomized, one
from tests.support.kubernetes_schemas import problems

Json = dict[str, Any]
# Pages of components that are off by default.
OFF = {"ml-monitoring-system-infrastructure", "ml-monitoring-logs", "ml-monitoring-gpus"}


def test_every_object_fits_its_published_schema(
    base: dict[str, Json], secrets: list[Json], rendered: list[Json], example: list[Json], sharded: list[Json]
) -> None:
    found = [(name, problems(manifest)) for name, manifest in base.items()]
    found += [
        (f"{manifest['kind']}/{manifest['metadata']['name']}", problems(manifest))
        for manifest in (*secrets, *rendered, *example, *sharded)
    ]
    assert [(name, lines) for name, lines in found if lines] == []
    kinds = {manifest["kind"] for manifest in (*rendered, *secrets, *sharded)}
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


def identities(objects: list[Json]) -> set[tuple[str, str]]:
    return {(each["kind"], each["metadata"]["name"]) for each in objects}


def test_the_base_lists_every_file_and_kustomize_reads_it(
    base: dict[str, Json], rendered: list[Json], sharded: list[Json]
) -> None:
    listed = yaml.safe_load((K8S / "base" / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    assert listed == sorted([*base, "../../dashboards/generated"])
    pages = {("ConfigMap", path.stem) for path in Path("dashboards/generated").glob("*/*.json")} - {
        ("ConfigMap", page) for page in OFF
    }
    assert identities(rendered) == identities(list(base.values())) | pages
    assert len(rendered) == len(base) + len(pages)
    assert identities(sharded) ^ identities(rendered) == {
        ("Deployment", "ml-monitoring"),
        ("StatefulSet", "ml-monitoring"),
    }


def test_no_object_is_larger_than_kubectl_apply_can_note(rendered: list[Json]) -> None:
    # Kubernetes' limit is about 1 MiB, but `kubectl apply` notes a copy in an annotation, which may have 256 KiB.
    limit = 256 * 1024
    sizes = {each["metadata"]["name"]: len(json.dumps(each)) for each in rendered}
    assert {name: size for name, size in sizes.items() if size > limit} == {}


def test_every_object_and_pod_has_the_recommended_labels(rendered: list[Json]) -> None:
    common = {
        "app.kubernetes.io/name": "ml-monitoring",
        "app.kubernetes.io/instance": "ml-monitoring",
        "app.kubernetes.io/part-of": "ml-monitoring",
        "app.kubernetes.io/managed-by": "kustomize",
    }
    for each in rendered:
        assert common.items() <= each["metadata"]["labels"].items()
        assert each["kind"] == "Namespace" or each["metadata"]["namespace"] == "ml-monitoring"
        assert each["metadata"]["name"].startswith("ml-monitoring")
    for name, component in (("ml-monitoring", "exporter"), ("ml-monitoring-alertlog", "alertlog")):
        deployment = one(rendered, "Deployment", name)
        own = {"app.kubernetes.io/component": component}
        pod = deployment["spec"]["template"]["metadata"]["labels"]
        assert (common | own).items() <= pod.items()
        # What can never be changed has nothing that may.
        smallest = {"app.kubernetes.io/name": "ml-monitoring"} | own
        assert deployment["spec"]["selector"]["matchLabels"] == smallest
        assert one(rendered, "Service", name)["spec"]["selector"] == smallest
        assert one(rendered, "NetworkPolicy", name)["spec"]["podSelector"]["matchLabels"] == smallest
        assert one(rendered, "ServiceMonitor", name)["spec"]["selector"]["matchLabels"] == smallest
        # The variables that Kubernetes would set for a Service of this name begin as those of the exporter's settings.
        assert deployment["spec"]["template"]["spec"]["enableServiceLinks"] is False


def test_no_link_leads_to_a_loopback_address(base: dict[str, Json]) -> None:
    groups = [group for name, each in base.items() if name.startswith("rules/") for group in each["spec"]["groups"]]
    rules = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    assert {rule["annotations"]["runbook_url"] for rule in rules} == {
        f"http://ml-monitoring.ml-monitoring.svc:9847/runbooks/{rule['alert']}" for rule in rules
    }
    grafana = "http://kube-prometheus-stack-grafana.monitoring.svc/d/"
    assert {rule["annotations"]["dashboard_url"].startswith(grafana) for rule in rules} == {True}
    assert "127.0.0.1" not in json.dumps(base)


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
    settings.write_text(one(objects, "ConfigMap", "ml-monitoring")["data"]["ml-monitoring.yml"], encoding="utf-8")
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
    section = settings_of(objects, one(objects, "Deployment", "ml-monitoring"), tmp_path, pod_index=0)
    assert section.shard == Shard()
    section = settings_of(example, one(example, "Deployment", "ml-monitoring"), tmp_path, pod_index=0)
    assert section.interval == 30.0
    workload = one(sharded, "StatefulSet", "ml-monitoring")
    shards = [
        settings_of(sharded, workload, tmp_path, pod_index=index).shard for index in range(workload["spec"]["replicas"])
    ]
    assert shards == [Shard(index=index, count=3) for index in range(3)]


def test_the_example_overlay_changes_what_it_says(rendered: list[Json], example: list[Json]) -> None:
    deployment = one(example, "Deployment", "ml-monitoring")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"registry.example.org/ml-monitoring/exporter:{__version__}"
    assert {each["metadata"]["labels"]["release"] for each in example} == {"kube-prometheus-stack"}
    # A Deployment's selector can never be changed, so no overlay may touch it.
    base = one(rendered, "Deployment", "ml-monitoring")
    assert deployment["spec"]["selector"] == base["spec"]["selector"]
    egress = one(example, "NetworkPolicy", "ml-monitoring")["spec"]["egress"]
    assert [rule["ports"][0]["port"] for rule in egress] == [53, 6432]
    # Rules and a page that are not wanted.
    assert identities(rendered) - identities(example) == {
        ("PrometheusRule", "ml-monitoring-business"),
        ("ConfigMap", "ml-monitoring-business-impact"),
    }
    assert identities(example) <= identities(rendered)


def test_dashboards_are_the_generated_ones(rendered: list[Json]) -> None:
    maps = {each["metadata"]["name"]: each for each in rendered if "grafana_dashboard" in each["metadata"]["labels"]}
    pages = [path for path in Path("dashboards/generated").glob("*/*.json") if path.stem not in OFF]
    assert maps.keys() == {path.stem for path in pages}
    for path in pages:
        config_map = maps[path.stem]
        assert config_map["kind"] == "ConfigMap"
        assert config_map["data"] == {path.name: path.read_text(encoding="utf-8")}
        assert config_map["metadata"]["annotations"] == {"grafana_folder": path.parent.name}
        assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_no_file_of_the_manifests_holds_a_copy_of_a_dashboard() -> None:
    uids = [path.stem for path in Path("dashboards/generated").glob("*/*.json")]
    assert uids
    for path in (path for folder in ("base", "overlays") for path in (K8S / folder).rglob("*")):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert path.suffix == ".yaml"
            assert "schemaVersion" not in text
            assert not [uid for uid in uids if f"{uid}.json" in text]


def test_rules_are_the_generated_ones_with_their_namespace(base: dict[str, Json], programs: dict[str, Path]) -> None:
    groups = {
        group["name"]: group
        for name, manifest in base.items()
        if name.startswith("rules/")
        for group in manifest["spec"]["groups"]
    }
    wanted = {}
    for build in (build_recording_rules, build_alerts):
        made = render("rules.yml", build(in_cluster("ml-monitoring", load_thresholds())))
        for group in yaml.safe_load(made)["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    rule["labels"] |= {"namespace": "ml-monitoring", "target_namespace": "{{ $labels.namespace }}"}
            wanted[group["name"]] = group
    assert groups == wanted
    generated = yaml.safe_load(Path("alerting/generated/alerts.yml").read_text(encoding="utf-8"))["groups"]
    off = {f"{component}.alerts" for component in COMPONENTS}
    assert {name for name in wanted if name.endswith(".alerts")} == {group["name"] for group in generated} - off


def test_components_that_are_switched_on_have_their_rules(tmp_path: Path) -> None:
    settings = tmp_path / "own.yml"
    settings.write_text("components: [host, logs, gpus]\n", encoding="utf-8")
    output = tmp_path / "base"
    assert main(["manifests", "--settings", str(settings), "--output-dir", str(output)]) == 0
    made = {path.relative_to(output).as_posix() for path in output.rglob("*.yaml")}
    assert {"rules/host.yaml", "rules/logs.yaml", "rules/gpus.yaml"} <= made
    assert not {"rules/database.yaml", "rules/monitoring.yaml", "rules/containers.yaml"} & made
    objects = kustomized(output)
    assert {("ConfigMap", page) for page in OFF} <= identities(objects)
    rules = one(objects, "PrometheusRule", "ml-monitoring-exporter")["spec"]["groups"][0]["rules"]
    (watched,) = [rule["expr"] for rule in rules if rule["record"] == "instance:up:own"]
    assert 'up{job="node"}' in watched
    assert 'up{job="postgres"}' not in watched


def test_promtool_accepts_the_rules(base: dict[str, Json], programs: dict[str, Path], tmp_path: Path) -> None:
    for name, manifest in base.items():
        if name.startswith("rules/"):
            path = tmp_path / Path(name).name
            path.write_text(yaml.safe_dump(manifest["spec"]), encoding="utf-8")
            done = subprocess.run([programs["promtool"], "check", "rules", path], capture_output=True, check=False)
            assert done.returncode == 0, done.stderr


def test_a_folder_of_ones_own_has_everything_with_its_namespace_and_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rendered: list[Json]
) -> None:
    monkeypatch.setenv("GRAFANA_URL", "https://grafana.example.org")
    monkeypatch.setenv("RUNBOOKS_URL", "https://runbooks.example.org")
    (tmp_path / "gone.yaml").write_text("# Generated by `ml-monitoring kubernetes manifests`\n{}", encoding="utf-8")
    (tmp_path / "overlays").mkdir()
    (tmp_path / "overlays" / "mine.yaml").write_text("{}", encoding="utf-8")
    assert main(["manifests", "--namespace", "elsewhere", "--output-dir", str(tmp_path)]) == 0
    assert not (tmp_path / "gone.yaml").exists()
    # What somebody else wrote there.
    assert (tmp_path / "overlays" / "mine.yaml").exists()
    objects = kustomized(tmp_path)
    assert identities(objects) == identities(rendered) - {("Namespace", "ml-monitoring")} | {("Namespace", "elsewhere")}
    assert {each["metadata"].get("namespace", "elsewhere") for each in objects} == {"elsewhere"}
    text = json.dumps(objects)
    assert "ml-monitoring.svc" not in text
    assert "127.0.0.1" not in text
    assert '"runbook_url": "https://runbooks.example.org/MlMonitoringDown"' in text
    assert '"dashboard_url": "https://grafana.example.org/d/' in text
    alerts = one(objects, "ConfigMap", "ml-monitoring-alerts")["data"]["ml-monitoring-alerts.json"]
    assert "https://runbooks.example.org/${__value.raw}" in alerts


def test_no_secret_is_in_the_base(base: dict[str, Json]) -> None:
    assert "Secret" not in {manifest["kind"] for manifest in base.values()}


def test_a_folder_of_pages_that_is_not_there_yet_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "base"
    arguments = ["manifests", "--settings", "/dev/null", "--output-dir", str(out), "--dashboards", "../pages"]
    assert main(arguments) == 0
    missing = out / "../pages/kustomization.yaml"
    assert (
        f"note: --dashboards: there is no {missing} yet; `dashboards generate` writes it\n" in capsys.readouterr().err
    )
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "kustomization.yaml").touch()
    assert main(arguments) == 0
    assert "--dashboards" not in capsys.readouterr().err
