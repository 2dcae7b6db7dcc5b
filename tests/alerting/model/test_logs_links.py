"""Where logs are collected, an alert leads to the logs of the service that it is about."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from ml_monitoring.alerting.domains import ALERTS, load_alerts, load_thresholds
from ml_monitoring.alerting.generate import files as generate
from ml_monitoring.alerting.model.alert import BoundAlert
from ml_monitoring.alerting.model.thresholds import read
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.pages.logs import build
from tests.support.files import DOCKER, read_yaml
from tests.support.promql import surviving_labels

LOGS = "http://grafana.example/d/ml-monitoring-logs"
WITH_LOGS = load_thresholds().overridden({"LOGS_URL": LOGS})
LINKED = [alert for alert in load_alerts(WITH_LOGS) if "logs_url" in alert.annotations]


def test_without_logs_no_alert_links_to_any() -> None:
    assert not [alert.name for alert in load_alerts() if "logs_url" in alert.annotations]


def test_all_alerts_have_the_link_but_those_on_machines_and_on_what_names_no_service() -> None:
    assert {alert.name for alert in load_alerts(WITH_LOGS)} - {alert.name for alert in LINKED} == {
        *("HostCpuBusy", "HostMemoryLow", "HostDiskFull", "HostDiskFilling", "HostClockOff"),
        *("MlflowTrainingSilent", "MlflowTrainingLossNotFinite", "MlflowTrainingLossRising"),
        "MlflowTrainingGpuIdle",
        *("MlModelAccuracyLow", "MlPredictionDrift", "AbTestVariantWorse", "AbTestSampleRatioMismatch"),
        *("MlJobFailed", "MlJobOverdue"),
    }


@pytest.mark.parametrize("alert", LINKED, ids=lambda alert: alert.name)
def test_the_link_fills_in_the_pages_variable_from_what_there_is(alert: BoundAlert) -> None:
    url = alert.annotations["logs_url"]
    page = build(PageContext.of(WITH_LOGS))
    assert url.startswith(f"{LOGS}?var-service=")
    assert LOGS.endswith(f"/d/{page.uid}")
    assert "service" in {variable.name for variable in page.variables}
    assert set(re.findall(r"\$labels\.(\w+)", url)) <= surviving_labels(alert.expr)
    services = {name for path in DOCKER.glob("compose*.yaml") for name in read_yaml(path)["services"]}
    assert set(re.findall(r"var-service=([\w-]+)", url)) <= services


def test_a_containers_alert_leads_to_the_logs_of_its_own_service() -> None:
    (alert,) = (alert for alert in LINKED if alert.name == "ContainerRestarting")
    assert alert.annotations["logs_url"] == f"{LOGS}?var-service={{{{ $labels.compose_service | urlquery }}}}"


def test_prometheus_fills_in_the_service_of_a_job(programs: dict[str, Path], tmp_path: Path) -> None:
    settings = tmp_path / "own.yml"
    settings.write_text("""selectors: {prometheus: 'job="my ml&api"'}\n""", encoding="utf-8")
    thresholds = read(ALERTS, [settings]).overridden({"LOGS_URL": LOGS})
    generate.write(generate.files(thresholds), tmp_path)
    jobs = {
        "node": "node-exporter",
        "postgres": "postgres-exporter",
        "alertlog": "alertlog",
        "my ml&api": "my+ml%26api",
    }
    rule = next(alert for alert in load_alerts(thresholds) if alert.name == "PrometheusTargetDown")
    kept = {key: value for key, value in rule.annotations.items() if "$labels" not in value}
    expected = [
        {
            "exp_labels": {"job": job, "instance": "i:1", **rule.labels},
            "exp_annotations": {
                **kept,
                "description": (
                    f"{job} at i:1 did not answer its last scrapes: it is down, or Prometheus has a wrong address. "
                    "Alerts on it cannot fire."
                ),
                "logs_url": f"{LOGS}?var-service={service}",
            },
        }
        for job, service in jobs.items()
    ]
    up = [{"series": f'up{{job="{job}", instance="i:1"}}', "values": "0x80"} for job in jobs]
    case = {
        "interval": "15s",
        "input_series": up,
        "alert_rule_test": [{"eval_time": "15m", "alertname": rule.name, "exp_alerts": expected}],
    }
    test = tmp_path / "case.yml"
    test.write_text(yaml.safe_dump({"rule_files": ["rules.yml", "alerts.yml"], "tests": [case]}), encoding="utf-8")
    done = subprocess.run([programs["promtool"], "test", "rules", test], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
