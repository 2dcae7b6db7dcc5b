"""A folder of a user's own in a real stack: its metric by a query, its alert at Alertmanager, its page drawn."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ml_monitoring.dashboards.cli import main
from tests.support.extensions import ALERT, load, write_example
from tools.processes import wait_until
from tools.stack import LocalStack, Ports, hurried
from tools.webhook import WebhookReceiver

OTHER = "OrdersOfRuns"
QUERY = "SELECT region, count(*) AS waiting, 172800 AS oldest FROM orders WHERE sent IS NULL GROUP BY region"
METRICS = {
    "shop_orders_waiting": {"value": "waiting", "help": "Orders that are not yet sent.", "labels": ["region"]},
    "shop_orders_oldest_age_seconds": {"value": "oldest", "help": "Age of the oldest.", "labels": ["region"]},
}


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "shop.db"
    with contextlib.closing(sqlite3.connect(path)) as shop, shop:
        shop.execute("CREATE TABLE orders (region TEXT, sent TEXT)")
        shop.executemany("INSERT INTO orders VALUES (?, NULL)", [("eu",)] * 150 + [("us",)] * 50)
    return path


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = write_example(tmp_path_factory.mktemp("own"))
    # Another one, on a page of ours.
    folder = settings.parent / "monitoring"
    for name in (f"alerts/{ALERT}.yml", f"runbooks/{ALERT}.md"):
        text = (folder / name).read_text(encoding="utf-8").replace(ALERT, OTHER)
        text = text.replace("page: shop", "page: mlflow-experiments").replace("severity: warning", "severity: critical")
        (folder / name.replace(ALERT, OTHER)).write_text(text, encoding="utf-8")
    return settings


@pytest.fixture(scope="module")
def stack(
    orders: Path,
    settings: Path,
    receiver: WebhookReceiver,
    programs: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LocalStack]:
    source = {"uri": f"sqlite:///{orders}", "interval": "500ms", "sql": QUERY, "metrics": METRICS}
    thresholds = hurried(load(settings), wait="1s")
    with LocalStack(
        {
            "web": {"runbooks_dir": str(settings.parent / "monitoring" / "runbooks")},
            "sources": {"queries": {"shop_orders_waiting": source}},
        },
        tmp_path_factory.mktemp("stack"),
        Ports.free(),
        programs,
        thresholds=thresholds,
        webhook_url=f"{receiver.url}hook",
    ) as stack:
        yield stack


def test_an_alert_of_ones_own_reaches_its_team(stack: LocalStack, receiver: WebhookReceiver) -> None:
    alert = receiver.wait_for(lambda alert: alert["labels"]["alertname"] == ALERT, timeout=60)
    assert alert["labels"] == {
        "alertname": ALERT,
        "region": "eu",
        "severity": "warning",
        "team": "platform",
        "source": "queries/shop_orders_waiting",
    }
    assert alert["annotations"]["description"] == "eu: 150 orders wait."
    (notification,) = [each for each in receiver.notifications if alert in each["alerts"]][:1]
    assert notification["receiver"] == "platform-warning"


def test_the_exporter_serves_its_runbook_beside_ours(stack: LocalStack) -> None:
    for name in (ALERT, "MlMonitoringDown"):
        found = httpx.get(f"{stack.exporter_url}/runbooks/{name}")
        assert (found.status_code, found.text.partition("\n")[0]) == (200, f"# {name}")


def test_the_lights_of_its_page_and_of_the_overview_count_it(settings: Path, stack: LocalStack, tmp_path: Path) -> None:
    assert main(["generate", "--settings", str(settings), "--output-dir", str(tmp_path)]) == 0

    def shown(page: str, title: str) -> list[float]:
        content = json.loads((tmp_path / page).read_text(encoding="utf-8"))
        (panel,) = [panel for panel in content["panels"] if panel["title"] == title]
        # As Grafana asks where nothing is chosen.
        expr = re.sub(r"\$\w+", ".*", panel["targets"][0]["expr"])
        return list(stack.query(expr).values())

    overview = "Platform/ml-monitoring-operations-overview.json"
    lights = {
        ("ML/ml-monitoring-mlflow-experiments.json", "State"): [3],
        (overview, "MLflow"): [3],
        (overview, "Your own"): [2],
        # They are of no other domain.
        (overview, "Exporter"): [0],
    }
    assert wait_until(lambda: {light: shown(*light) for light in lights} == lights, timeout=120)


def test_a_page_of_ones_own_is_drawn_and_proven(
    settings: Path, stack: LocalStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Charts ask in steps of some seconds: there must have been numbers for longer than one.
    assert wait_until(lambda: len(stack.query("max_over_time(shop_orders_waiting[1h:] offset 30s)")) == 2, timeout=120)
    assert main(["generate", "--settings", str(settings), "--output-dir", str(tmp_path / "pages")]) == 0
    page = tmp_path / "pages" / "Shop" / "ml-monitoring-own-shop.json"
    asked = ["--prometheus", stack.prometheus_url, "--from", "now-5m"]
    assert main(["prove", str(page), *asked]) == 0, capsys.readouterr().out
    assert main(["render", str(page), "--out", str(tmp_path / "pictures"), *asked]) == 0
    (picture,) = (tmp_path / "pictures").rglob("*.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    assert main(["data", f"{page}/By region", *asked, "--out", str(tmp_path / "regions.csv")]) == 0
    # A count, a duration and a share.
    assert "\neu,150.0,172800.0,0.75\n" in (tmp_path / "regions.csv").read_text(encoding="utf-8").replace("\r", "")
