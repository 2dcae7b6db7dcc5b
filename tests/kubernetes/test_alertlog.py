"""The alert log in Kubernetes: Alertmanager reaches it, nobody else does, and it runs as its Deployment says."""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.k8s.manifests.write import manifests
from tests.kubernetes.conftest import one
from tools.processes import Process, free_port, http_ok

Json = dict[str, Any]


def pod(base: dict[str, Json]) -> tuple[Json, Json]:
    spec = base["alertlog-deployment.yaml"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    return spec, container


def test_every_receiver_posts_to_the_service(base: dict[str, Json]) -> None:
    receivers = base["alertmanagerconfig.yaml"]["spec"]["receivers"]
    addresses = {hook["url"] for receiver in receivers for hook in receiver["webhookConfigs"]}
    assert all(len(receiver["webhookConfigs"]) == 1 for receiver in receivers)
    (address,) = map(urlsplit, addresses)
    service = base["alertlog-service.yaml"]
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    assert address.hostname == f"{name}.{namespace}.svc"
    assert address.port == service["spec"]["ports"][0]["port"]


def test_selectors_ports_and_references_meet(base: dict[str, Json]) -> None:
    spec, container = pod(base)
    labels = base["alertlog-deployment.yaml"]["spec"]["template"]["metadata"]["labels"].items()
    service = base["alertlog-service.yaml"]
    monitor = base["alertlog-servicemonitor.yaml"]["spec"]
    policy = base["alertlog-networkpolicy.yaml"]["spec"]
    assert base["alertlog-deployment.yaml"]["spec"]["selector"]["matchLabels"].items() <= labels
    assert service["spec"]["selector"].items() <= labels
    assert policy["podSelector"]["matchLabels"].items() <= labels
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    # Not the exporter's, which is of the same image and namespace.
    exporters = base["exporter-service.yaml"]["metadata"]["labels"].items()
    assert not monitor["selector"]["matchLabels"].items() <= exporters
    assert not base["exporter-service.yaml"]["spec"]["selector"].items() <= labels
    assert service["metadata"]["labels"][monitor["jobLabel"]] == "alertlog"
    assert monitor["endpoints"] == base["servicemonitor.yaml"]["spec"]["endpoints"]
    ports = {port["name"] for port in container["ports"]}
    assert ports == {service["spec"]["ports"][0]["targetPort"], policy["ingress"][0]["ports"][0]["port"]} == {"http"}
    assert {probe["httpGet"]["port"] for name, probe in container.items() if name.endswith("Probe")} == ports
    objects = list(base.values())
    one(objects, "ServiceAccount", spec["serviceAccountName"])
    (volume, token), (mount, token_mount) = spec["volumes"], container["volumeMounts"]
    # The key that Alertmanager sends, from the Secret that its receiver names.
    receiver = base["alertmanagerconfig.yaml"]["spec"]["receivers"][0]
    sent = receiver["webhookConfigs"][0]["httpConfig"]["authorization"]["credentials"]
    (item,) = token["secret"]["items"]
    assert (token["secret"]["secretName"], item["key"]) == (sent["name"], sent["key"])
    assert token["name"] == token_mount["name"]
    assert f"--token-file={token_mount['mountPath']}/{item['path']}" in container["args"]
    claim = one(objects, "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
    assert volume["name"] == mount["name"]
    # One pod at a time writes to it.
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    deployment = base["alertlog-deployment.yaml"]["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})


def test_it_is_let_in_from_monitoring_only_and_asks_nobody(base: dict[str, Json]) -> None:
    policy = base["alertlog-networkpolicy.yaml"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == []
    (entry,) = policy["ingress"]
    assert entry["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]


def test_the_pod_meets_the_restricted_pod_security_standard(base: dict[str, Json]) -> None:
    spec, container = pod(base)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False
    assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}
    assert "memory" in container["resources"]["limits"]
    # The volume belongs to the user that writes to it.
    assert spec["securityContext"]["fsGroup"] == spec["securityContext"]["runAsGroup"]


def test_it_runs_as_the_deployment_says_and_keeps_what_alertmanager_posts(
    base: dict[str, Json], tmp_path: Path
) -> None:
    _, container = pod(base)
    (mount, token), port = container["volumeMounts"], free_port()
    (tmp_path / "alertlog_token").write_text("secret")
    arguments = ["-m", "ml_monitoring", *container["args"]]
    listen = f"--listen=0.0.0.0:{container['ports'][0]['containerPort']}"
    assert {listen, f"--directory={mount['mountPath']}"} <= set(arguments)
    here = {
        listen: f"--listen=127.0.0.1:{port}",
        f"--directory={mount['mountPath']}": f"--directory={tmp_path / 'log'}",
        f"--token-file={token['mountPath']}/alertlog_token": f"--token-file={tmp_path / 'alertlog_token'}",
    }
    url = f"http://127.0.0.1:{port}"
    probes = {probe["httpGet"]["path"] for name, probe in container.items() if name.endswith("Probe")}
    receiver = base["alertmanagerconfig.yaml"]["spec"]["receivers"][0]
    path = urlsplit(receiver["webhookConfigs"][0]["url"]).path
    alert = {
        "status": "firing",
        "labels": {"alertname": "MlMonitoringDown", "severity": "critical", "team": "platform"},
        "annotations": {"summary": "The exporter is down."},
        "startsAt": "2026-11-21T08:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": "1",
    }
    body = {"version": "4", "receiver": "platform-critical", "status": "firing", "groupKey": "1", "alerts": [alert]}
    with Process(
        "alert log",
        [sys.executable, *(here.get(argument, argument) for argument in arguments)],
        log=tmp_path / "alertlog.log",
        healthy=lambda: all(http_ok(f"{url}{probe}") for probe in probes),
    ):
        headers = {"Content-Type": "application/json", "Authorization": "Bearer secret"}
        request = urllib.request.Request(f"{url}{path}", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200
        with urllib.request.urlopen(f"{url}/api/alerts?since=3650d", timeout=10) as answer:
            (kept,) = json.load(answer)
    assert kept["labels"]["alertname"] == "MlMonitoringDown"


def test_without_an_alert_log_there_is_none_of_it() -> None:
    data = load_thresholds().model_dump(by_alias=True)
    data["notifications"] |= {"alert_log": None}
    made = manifests("ml-monitoring", Thresholds.model_validate(data))
    assert not [name for name in made if name.startswith("alertlog")]
    assert "ml-monitoring-alertlog" not in str(made["alertmanagerconfig.yaml"])


def test_without_a_token_none_is_asked_for_and_no_secret_is_needed() -> None:
    data = load_thresholds().model_dump(by_alias=True)
    data["notifications"]["alert_log_token_file"] = None
    made = manifests("ml-monitoring", Thresholds.model_validate(data))
    assert "token" not in str(made["alertlog-deployment.yaml"])
    assert "httpConfig" not in str(made["alertmanagerconfig.yaml"])
