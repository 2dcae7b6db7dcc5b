"""What values of the Helm chart change in rules, pages and notifications."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import yaml

from tests.kubernetes.chart_matrix import MATRIX, NO_BULK
from tests.kubernetes.conftest import one
from tests.kubernetes.test_chart import alerts, of_kind, pages
from tests.support import helm

Json = dict[str, Any]


def test_values_change_rules(programs: dict[str, Path], tmp_path: Path) -> None:
    objects = helm.template(MATRIX["numbers, links and selectors"])
    made = alerts(objects)
    hanging = made["MlflowRunHanging"]
    assert hanging["expr"].endswith("> 5400")
    assert (hanging["for"], hanging["labels"]["severity"], hanging["labels"]["team"]) == ("1m", "warning", "growth")
    assert (hanging["labels"]["owner"], hanging["annotations"]["more"]) == ("ml", 'say "hi"')
    assert hanging["annotations"]["runbook_url"] == "https://r.example.org/MlflowRunHanging"
    assert hanging["annotations"]["dashboard_url"].startswith("https://grafana.example.org/d/")
    assert hanging["annotations"]["logs_url"].startswith("https://l.example.org?var-service=")
    assert "MlflowTrainingSilent" not in made
    failed = made["MlflowFailedRunRatioHigh"]["expr"]
    assert "> 0.5" in failed
    assert ">= 7" in failed
    assert "2.32635 * (0.5 * (1 - 0.5)) ^ 0.5" in failed
    assert "> 0\n" in made["MlflowTraceErrorRatioHigh"]["expr"]
    assert 'a\\"b\\\\.c' in made["MlflowChampionOld"]["expr"]
    rules = of_kind(objects, "PrometheusRule")
    assert "ml-monitoring-business" not in rules
    assert {"ml-monitoring-host", "ml-monitoring-mlflow"} <= rules.keys()
    recorded = {
        rule["record"]: rule["expr"]
        for each in rules.values()
        for group in each["spec"]["groups"]
        for rule in group["rules"]
        if "record" in rule
    }
    assert "[2h]" in recorded["experiment_status:mlflow_runs:recent"]
    targets = recorded["instance:up:own"]
    assert 'up{job="node-exporter",cluster=~"a|b"}' in targets
    assert 'up{job="ml-monitoring",namespace="ml"}' in targets
    assert 'up{job="postgres"}' not in targets
    for name, each in rules.items():
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(each["spec"]), encoding="utf-8")
        done = subprocess.run(
            [programs["promtool"], "check", "rules", path], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_values_change_pages() -> None:
    values: Json = {
        "prometheusRule": {"enabled": False},
        "selectors": {"exporter": 'job="ml-monitoring",namespace="ml"'},
        "alerts": {"MlflowFailedRunRatioHigh": {"threshold": 0.5}, "MlflowNoSuccessfulRun": {"threshold": "2d"}},
        "links": {"runbooks": "https://r.example.org"},
        "components": {"gpus": True},
        "dashboards": {
            "namespace": "grafana",
            "labels": {"grafana_dashboard": "ml"},
            "folders": {"ML": 'Machine "learning"'},
            "folderAnnotation": "folder",
            "annotations": {"a": "b"},
            "pages": {"ml-monitoring-business-impact": False},
        },
    }
    made = pages(helm.template(values))
    plain = pages(helm.template({"prometheusRule": {"enabled": False}}))
    assert plain.keys() ^ made.keys() == {"ml-monitoring-business-impact", "ml-monitoring-gpus"}
    assert {each["metadata"]["namespace"] for each in made.values()} == {"grafana"}
    assert {each["metadata"]["labels"]["grafana_dashboard"] for each in made.values()} == {"ml"}
    page = made["ml-monitoring-mlflow-experiments"]
    assert page["metadata"]["annotations"] == {"a": "b", "folder": 'Machine "learning"'}
    text = page["data"]["ml-monitoring-mlflow-experiments.json"]
    before = plain["ml-monitoring-mlflow-experiments"]["data"]["ml-monitoring-mlflow-experiments.json"]
    moved = {
        (old, new) for old, new in zip(leaves(json.loads(before)), leaves(json.loads(text)), strict=True) if old != new
    }
    # The thresholds' colours, and the ends of axes a tenth beyond; in hours where a page shows these.
    assert {(0.3, 0.5), (0.33, 0.55)} <= moved
    assert {pair for pair in moved if isinstance(pair[0], int | float)} <= {
        *((0.3, 0.5), (0.33, 0.55), (24, 48), (26.4, 52.8), (86400, 172800), (95040, 190080))
    }
    whole = json.dumps([each["data"] for each in made.values()])
    assert "https://r.example.org/${__value.raw}" in whole
    for each in made.values():
        for query in expressions(json.loads(next(iter(each["data"].values())))):
            assert "@@" not in query
            promql_parser.parse(
                query.replace("$__rate_interval", "5m").replace("$__interval", "1m").replace("$__range", "1h")
            )
    exporter = made["ml-monitoring-exporter-health"]["data"]["ml-monitoring-exporter-health.json"]
    assert 'job=\\"ml-monitoring\\",namespace=\\"ml\\"' in exporter


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def expressions(page: Any) -> Iterator[str]:
    """Yield the PromQL of the panels of a page."""
    for panel in page["panels"]:
        yield from expressions({"panels": panel.get("panels", [])})
        yield from (query["expr"] for query in panel.get("targets", []) if query["datasource"]["type"] == "prometheus")


def test_channels_reach_the_teams_and_severities_that_they_name() -> None:
    spec = one(helm.template(MATRIX["channels"]), "AlertmanagerConfig", "ml-monitoring")["spec"]
    receivers = {each["name"]: each for each in spec["receivers"]}
    chat = {name for name, each in receivers.items() if "slackConfigs" in each}
    assert chat == {
        f"{team}-{severity}" for team in ("platform", "mlops", "growth") for severity in ("critical", "warning")
    }
    assert {name for name, each in receivers.items() if "pagerdutyConfigs" in each} == {
        "platform-critical",
        "escalation",
    }
    assert [hook["url"] for hook in receivers["watchdog"]["webhookConfigs"]] == [
        "http://ml-monitoring-alertlog.ml-monitoring.svc:9848/alerts",
        "https://dead.example.org",
    ]
    assert all(len(each["webhookConfigs"]) == 1 for name, each in receivers.items() if name != "watchdog")


def test_receivers_without_an_alert_log_post_nowhere() -> None:
    for values, hooks in (
        ({"alertlog": {"enabled": False}}, 0),
        ({"alertlog": {"existingSecret": ""}}, 1),
    ):
        spec = one(helm.template(NO_BULK | values), "AlertmanagerConfig", "ml-monitoring")["spec"]
        assert {len(each.get("webhookConfigs", [])) for each in spec["receivers"]} == {hooks}
        assert "httpConfig" not in json.dumps(spec)
