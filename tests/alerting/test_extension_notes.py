"""What files of a user's own nearly mean is said once, and as what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.alerting.cli import main
from ml_monitoring.exporter.catalog import Unit
from tests.support.extensions import ALERT, write_example

RULES = "monitoring/rules/shop_orders.yml"
PANEL = "monitoring/panels/orders.yml"
PAGE = "monitoring/pages/shop.yml"
FILE = f"monitoring/alerts/{ALERT}.yml"


@pytest.fixture
def settings(tmp_path: Path, programs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the example, and put promtool on the PATH."""
    monkeypatch.setenv("PATH", str(programs["promtool"].parent), prepend=":")
    return write_example(tmp_path)


def changed(settings: Path, name: str, old: str, new: str) -> None:
    path = settings.parent / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "mlflow_rnus",
            "note: {file}:1: expr: no metric of ours is called mlflow_rnus; did you mean mlflow_runs?\n",
        ),
        (
            "shop_order_waiting",
            "note: {file}:1: expr: no query of the folder has a metric shop_order_waiting; did you mean "
            "shop_orders_waiting?\n",
        ),
        ("mlflow_runs", ""),
        # Of others, as far as anybody can tell.
        ("http_requests_total", ""),
        ("mlflow_http_requests_total", ""),
    ],
)
def test_a_metric_that_is_nearly_one_of_ours_is_noted(
    name: str, said: str, settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(settings, FILE, "shop_orders_waiting{", f"{name}{{")
    assert main(["generate", "--settings", str(settings), "--output-dir", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().err == said.format(file=tmp_path / FILE)


@pytest.mark.parametrize(
    ("unit", "said"),
    [
        (
            ", unit: percent",
            "{file}:7: queries.0.unit: 'percent' is no unit; there are: {units}; one of your own is written suffix:kg",
        ),
        ("", "{file}:1: unit: is missing; each of queries may have its own unit"),
    ],
)
def test_of_the_unit_of_a_column_one_thing_is_said(
    unit: str, said: str, settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = settings.parent / "monitoring/panels/regions.yml"
    path.write_text(
        "page: shop\ntitle: Regions\nquestion: Which region waits?\nkind: table\nby: [region]\nqueries:\n"
        f"  - {{expr: sum by (region) (shop_orders_waiting), legend: Orders{unit}}}\n",
        encoding="utf-8",
    )
    assert main(["generate", "--settings", str(settings), "--output-dir", str(tmp_path / "out")]) == 1
    units = ", ".join(Unit)
    assert capsys.readouterr().err == f"error: {said.format(file=path, units=units)}\n"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "queries/nope",
            "no query in {folder}/queries is called queries/nope; unless the exporter's settings have it, nothing "
            "mutes the alert",
        ),
        (
            "queries/shop_orders",
            "no query in {folder}/queries is called queries/shop_orders; did you mean {meant}?",
        ),
        *(
            (name, f"no source is called {name}, so nothing mutes the alert; did you mean {{meant}}?")
            for name in ("shop_orders_waiting", "ShopOrdersWaiting", "query/shop_orders_waiting")
        ),
        ("mlflw", "no source is called mlflw, so nothing mutes the alert; did you mean mlflow?"),
        (
            "nope",
            "no source is called nope, so nothing mutes the alert; there are: mlflow, variants, fleet, containers, "
            "experiments, queries/NAME",
        ),
    ],
)
def test_a_source_that_there_is_not_is_noted(
    source: str, said: str, settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(settings, FILE, "source: queries/shop_orders_waiting", f"source: {source}")
    assert main(["generate", "--settings", str(settings), "--output-dir", str(tmp_path / "out")]) == 0
    said = said.format(folder=tmp_path / "monitoring", meant="queries/shop_orders_waiting")
    assert capsys.readouterr().err == f"note: {tmp_path / FILE}:14: source: {said}\n"


REGION = "has no label regio; did you mean region?"


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        (
            RULES,
            "sum by (region) (shop",
            "sum by (regio) (shop",
            f"{RULES}:4: rules.0.expr: shop_orders_waiting {REGION}",
        ),
        (FILE, "by: [region]", "by: [region]\nlegend: '{{regio}}'", f"{FILE}:4: legend: `by` {REGION}"),
        (FILE, "{<filter>}", '{regio="eu"}', f"{FILE}:1: expr: shop_orders_waiting {REGION}"),
        (PANEL, "by: [region]", "by: [region]\nlegend: '{{ regio }}'", f"{PANEL}:9: legend: `by` {REGION}"),
        (PANEL, "by: [region]", "by: [region]\nlegend: '{{job}}'", ""),
        (
            PANEL,
            "shop_orders_waiting",
            "shop_order_waiting",
            f"{PANEL}:6: expr: no query of the folder has a metric shop_order_waiting; did you mean "
            "shop_orders_waiting?",
        ),
        (PAGE, "{label: region", "{label: regio", f"{PAGE}:5: variables.0.label: shop_orders_waiting {REGION}"),
        (PAGE, "{label: region", "{label: stage", ""),
        (
            PAGE,
            "metric: shop_orders_waiting",
            "metric: shop_order_waiting",
            f"{PAGE}:5: variables.0.metric: no query of the folder has a metric shop_order_waiting; did you mean "
            "shop_orders_waiting?",
        ),
    ],
)
def test_a_label_that_is_nearly_one_of_the_metric_is_noted(
    name: str, old: str, new: str, said: str, settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(settings, name, old, new)
    assert main(["generate", "--settings", str(settings), "--output-dir", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().err == (f"note: {tmp_path}/{said}\n" if said else "")


def test_an_alert_among_recording_rules_is_said_to_be_one(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = settings.parent / "monitoring/rules/others.yml"
    path.write_text("rules:\n  - alert: ShopDown\n    expr: up == 0\n    for: 5m\n    labels: {}\n", encoding="utf-8")
    assert main(["generate", "--settings", str(settings), "--output-dir", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == (
        f"error: {path}:2: rules.0: is an alert as Prometheus has it: `ml-monitoring new alert ShopDown` writes one of "
        "your own, which takes its `expr`; or name this file in `rule_files` of Prometheus\n"
    )


OF_ALERT = (
    "is an alert as Prometheus has it: `ml-monitoring new alert ShopDown` writes one of your own, which takes its "
    "`expr`; or name this file in `rule_files` of Prometheus"
)
GROUPS = "groups:\n  - name: shop\n    rules:\n      - {alert: ShopDown, expr: up == 0}\n"
RECORDED = "groups:\n  - name: shop\n    rules:\n      - {record: a, expr: up}\n"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("alerts/ShopDown.yml", "", ": is empty: delete it; `ml-monitoring new alert ShopDown` writes one that works"),
        ("rules/shop.yml", "# Later.\n", ": is empty: delete it; `ml-monitoring new rule shop` writes one that works"),
        ("panels/shop.yml", "", ": is empty: delete it; `ml-monitoring new panel shop` writes one that works"),
        ("alerts/ShopDown.yml", GROUPS, f":1: groups: {OF_ALERT}"),
        ("rules/shop.yml", GROUPS, f":1: groups: {OF_ALERT}"),
        ("alerts/ShopDown.yml", "alert: ShopDown\nexpr: up == 0\nfor: 5m\n", f":1: alert: {OF_ALERT}"),
        ("alerts/ShopDown.yml", "rules:\n  - {alert: ShopDown, expr: up == 0}\n", f":1: rules: {OF_ALERT}"),
        (
            "alerts/shop.yml",
            RECORDED,
            ":1: groups: are rules as Prometheus has them: `ml-monitoring new rule` writes a file of your own, whose "
            "`rules` take them; or name this file in `rule_files` of Prometheus",
        ),
    ],
)
def test_a_file_that_is_empty_or_of_prometheus_is_one_line(
    name: str, text: str, said: str, settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = settings.parent / "monitoring" / name
    path.write_text(text, encoding="utf-8")
    assert main(["generate", "--settings", str(settings), "--output-dir", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == f"error: {path}{said}\n"


@pytest.mark.parametrize(
    ("name", "variable"), [(PANEL, '{region="eu", $region}'), (FILE, "[$__rate_interval]"), (PANEL, "$metric")]
)
def test_a_variable_of_grafanas_is_answered_with_the_placeholders(
    name: str, variable: str, settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(settings, name, "(shop_orders_waiting", f"(shop_orders_waiting{variable}")
    assert main(["generate", "--settings", str(settings), "--output-dir", str(tmp_path / "out")]) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert said.endswith(
        "; Grafana's variables stand in quotes only: write `{<filter>}` for what the choices of a page narrow, and "
        "`<window>` for the range of a rate"
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "eval_time: 15m",
            "eval_time: 15",
            "10: tests.0.alert_rule_test.1.eval_time: is not a duration: write it as 15s, ",
        ),
        ("- interval: 1m", "- interval: 1 m", "4: tests.0.interval: not a duration: write it as 30s, "),
        (
            "[rules.yml, alerts.yml]",
            "[alerts.yaml]",
            "1: rule_files.0: a test runs against rules.yml and alerts.yml, not against alerts.yaml",
        ),
    ],
)
def test_what_a_test_says_wrongly_is_named_by_its_line(
    old: str, new: str, said: str, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"monitoring/tests/{ALERT}.test.yml"
    changed(settings, name, old, new)
    assert main(["test", "--settings", str(settings)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{settings.parent / name}:{said}")


def test_of_several_pages_that_begin_with_a_word_all_are_named(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(settings, FILE, "page: shop", "page: mlflow")
    assert main(["generate", "--settings", str(settings), "--output-dir", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == (
        f"error: {tmp_path / FILE}:11: page: no page is called 'mlflow'; did you mean mlflow-experiments, "
        "mlflow-models or mlflow-traces?\n"
    )
