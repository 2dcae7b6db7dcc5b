"""Pages and panels of a user's own keep the rules of ours, and what cannot be drawn is named by its place."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.alerting.model.links import panel_id
from ml_monitoring.dashboards import lint
from ml_monitoring.dashboards.cli import main
from ml_monitoring.dashboards.documents import documents
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lint import panels
from ml_monitoring.exporter.errors import ConfigError
from tests.support.extensions import ALERT, load, write_example
from tests.support.files import ROOT

SHOP = "monitoring/pages/shop.yml"
MODULE = """\
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import stat
from ml_monitoring.dashboards.lib.variables import datasource


def build(context):
    return Page(
        uid="ml-monitoring-own-late",
        title="Late orders",
        description="Which orders are late?",
        folder="Shop",
        variables=(datasource(),),
        rows=(Row("Is one late?", (stat(context.signals["ShopOrdersWaiting"]),)),),
    )
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    return write_example(tmp_path)


def made(settings: Path) -> dict[str, dict[str, Any]]:
    return {document["uid"]: document for _, document in documents(PageContext.of(load(settings)))}


def titled(page: dict[str, Any], title: str) -> dict[str, Any]:
    return next(panel for panel in panels(page) if panel["title"] == title and panel["type"] != "row")


def test_a_page_of_ones_own_keeps_the_rules_of_ours(settings: Path) -> None:
    pages = made(settings)
    page = pages["ml-monitoring-own-shop"]
    assert list(lint.findings(list(pages.values()))) == []
    assert [panel["title"] for panel in page["panels"]] == [
        "Are orders sent?", "Waiting", "Orders that wait", "Regions",
    ]  # fmt: skip
    assert page["tags"] == ["ml-stack", "own"]
    waiting = titled(page, "Waiting")
    assert waiting["targets"][0]["expr"] == (
        'sum(shop_orders_waiting{region=~"$region",cluster=~"$cluster",namespace=~"$namespace"})'
    )
    assert [step["value"] for step in waiting["fieldConfig"]["defaults"]["thresholds"]["steps"]] == [None, 100, 500]
    assert [link["url"] for link in page["links"]][1:] == ["https://shop.example/admin"]


def test_an_alert_links_to_the_panel_that_shows_it_in_its_colours(settings: Path) -> None:
    with settings.open("a") as file:
        file.write(f"alerts: {{{ALERT}: {{threshold: 42}}}}\n")
    panel = titled(made(settings)["ml-monitoring-own-shop"], "Orders that wait")
    assert panel["id"] == panel_id("own_shop_orders_waiting")
    assert [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]] == [None, 42]


def test_an_alert_that_no_panel_shows_gets_one_on_its_page_in_sight(settings: Path) -> None:
    path = settings.parent / "monitoring" / "alerts" / f"{ALERT}.yml"
    path.write_text(path.read_text().replace("page: shop", "page: mlflow-models"), encoding="utf-8")
    page = made(settings)["ml-monitoring-mlflow-models"]
    row, panel = page["panels"][-2:]
    assert (row["title"], row["collapsed"]) == ("Your own", False)
    assert panel["id"] == panel_id("own_shop_orders_waiting")


def test_an_alert_that_only_a_number_shows_gets_a_panel_over_time_to_link_to(settings: Path) -> None:
    path = settings.parent / "monitoring" / "pages" / "shop.yml"
    path.write_text(
        path.read_text().replace("{alert: ShopOrdersWaiting,", "{alert: ShopOrdersWaiting, kind: stat,"),
        encoding="utf-8",
    )
    page = made(settings)["ml-monitoring-own-shop"]
    linked = [panel for panel in lint.panels(page) if panel["id"] == panel_id("own_shop_orders_waiting")]
    assert [panel["type"] for panel in linked] == ["timeseries"]
    assert {panel["type"] for panel in lint.panels(page) if panel["title"] == "Orders that wait"} == {
        "stat",
        "timeseries",
    }


def test_a_panel_is_added_to_a_page_of_ours_and_changes_nothing_else(settings: Path) -> None:
    page = made(settings)["ml-monitoring-mlflow-experiments"]
    *ours, row = page["panels"]
    assert (row["title"], row["collapsed"]) == ("Your own", True)
    assert [panel["title"] for panel in row["panels"]] == ["Orders that wait"]
    committed = json.loads((ROOT / "dashboards/generated/ML/ml-monitoring-mlflow-experiments.json").read_text())
    assert {**page, "panels": ours} == committed


