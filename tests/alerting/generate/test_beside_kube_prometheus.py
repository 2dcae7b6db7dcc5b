"""A real Prometheus and a real Alertmanager with kube-prometheus's general rules and inhibitions beside ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from ml_monitoring.alerting.domains import load_alerts
from ml_monitoring.alerting.generate import alertmanager
from tests.support import kube_prometheus
from tests.support.alertmanager_server import AT_ONCE, Alertmanager, running
from tools.backfilled_prometheus import backfilled_prometheus
from tools.processes import wait_until
from tools.webhook import WebhookReceiver

BOUND = {alert.name: alert for alert in load_alerts()}
INFO, WARNING = "VariantPatternFatigued", "VariantUpdatesStopped"
NAMESPACE = {"namespace": "ml-monitoring"}

Start = Callable[..., Alertmanager]


def fires(name: str, **labels: str) -> dict[str, Any]:
    """Return a rule with the labels of ours that fires at once."""
    return {"alert": name, "expr": "vector(1)", "labels": BOUND[name].labels | labels}


@pytest.fixture
def start(programs: dict[str, Path], webhook: WebhookReceiver, tmp_path: Path) -> Iterator[Start]:
    """Start both on rules; Prometheus tells Alertmanager each second."""
    with ExitStack() as stack:

        def run(*rules: dict[str, Any]) -> Alertmanager:
            ours = alertmanager.build(webhook.url, timing=AT_ONCE, alert_log_url="")
            config = kube_prometheus.beside(ours, webhook.url)
            server = stack.enter_context(running(programs["alertmanager"], config, tmp_path / "alertmanager"))
            files = {"kube.yml": kube_prometheus.RULES, "ours.yml": {"groups": [{"name": "ours", "rules": [*rules]}]}}
            for name, content in files.items():
                (tmp_path / name).write_text(yaml.safe_dump(content), encoding="utf-8")
            address = server.url.removeprefix("http://")
            settings = {
                "global": {"evaluation_interval": "1s"},
                "rule_files": [str(tmp_path / name) for name in files],
                "alerting": {"alertmanagers": [{"static_configs": [{"targets": [address]}]}]},
            }
            folder = tmp_path / "prometheus"
            folder.mkdir()
            # Until Alertmanager was discovered, alerts are dropped; and without this sent again after a minute.
            flags = ["--rules.alert.resend-delay=1s"]
            stack.enter_context(
                backfilled_prometheus(programs, folder, [], config=yaml.safe_dump(settings), flags=flags)
            )
            return server

        yield run


def state(server: Alertmanager, name: str) -> tuple[str, list[str]] | None:
    """Return the state of our alert and what mutes it; None while it is not there or was not judged yet."""
    found = [one for one in server.alerts() if one["labels"]["alertname"] == name]
    if not found or found[0]["status"]["state"] == "unprocessed":
        return None
    names = {one["fingerprint"]: one["labels"]["alertname"] for one in server.alerts()}
    return found[0]["status"]["state"], sorted(names[by] for by in found[0]["status"]["inhibitedBy"])


def becomes(server: Alertmanager, name: str, expected: tuple[str, list[str]]) -> bool:
    return wait_until(lambda: state(server, name) == expected, timeout=30)


def arrived(webhook: WebhookReceiver, name: str, receiver: str) -> bool:
    return any(
        note["receiver"] == receiver and any(one["labels"]["alertname"] == name for one in note["alerts"])
        for note in webhook.notifications
    )


@pytest.mark.parametrize("where", [{}, NAMESPACE], ids=["no namespace", "a namespace"])
def test_the_watchdog_arrives_where_it_was_muted_with_severity_info(
    start: Start, webhook: WebhookReceiver, where: dict[str, str]
) -> None:
    before = fires("MlMonitoringWatchdog", **where, severity="info") | {"alert": "WatchdogOfSeverityInfo"}
    server = start(fires("MlMonitoringWatchdog", **where), before)
    assert becomes(server, "WatchdogOfSeverityInfo", ("suppressed", ["InfoInhibitor"]))
    assert becomes(server, "MlMonitoringWatchdog", ("active", []))
    assert becomes(server, "Watchdog", ("active", []))
    assert wait_until(lambda: arrived(webhook, "MlMonitoringWatchdog", "watchdog"), timeout=30)


def test_our_watchdog_raises_no_information_inhibitor(start: Start) -> None:
    # The foreign information alert shows when InfoInhibitor was evaluated at all: it is that alert's, and no other's.
    foreign = {"alert": "ShopBusy", "expr": "vector(1)", "labels": {"severity": "info", "namespace": "shop"}}
    server = start(fires("MlMonitoringWatchdog", **NAMESPACE), foreign)
    assert becomes(server, "ShopBusy", ("suppressed", ["InfoInhibitor"]))
    assert becomes(server, "MlMonitoringWatchdog", ("active", []))
    inhibitors = [one["labels"] for one in server.alerts() if one["labels"]["alertname"] == "InfoInhibitor"]
    assert [labels["namespace"] for labels in inhibitors] == ["shop"]


def test_information_alone_is_muted_as_kube_prometheus_means_it(start: Start) -> None:
    shop = {"alert": "ShopDown", "expr": "vector(1)", "labels": {"severity": "critical", "namespace": "shop"}}
    server = start(fires(INFO, **NAMESPACE), shop)
    # What burns in another namespace changes nothing.
    assert becomes(server, INFO, ("suppressed", ["InfoInhibitor"]))
    assert becomes(server, "ShopDown", ("active", []))


def test_information_beside_something_worse_in_its_namespace_arrives(start: Start, webhook: WebhookReceiver) -> None:
    server = start(fires(WARNING, **NAMESPACE), fires(INFO, **NAMESPACE))
    assert becomes(server, INFO, ("active", []))
    assert wait_until(lambda: arrived(webhook, INFO, "growth-info"), timeout=30)
