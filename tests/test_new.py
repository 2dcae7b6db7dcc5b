"""`ml-monitoring new` writes files that work as they stand, and the commands that it prints can be pasted."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from demo.mlflow import STORE_FILE, write_file
from ml_monitoring.cli import main
from ml_monitoring.exporter.runbooks import UNFILLED
from tests.support.files import ROOT
from tests.support.shell import COMMAND

NAMES = {
    "metric": "shop_orders_waiting",
    "rule": "shop_orders",
    "alert": "ShopOrdersWaiting",
    "panel": "orders",
    "page": "shop",
    "page --python": "late-orders",
    "source": "weather",
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    write_file(folder, seed=1)
    return folder / STORE_FILE


@pytest.fixture
def environment(programs: dict[str, Path], tmp_path: Path) -> dict[str, str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("ML_MONITORING_")}
    paths = f"{programs['promtool'].parent}:{Path(sys.executable).parent}:{variables['PATH']}"
    return {**variables, "PATH": paths, "PYTHONPATH": f"{ROOT}:{tmp_path / 'site'}", "PYTHONDONTWRITEBYTECODE": "1"}


def shell(command: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def new(arguments: str, folder: Path, environment: dict[str, str], status: int = 0) -> str:
    done = shell(f"{COMMAND} new {arguments}", folder, environment)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stderr if status else done.stdout


def hints(printed: str) -> list[str]:
    return re.findall(r"^  (.+)$", printed, re.MULTILINE)


@pytest.mark.parametrize("kind", NAMES)
def test_what_is_written_works_and_the_commands_can_be_pasted(
    kind: str, store: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "ml-monitoring.yml").write_text(f"sources: {{mlflow: {{uri: 'sqlite:///{store}'}}}}\n")
    printed = new(f"{kind} {NAMES[kind]}", tmp_path, environment)
    written = printed.partition("\n\n")[0].splitlines()
    assert written
    assert [name for name in written if not (tmp_path / name).is_file()] == []
    assert [name for name in written if "@" in (tmp_path / name).read_text()] == []
    commands = hints(printed)
    assert len(commands) >= (1 if kind == "metric" else 2)
    said = ""
    for command in commands:
        # The same installer without pip, into a folder that Python looks into.
        typed = command.replace("pip install ", "uv pip install --quiet --no-deps --target site ")
        done = shell(typed, tmp_path, environment)
        assert done.returncode == 0, typed + done.stdout + done.stderr
        said += done.stdout
    expected = {
        "metric": 'shop_orders_waiting{stage="active"} ',
        "rule": "ok    shop_orders\n",
        "alert": "ok    ShopOrdersWaiting\n",
        "panel": "generated/dashboards: 21 pages (Growth 2, ML 11, Platform 8) and ",
        "page": "generated/dashboards/Own/ml-monitoring-own-shop.json\n",
        "page --python": "generated/dashboards/Own/ml-monitoring-own-late-orders.json\n",
        "source": "ok    weather          1 series",
    }
    assert expected[kind] in re.sub(r"(?<=weather) +", " " * 10, said)


@pytest.mark.parametrize("named_by", ["", "MLFLOW_TRACKING_URI", "ML_MONITORING_SOURCES__MLFLOW__URI"])
def test_the_first_metric_is_checked_also_where_there_are_no_settings_yet(
    named_by: str, store: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    if named_by:
        environment[named_by] = f"sqlite:///{store}"
    else:
        shutil.copy(store, tmp_path / "mlflow.db")
    for command in hints(new("metric shop_orders_waiting", tmp_path, environment)):
        done = shell(command, tmp_path, environment)
        assert done.returncode == 0, command + done.stdout + done.stderr
    assert 'shop_orders_waiting{stage="active"} ' in done.stdout
    assert (tmp_path / "ml-monitoring.yml").exists() is (named_by != "ML_MONITORING_SOURCES__MLFLOW__URI")


def test_a_metric_of_a_database_of_ones_own_needs_no_mlflow(tmp_path: Path, environment: dict[str, str]) -> None:
    uri = f"sqlite:///{tmp_path}/shop.db"
    with closing(sqlite3.connect(tmp_path / "shop.db")) as shop, shop:
        shop.execute("CREATE TABLE orders (region TEXT)")
    (command,) = hints(new(f"metric shop_orders_waiting --uri {uri}", tmp_path, environment))
    done = shell(command, tmp_path, environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'shop_orders_waiting{stage="active"} 1.0' in done.stdout


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("postgresql://me:s3cret@db/shop", "error: --uri: holds a password: leave it out"),
        ("s3cret", "error: --uri: "),
    ],
)
def test_an_address_that_cannot_be_written_is_refused(
    uri: str, problem: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    said = new(f"metric shop_orders_waiting --uri {uri}", tmp_path, environment, status=2)
    assert said.startswith(problem)
    assert "s3cret" not in said
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_no_settings_name_is_not_passed_over_in_silence(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    new("alert ShopOrdersWaiting", tmp_path, environment)
    ours = COMMAND
    naming = "echo 'extensions: monitoring' >> ml-monitoring-alerting.yml"
    note = f"note: there is ./monitoring, but no settings name it, so nothing in it counts: {naming}\n"
    tested = shell(f"{ours} alerts test", tmp_path, environment)
    error = "error: extensions: no settings name a folder of your own alerts\n"
    assert (tested.returncode, tested.stderr) == (1, note + error)
    for command in ("alerts", "dashboards"):
        done = shell(f"{ours} {command} generate --output-dir out", tmp_path, environment)
        assert (done.returncode, note in done.stderr) == (0, True), done.stderr
    # Where it may be what is missing; others are about something else.
    for command in ("explain", "backtest"):
        assert shell(f"{ours} alerts {command} ShopOrdersWaiting", tmp_path, environment).stderr.startswith(note)
        said = shell(f"{ours} alerts {command} MlflowRunHangin", tmp_path, environment).stderr
        assert said == "error: MlflowRunHangin does not exist; did you mean MlflowRunHanging?\n"
    for command in ("explain MlMonitoringDown", "route --label team=mlops", "explain Zzz --settings /dev/null"):
        assert note not in shell(f"{ours} alerts {command}", tmp_path, environment).stderr
    shell(naming, tmp_path, environment)
    assert shell(f"{ours} alerts test", tmp_path, environment).stdout == "ok    ShopOrdersWaiting\n"


def test_all_of_them_live_in_one_folder(tmp_path: Path, environment: dict[str, str]) -> None:
    printed = [new(f"{kind} {name}", tmp_path, environment) for kind, name in NAMES.items()]
    for commands in map(hints, printed):
        for command in commands:
            if "extensions: monitoring" in command:
                shell(command, tmp_path, environment)
    # Named once, however often it is pasted.
    assert (tmp_path / "ml-monitoring-alerting.yml").read_text() == "extensions: monitoring\n"
    done = shell(f"{COMMAND} alerts test", tmp_path, environment)
    assert (done.returncode, done.stdout) == (0, "ok    shop_orders\nok    ShopOrdersWaiting\n"), done.stderr


def test_an_alert_is_about_the_metric_of_the_folder_that_its_name_begins_with(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    new("metric shop_open_orders", tmp_path, environment)
    new("alert ShopOpenOrdersTooMany", tmp_path, environment)
    new("alert Nameless", tmp_path, environment)
    new("metric shop_late_parcels", tmp_path, environment)
    new("alert Unrelated", tmp_path, environment)
    alerts = tmp_path / "monitoring" / "alerts"
    of_metric = "expr: max by (stage) (shop_open_orders{<filter>})\n"
    # The only one there is.
    assert of_metric in (alerts / "Nameless.yml").read_text()
    assert of_metric in (alerts / "ShopOpenOrdersTooMany.yml").read_text()
    assert "expr: max by (job) (unrelated{<filter>})\n" in (alerts / "Unrelated.yml").read_text()


def test_a_panel_shows_the_metric_of_the_folder_by_its_labels(tmp_path: Path, environment: dict[str, str]) -> None:
    printed = new("metric shop_open_orders", tmp_path, environment)
    shows = re.search(r"`(.+ new panel shop-open-orders)` shows it, and `(.+ new alert ShopOpenOrders)` watch", printed)
    assert shows is not None
    for command in shows.groups():
        assert shell(command, tmp_path, environment).returncode == 0
    new("panel other", tmp_path, environment)
    for name in ("shop-open-orders", "other"):
        text = (tmp_path / "monitoring" / "panels" / f"{name}.yml").read_text()
        assert 'expr: sum by (stage) (shop_open_orders)\nlegend: "{{stage}}"\n' in text
        assert "by: [stage]\n" in text


QUERIES = """
sources:
  queries:
    shop:
      store: mlflow
      sql: SELECT 1
      metrics:
        shop_orders: {value: n, help: Orders., labels: [region, severity, "on"]}
        shop_sold_total: {value: n, help: Sold., type: counter, labels: [region]}
        shop_sent_bytes_total: {value: n, help: Sent., type: counter}
        shop_late_ratio: {value: n, help: Late., labels: [region]}
        shop_last_order_timestamp_seconds: {value: n, help: Last., labels: [region]}
