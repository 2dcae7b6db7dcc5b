"""What the schema of the chart's values refuses, what no upgrade may change, and the newest helm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.kubernetes.chart_matrix import MATRIX, NO_BULK
from tests.support import helm
from tools import go_programs

Json = dict[str, Any]


def channel(**configs: list[Json]) -> Json:
    return {"alertmanagerConfig": {"channels": [{"configs": configs}]}}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"exporter": {"shards": "3"}}, "exporter.shards: Invalid type. Expected: integer, given: string"),
        ({"exporter": {"shards": 0}}, "exporter.shards: Must be greater than or equal to 1"),
        ({"exporters": {}}, "(root): Additional property exporters is not allowed"),
        ({"exporter": {"stores": [{"kind": "mlfow"}]}}, "exporter.stores.0.kind"),
        (
            {"exporter": {"stores": [{"kind": "mlflow", "settings": {"intervall": "5s"}}]}},
            "Additional property intervall",
        ),
        ({"exporter": {"settings": {"log": {"formt": "json"}}}}, "exporter.settings.log: Additional property formt"),
        ({"alerts": {"MlflowRunHangin": {}}}, "alerts: Additional property MlflowRunHangin is not allowed"),
        ({"alerts": {"MlflowRunHanging": {"threshold": 5}}}, "alerts.MlflowRunHanging.threshold: Invalid type"),
        ({"alerts": {"MlflowRunHanging": {"severity": "page"}}}, "alerts.MlflowRunHanging.severity"),
        (
            {"alerts": {"MlflowFailedRunRatioHigh": {"threshold": 20}}},
            "alerts.MlflowFailedRunRatioHigh.threshold: Must be less",
        ),
        ({"alerts": {"MlflowFailedRunRatioHigh": {"parameters": {"windw": "1h"}}}}, "Additional property windw"),
        ({"alerts": {"MlMonitoringWatchdog": {"severity": "info"}}}, "Additional property severity is not allowed"),
        ({"selectors": {"node": "node"}}, "selectors.node: Does not match pattern"),
        ({"links": {"grafana": "grafana.example.org"}}, "links.grafana: Does not match pattern"),
        ({"components": {"hosts": True}}, "components: Additional property hosts is not allowed"),
        ({"prometheusRule": {"groups": {"busines": False}}}, "prometheusRule.groups: Additional property busines"),
        ({"dashboards": {"pages": {"business": False}}}, "dashboards.pages: Additional property business"),
        ({"alertmanagerConfig": {"channels": [{"severities": ["critical"]}]}}, "channels.0: configs is required"),
        (
            channel(slackConfigs=[{"channel": "#ml", "apiURL": {"name": "chat", "ky": "url"}}]),
            "property ky is not allowed",
        ),
        (channel(slackConfigs=[{"chanel": "#ml"}]), "Additional property chanel is not allowed"),
        (channel(webhookConfigs=[{"httpConfig": {"proxi": "http://proxy"}}]), "Additional property proxi"),
        (channel(slackConfig=[{}]), "configs: Additional property slackConfig is not allowed"),
        ({"alertmanagerConfig": {"channels": [{"teams": ["shpo"], "configs": {}}]}}, "channels.0.teams.0"),
        ({"exporter": {"stores": []}}, "exporter.stores is empty"),
        (
            {"exporter": {"stores": [{"kind": "mlflow", "existingSecret": ""}]}},
            "exporter.stores[0]: nothing says where",
        ),
        ({"exporter": {"stores": [{"kind": "mlflow", "settings": {"interval": "soon"}}]}}, r"pattern '^(0|(\d+y)?"),
        (
            {"exporter": {"stores": [{"kind": "queries", "settings": {"sql": "SELECT 1 AS a"}}]}},
            "exporter.stores[0]: nothing says which database: give existingSecret and secretKeys: {uri: KEY}, or",
        ),
        ({"exporter": {"stores": [{"kind": "mlflow", "settings": {"interval": "5s"}}]}}, "nothing says which database"),
        ({"exporter": {"resources": {"limit": {"memory": "1Gi"}}}}, "exporter.resources: Additional property limit"),
        ({"alertlog": {"tolerations": [{"effekt": "NoSchedule"}]}}, "tolerations.0: Additional property effekt"),
        (
            {"exporter": {"extraVolumes": [{"name": "files", "configMap": {"nam": "files"}}]}},
            "configMap: Additional property nam",
        ),
        ({"networkPolicy": {"egress": [{"ports": [{"protocl": "TCP"}]}]}}, "Additional property protocl"),
        ({"serviceMonitor": {"relabelings": [{"target": "cluster"}]}}, "relabelings.0: Additional property target"),
        ({"securityContext": {"runAsRoot": False}}, "securityContext: Additional property runAsRoot"),
        ({"image": {"digest": "latest"}}, "image.digest: Does not match pattern"),
        ({"serviceMonitor": {"interval": "often"}}, "serviceMonitor.interval: Does not match pattern"),
        (
            {"networkPolicy": {"enabled": "yes"}},
            "networkPolicy.enabled: Invalid type. Expected: boolean, given: string",
        ),
        ({"exporter": {"podDisruptionBudget": {"maxUnavailable": "half"}}}, "maxUnavailable: Does not match pattern"),
    ],
)
def test_the_schema_says_which_value_is_wrong(values: Json, message: str) -> None:
    assert message in helm.refused(values)


def immutable(objects: list[Json]) -> dict[str, Any]:
    """Return what Kubernetes refuses to change in an object that is there."""
    fields = {
        "Deployment": ("selector",),
        "StatefulSet": ("selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates"),
        "PersistentVolumeClaim": ("accessModes", "storageClassName"),
        "Service": ("selector",),
    }
    return {
        f"{each['kind']}/{each['metadata']['name']}": {name: each["spec"].get(name) for name in fields[each["kind"]]}
        for each in objects
        if each["kind"] in fields
    }


RELEASES = sorted(Path("tests/kubernetes/releases").glob("*.json"))


@pytest.mark.parametrize("path", RELEASES, ids=lambda path: path.stem)
def test_an_upgrade_from_a_release_changes_nothing_that_cannot_be_changed(path: Path) -> None:
    # Of each release: values, and what could not be changed in what it made of them. Write one with each release.
    for case in json.loads(path.read_text(encoding="utf-8")):
        now = immutable(helm.template(NO_BULK | case["values"], release="monitoring", namespace="ml"))
        assert now == case["immutable"]


@pytest.mark.wide
def test_the_newest_helm_makes_the_same() -> None:
    if not go_programs.available():
        pytest.skip("this machine has no Go")
    newest = go_programs.build("helm")
    assert helm.run("lint", "--strict", "--quiet", helm.CHART, helm=newest).returncode == 0
    for values in ({}, *MATRIX.values()):
        assert helm.template(values, helm=newest) == helm.template(values)