def test_a_panel_goes_into_the_row_that_it_names(settings: Path) -> None:
    path = settings.parent / "monitoring" / "panels" / "orders.yml"
    path.write_text(path.read_text().replace("page: mlflow-experiments", "page: shop").replace("Your own", "Regions"))
    row = next(panel for panel in made(settings)["ml-monitoring-own-shop"]["panels"] if panel["title"] == "Regions")
    assert [panel["title"] for panel in row["panels"]] == ["By region", "Orders that wait"]


def test_a_page_in_python_is_one_of_them(settings: Path) -> None:
    (settings.parent / "monitoring" / "pages" / "late.py").write_text(MODULE, encoding="utf-8")
    pages = made(settings)
    assert titled(pages["ml-monitoring-own-late"], "Orders that wait")["type"] == "stat"
    assert list(lint.findings(list(pages.values()))) == []
    # No cache of Python's in the user's folder.
    assert sorted(path.name for path in (settings.parent / "monitoring" / "pages").iterdir()) == ["late.py", "shop.yml"]


def test_a_unit_of_ones_own_stands_behind_values_in_every_kind_of_panel(settings: Path) -> None:
    path = settings.parent / SHOP
    text = path.read_text(encoding="utf-8").replace("unit: count", "unit: suffix:kg")
    path.write_text(text.replace("kind: stat", "kind: timeseries"), encoding="utf-8")
    pages = made(settings)
    page = pages["ml-monitoring-own-shop"]
    defaults = titled(page, "Waiting")["fieldConfig"]["defaults"]
    assert (defaults["unit"], defaults["custom"]["axisSoftMin"]) == ("suffix:kg", 0)
    columns = {
        override["matcher"]["options"]: {one["id"]: one["value"] for one in override["properties"]}
        for override in titled(page, "By region")["fieldConfig"]["overrides"]
    }
    assert [columns[name]["unit"] for name in ("Waiting", "Oldest", "Share")] == ["suffix:kg", "s", "percentunit"]
    assert list(lint.findings(list(pages.values()))) == []


def test_an_axis_of_any_values_begins_at_0_and_goes_below_it_where_values_do(settings: Path) -> None:
    path = settings.parent / PANEL
    text = path.read_text(encoding="utf-8").partition("thresholds:")[0].replace("unit: count", "unit: any")
    path.write_text(text, encoding="utf-8")
    page = made(settings)["ml-monitoring-mlflow-experiments"]
    (panel,) = page["panels"][-1]["panels"]
    assert panel["fieldConfig"]["defaults"]["custom"] == panel["fieldConfig"]["defaults"]["custom"] | {"axisSoftMin": 0}
    assert "min" not in panel["fieldConfig"]["defaults"]


def test_the_command_writes_all_pages_and_takes_away_what_is_gone(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["generate", "--settings", str(settings), "--output-dir", str(out)]) == 0
    own, all_of_them = capsys.readouterr().out.splitlines()
    assert own == f"{out}/Shop/ml-monitoring-own-shop.json"
    assert re.fullmatch(
        rf"{out}: \d+ pages \(Growth \d, ML \d+, Platform \d, Shop 1\) and kustomization.yaml written; .+", all_of_them
    )
    assert (out / "Shop" / "ml-monitoring-own-shop.json").is_file()
    assert "ml-monitoring-own-shop" in (out / "kustomization.yaml").read_text()
    (settings.parent / SHOP).unlink()
    alert = settings.parent / "monitoring" / "alerts" / f"{ALERT}.yml"
    alert.write_text(alert.read_text().replace("page: shop", "page: mlflow-models"), encoding="utf-8")
    assert main(["generate", "--settings", str(settings), "--output-dir", str(out)]) == 0
    assert not (out / "Shop" / "ml-monitoring-own-shop.json").exists()