"""
EXPECTED = {
    "shop_orders": ("max by (region, on) (shop_orders{<filter>})", "count"),
    "shop_sold_total": ("sum by (region) (rate(shop_sold_total{<filter>}[<window>]))", "suffix:/s"),
    "shop_sent_bytes_total": ("sum(rate(shop_sent_bytes_total[<window>]))", "bytes_per_second"),
    "shop_late_ratio": ("max by (region) (shop_late_ratio{<filter>})", "ratio"),
    "shop_last_order_timestamp_seconds": (
        "time() - max by (region) (shop_last_order_timestamp_seconds{<filter>})",
        "seconds",
    ),
}


def test_metrics_of_every_kind_become_alerts_panels_and_pages_that_pass_untouched(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "monitoring" / "queries").mkdir(parents=True)
    (tmp_path / "monitoring" / "queries" / "shop.yml").write_text(QUERIES)
    (tmp_path / "ml-monitoring-alerting.yml").write_text("extensions: monitoring\n")
    for number, (metric, (expr, unit)) in enumerate(EXPECTED.items()):
        for thing in (f"alert Own{number}", f"panel own-{number}", f"page page-{number}"):
            assert main(["new", *thing.split(), "--metric", metric]) == 0
        alert = yaml.safe_load((tmp_path / "monitoring" / "alerts" / f"Own{number}.yml").read_text())
        assert (alert["expr"], alert["unit"], alert["source"]) == (expr, unit, "queries/shop")
        for kind, name in (("panels", f"own-{number}"), ("pages", f"page-{number}")):
            text = (tmp_path / "monitoring" / kind / f"{name}.yml").read_text()
            assert f"unit: {unit}\n" in text
            assert metric in text
    tested = shell(f"{COMMAND} alerts test", tmp_path, environment)
    passed = "".join(f"ok    Own{number}\n" for number in range(len(EXPECTED)))
    assert (tested.returncode, tested.stdout) == (0, passed), tested.stdout + tested.stderr
    for command in ("alerts", "dashboards"):
        done = shell(
            f"{COMMAND} {command} generate --output-dir out/{command}",
            tmp_path,
            environment,
        )
        assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out" / "dashboards" / "Own").glob("*.json"))) == len(EXPECTED)


def test_new_metric_alert_panel_and_page_go_together(store: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "ml-monitoring.yml").write_text(f"sources: {{mlflow: {{uri: 'sqlite:///{store}'}}}}\n")
    commands: list[str] = []
    for thing in ("metric shop_orders_waiting", "alert TooMany", "panel orders", "page shop"):
        commands += hints(new(thing, tmp_path, environment))
    said = ""
    for command in dict.fromkeys(commands):
        done = shell(command, tmp_path, environment)
        assert done.returncode == 0, command + done.stdout + done.stderr
        said += done.stdout
    assert "ok    TooMany\n" in said
    page = (tmp_path / "generated" / "dashboards" / "Own" / "ml-monitoring-own-shop.json").read_text()
    assert "sum by (stage) (shop_orders_waiting{stage=~" in page


def test_a_metric_that_no_query_has_is_refused(tmp_path: Path, environment: dict[str, str]) -> None:
    new("metric shop_orders_waiting", tmp_path, environment)
    said = new("alert X --metric shop_orders_waitin", tmp_path, environment, status=2)
    problem = "no query in monitoring/queries has a metric 'shop_orders_waitin'; did you mean shop_orders_waiting?"
    assert said == f"error: --metric: {problem}\n"
    assert "--metric: is for pages in YAML" in new("page x --python --metric y", tmp_path, environment, status=2)


def test_a_runbook_that_nobody_filled_in_is_named_and_nothing_refused(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    new("alert ShopOrdersWaiting", tmp_path, environment)
    (tmp_path / "ml-monitoring-alerting.yml").write_text("extensions: monitoring\n")
    path = tmp_path / "monitoring" / "runbooks" / "ShopOrdersWaiting.md"
    lines = path.read_text().splitlines()
    begun = [str(number) for number, line in enumerate(lines, 1) if line in UNFILLED]
    assert len(begun) == len(UNFILLED) + 1
    command = f"{COMMAND} alerts generate --output-dir out"
    done = shell(command, tmp_path, environment)
    others = ", ".join(begun[1:])
    said = f"runbooks/ShopOrdersWaiting.md:{begun[0]}: is still as the template has it (also in lines {others})"
    assert (done.returncode, said in done.stderr) == (0, True), done.stderr
    (tmp_path / "ml-monitoring.yml").write_text(
        "web: {runbooks_dir: monitoring/runbooks}\nsources: {mlflow: {uri: 'sqlite:///nowhere.db'}}\n"
    )
    tested = shell(f"{COMMAND} alerts test", tmp_path, environment)
    # Once is enough.
    assert (tested.returncode, "template" in tested.stderr) == (0, False), tested.stderr
    checked = shell(f"{COMMAND} check", tmp_path, environment)
    assert f"monitoring/{said}" in checked.stdout
    path.write_text("\n".join("Filled in." if line in UNFILLED else line for line in lines))
    done = shell(command, tmp_path, environment)
    assert (done.returncode, "template" in done.stderr) == (0, False), done.stderr


def test_the_folder_of_the_settings_is_taken(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "etc" / "ours").mkdir(parents=True)
    (tmp_path / "etc" / "alerting.yml").write_text("extensions: ours\n")
    printed = new("page shop --settings etc/alerting.yml", tmp_path, environment)
    assert printed.startswith("etc/ours/pages/shop.yml\n")
    assert hints(printed) == [
        f"{COMMAND} dashboards generate --settings etc/alerting.yml --output-dir generated/dashboards"
    ]
    assert "etc/alerting.yml:1: extensions: is etc/ours, not other" in new(
        "page two --settings etc/alerting.yml --directory other", tmp_path, environment, status=1
    )


def test_settings_that_are_not_there_yet_are_made_by_the_commands(tmp_path: Path, environment: dict[str, str]) -> None:
    said = new("alert ShopOrdersWaiting --settings etc/own.yml", tmp_path, environment, status=1)
    assert said == "error: etc/own.yml: there is no such folder; make it: mkdir -p etc\n"
    (tmp_path / "etc").mkdir()
    commands = hints(new("alert ShopOrdersWaiting --settings etc/own.yml", tmp_path, environment))
    for command in commands[:2]:
        done = shell(command, tmp_path, environment)
        assert done.returncode == 0, command + done.stdout + done.stderr
    assert done.stdout == "ok    ShopOrdersWaiting\n"
    # Where another file names the folder nothing would make this one.
    said = new("alert Other --settings etc/own.yml --settings typo.yml", tmp_path, environment, status=1)
    assert said == "error: typo.yml: cannot be read: No such file or directory\n"


def test_nothing_is_written_where_the_commands_cannot_be_said(tmp_path: Path, environment: dict[str, str]) -> None:
    environment["ML_MONITORING_CONFIG"] = "x.yml"
    said = new("metric shop_orders_waiting", tmp_path, environment, status=1)
    assert said == "error: ML_MONITORING_CONFIG: x.yml: No such file or directory\n"
    assert list(tmp_path.iterdir()) == []


def test_the_folder_that_settings_name_is_made(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "ml-monitoring-alerting.yml").write_text("extensions: ours\n")
    assert new("page shop", tmp_path, environment).startswith("ours/pages/shop.yml\n")


def test_nothing_is_overwritten(tmp_path: Path, environment: dict[str, str]) -> None:
    new("alert ShopOrdersWaiting", tmp_path, environment)
    runbook = tmp_path / "monitoring" / "runbooks" / "ShopOrdersWaiting.md"
    runbook.write_text("mine")
    (tmp_path / "monitoring" / "alerts" / "ShopOrdersWaiting.yml").unlink()
    said = new("alert ShopOrdersWaiting", tmp_path, environment, status=1)
    assert (
        "error: monitoring/runbooks/ShopOrdersWaiting.md: is there already: edit it, or choose another name\n" in said
    )
    assert runbook.read_text() == "mine"
    assert not (tmp_path / "monitoring" / "alerts" / "ShopOrdersWaiting.yml").exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("alert shop_orders", "call it in letters and digits with a capital first, such as ShopOrdersWaiting"),
        ("alert MlMonitoringDown", "the stack has an alert MlMonitoringDown"),
        ("rule Shop", "call the file by small letters, digits, dashes and underscores"),
        ("metric mlflow_runs", "error: mlflow_runs: the exporter has the metric mlflow_runs: choose another name\n"),
        ("metric ml_monitoring_x", "names that begin with ml_monitoring_ are the exporter's own: choose another one\n"),
        (
            "page Shop",
            "call the file by at most 22 small letters, digits and dashes: it is a part of the page's address\n",
        ),
        ("panel 'a b'", "call the file by at most 22 small letters, digits and dashes\n"),
        ("panel Orders!", "call the file by at most 22 small letters, digits and dashes\n"),
        ("source mlflow", "the exporter has a source of this name: choose another one\n"),
        ("source my-source", "call it in small letters, digits and underscores, and begin with a letter\n"),
        ("source 1weather", "call it in small letters, digits and underscores, and begin with a letter\n"),
    ],
)
def test_a_name_that_cannot_be_is_refused(
    arguments: str, problem: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    assert problem in new(arguments, tmp_path, environment, status=2)
    assert list(tmp_path.iterdir()) == []