PANEL = "monitoring/panels/orders.yml"
BAD = {
    "a key": (SHOP, "kind: stat", "kin: stat", f"{SHOP}:13: rows.0.panels.0.kin: unknown key; did you mean kind?"),
    "a kind": (SHOP, "kind: stat", "kind: stats", f"{SHOP}:13: rows.0.panels.0.kind: must be timeseries"),
    "a key of a query, and nothing that follows from it": (
        SHOP,
        "{legend: Waiting,",
        "{legend: Waiting, width: 3,",
        f"{SHOP}:28: rows.1.panels.0.queries.0.width: unknown key; it belongs beside queries, ",
    ),
    "a unit of a query of what is no table": (
        SHOP,
        "kind: table\n        by: [region]\n",
        "kind: stat\n        by: [region]\n        unit: count\n",
        "queries: decimals, thresholds, unit: only columns of a table have their own (kind: table)",
    ),
    "a column without a unit": (
        SHOP,
        "{legend: Waiting, unit: count,",
        "{legend: Waiting,",
        f"{SHOP}:23: rows.1.panels.0: unit: is missing",
    ),
    "a panel without a unit": (PANEL, "unit: count\n", "", f"{PANEL}:1: unit: is missing"),
    "a panel of two things": (
        PANEL,
        "unit: count",
        "alert: X\nunit: count",
        f"{PANEL}:4: question: is the alert's already: delete it",
    ),
    "what the alert says": (
        SHOP,
        "width: 20}",
        "width: 20, question: How many?}",
        f"{SHOP}:19: rows.0.panels.1.question: is the alert's already: delete it",
    ),
    "a threshold of two sides": (
        SHOP,
        "above: 100",
        "above: 100, below: 3",
        f"{SHOP}:17: rows.0.panels.0.thresholds.0: give either above or below",
    ),
    "a threshold in words": (
        SHOP,
        "above: 100",
        "above: many",
        f"{SHOP}:16: rows.0.panels.0.thresholds: 'many' is not a number",
    ),
    "a threshold in percent": (
        SHOP,
        "{legend: Share, unit: ratio,",
        "{legend: Share, unit: ratio, thresholds: [{above: 50%}],",
        f"{SHOP}:23: rows.1.panels.0.thresholds: '50%' is not a number: write 0.5 for 50 %",
    ),
    "thresholds that cross": (
        SHOP,
        "above: 500",
        "below: 500",
        f"{SHOP}:16: rows.0.panels.0.thresholds: the thresholds of its alerts cross",
    ),
    "an alert": (
        SHOP,
        "{alert: Shop",
        "{alert: Shopp",
        f"{SHOP}:19: rows.0.panels.1.alert: there is no ShoppOrdersWaiting; did you mean ShopOrdersWaiting?",
    ),
    "a variable": (
        SHOP,
        "shop_orders_waiting{<filter>})\n        unit",
        'shop_orders_waiting{a="$regoin"})\n        unit',
        f"{SHOP}:11: ml-monitoring-own-shop/Waiting A: variable regoin is not declared",
    ),
    "a placeholder": (
        SHOP,
        "shop_orders_waiting{<filter>})\n        unit",
        "shop_orders_waiting{<fliter>})\n        unit",
        f"{SHOP}:14: rows.0.panels.0.expr: no value for <fliter>; did you mean filter?",
    ),
    "a link to a page": (
        SHOP,
        "https://shop.example/admin",
        "/d/nowhere",
        f"{SHOP}:7: ml-monitoring-own-shop/links: link to nowhere, which is no page",
    ),
    "a title of ours": (
        SHOP,
        "title: Shop\n",
        "title: MLflow experiments\n",
        f"{SHOP}:1: title: the page mlflow-experiments has this title already: choose another one",
    ),
    "a link of a panel to a page": (
        SHOP,
        "{alert: ShopOrdersWaiting, width: 20}",
        "{alert: ShopOrdersWaiting, width: 20, link: {title: Waiting, url: /d/ml-monitoring-own-shp}}",
        f"{SHOP}:19: ml-monitoring-own-shop/Orders that wait: link to ml-monitoring-own-shp, which is no page; did you "
        "mean ml-monitoring-own-shop?",
    ),
    "a dial of a count": (
        PANEL,
        "kind: timeseries",
        "kind: gauge",
        f"{PANEL}:5: kind: a dial needs two ends, so it shows ratios only",
    ),
    "two queries with one legend": (
        PANEL,
        "expr: sum by (region) (shop_orders_waiting)\n",
        "queries: [{expr: up, legend: A}, {expr: up, legend: A}]\n",
        f"{PANEL}:6: queries: two queries of one panel have the same legend, give each a name\n",
    ),
    "words of what is no flag": (
        PANEL,
        "unit: count",
        "unit: count\nstates: [down, up]",
        f"{PANEL}:8: states: has no meaning for kind: timeseries",
    ),
    "an option of another kind": (
        SHOP,
        "kind: stat",
        "kind: bargauge\n        empty: none",
        f"{SHOP}:14: rows.0.panels.0.empty: has no meaning for kind: bargauge",
    ),
    "a table without labels": (
        SHOP,
        "by: [region]",
        "by: []",
        f"{SHOP}:26: rows.1.panels.0.by: a table needs a label",
    ),
    "a page": (
        PANEL,
        "page: mlflow-experiments",
        "page: mlflow-experiment",
        f"{PANEL}:1: page: no page is called 'mlflow-experiment'; did you mean mlflow-experiments?",
    ),
    "a metric of ours": (
        PANEL,
        "shop_orders_waiting)",
        "ml_monitoring_source_upp)",
        f"{PANEL}:6: expr: the exporter has no metric ml_monitoring_source_upp",
    ),
    "too wide a panel": (
        PANEL,
        "unit: count",
        "width: 25\nunit: count",
        f"{PANEL}:7: width: must be at most 24",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_drawn_is_named_by_its_place_and_nothing_is_written(
    what: str, settings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(settings.parent)
    name, old, new, expected = BAD[what]
    text = Path(name).read_text(encoding="utf-8")
    assert old in text
    Path(name).write_text(text.replace(old, new, 1), encoding="utf-8")
    assert main(["generate", "--settings", settings.name, "--output-dir", "out"]) == 1
    said = capsys.readouterr().err
    assert expected in said.replace(f"{settings.parent}/", "")
    # Of what the error itself causes.
    assert "at least 1 item" not in said
    assert not Path("out").exists()


def test_a_table_has_a_unit_for_each_column(settings: Path) -> None:
    table = titled(made(settings)["ml-monitoring-own-shop"], "By region")
    columns = {
        override["matcher"]["options"]: {one["id"]: one["value"] for one in override["properties"]}
        for override in table["fieldConfig"]["overrides"]
    }
    assert [(name, column.get("unit"), column.get("decimals")) for name, column in columns.items()] == [
        ("Region", None, None), ("Waiting", "locale", 0), ("Oldest", "s", 1), ("Share", "percentunit", 0),
    ]  # fmt: skip
    # Seconds of a duration, on the column of durations only.
    assert [step["value"] for step in columns["Oldest"]["thresholds"]["steps"]] == [None, 86400]
    assert "thresholds" not in columns["Waiting"]


@pytest.mark.parametrize("kind", ["timeseries", "stat", "bargauge"])
def test_a_series_without_the_labels_of_its_legend_has_a_name(kind: str, settings: Path) -> None:
    path = settings.parent / PANEL
    path.write_text(path.read_text().replace("kind: timeseries", f"kind: {kind}"), encoding="utf-8")

    def naming() -> list[str]:
        panel = titled(made(settings)["ml-monitoring-mlflow-experiments"], "Orders that wait")
        overrides = panel["fieldConfig"]["overrides"]
        return [p["value"] for one in overrides for p in one["properties"] if p["id"] == "displayName"]

    assert naming() == ["(empty)"]
    # Other words of the legend are a name.
    path.write_text(path.read_text() + 'legend: "waiting {{region}}"\n', encoding="utf-8")
    assert naming() == []


PYTHON = {
    "raises": ('title="Late orders"', "title=1 / 0", "late.py:9: ZeroDivisionError: division by zero"),
    "is no Python": ("def build(context):", "def build(context:", "late.py:6: SyntaxError: "),
    "imports what there is not": ("import stat\n", "import stat\nimport nowhere\n", "late.py:3: ModuleNotFoundError: "),
    "builds nothing": ("    return Page(", "    Page(", "late.py: build(context) returned NoneType, not a Page"),
    "has no build": ("def build(", "def built(", "late.py: has no function build(context)"),
    "has the uid of another": (
        "own-late",
        "own-shop",
        "late.py: the page's uid is 'ml-monitoring-own-shop'; by the name of the file it must be ",
    ),
    "names an alert that there is not": ("ShopOrdersWaiting", "ShopOrders", "late.py:13: KeyError: 'ShopOrders'"),
}


@pytest.mark.parametrize("what", PYTHON)
def test_a_module_that_cannot_be_used_is_named_by_file_and_line(what: str, settings: Path) -> None:
    old, new, expected = PYTHON[what]
    assert old in MODULE
    path = settings.parent / "monitoring" / "pages" / "late.py"
    path.write_text(MODULE.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        made(settings)
    assert f"{path.parent}/{expected}" in str(caught.value)


@pytest.mark.parametrize("name", ["Shop", "a-page-of-a-very-long-name", "shop_2"])
def test_a_page_has_a_name_that_fits_its_address(name: str, settings: Path) -> None:
    path = settings.parent / SHOP
    shutil.copy(path, path.with_stem(name))
    with pytest.raises(ConfigError, match="call the file by at most 22 small letters, digits and dashes"):
        made(settings)


def test_two_files_of_one_name_are_refused(settings: Path) -> None:
    (settings.parent / "monitoring" / "pages" / "shop.py").write_text(MODULE, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"shop\.yml: shop\.py has this name too"):
        made(settings)
