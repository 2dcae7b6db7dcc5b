"""Alerts and recording rules of a user's own become what ours are, and what cannot be meant is named."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from ml_monitoring.alerting.cli import main
from ml_monitoring.alerting.domains import load_alerts
from ml_monitoring.alerting.extension_queries import missing_labels
from ml_monitoring.alerting.generate import files
from ml_monitoring.alerting.generate.expanded import recorded_expressions
from ml_monitoring.alerting.generate.grafana_rules import build
from ml_monitoring.alerting.generate.mimir import text as rules_for_mimir
from ml_monitoring.exporter.errors import ConfigError
from tests.support.extensions import ALERT, RECORDS, load, write_example

RULES = "monitoring/rules/shop_orders.yml"
FILE = f"monitoring/alerts/{ALERT}.yml"
PANEL = "monitoring/panels/orders.yml"
PAGE = "monitoring/pages/shop.yml"


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    return write_example(tmp_path)


@pytest.fixture
def promtool(programs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Put promtool on the PATH."""
    monkeypatch.setenv("PATH", str(programs["promtool"].parent), prepend=":")


def changed(settings: Path, name: str, old: str, new: str) -> None:
    path = settings.parent / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_an_alert_of_ones_own_becomes_a_rule_beside_ours(settings: Path, tmp_path: Path) -> None:
    files.write(files.files(load(settings)), tmp_path / "out")
    groups = yaml.safe_load((tmp_path / "out" / "alerts.yml").read_text())["groups"]
    assert [group["name"] for group in groups].count("extensions.alerts") == 1
    assert groups[-1] == {
        "name": "extensions.alerts",
        "rules": [
            {
                "alert": ALERT,
                "expr": "(max by (region) (shop_orders_waiting)) > 100",
                "for": "10m",
                "keep_firing_for": "7m",
                "labels": {
                    "severity": "warning",
                    "team": "platform",
                    "source": "queries/shop_orders_waiting{{ with $labels.store }}/{{ . }}{{ end }}",
                },
                "annotations": {
                    "summary": "Orders wait to be sent.",
                    "description": "{{ $labels.region }}: {{ $value }} orders wait.",
                    "runbook_url": f"http://127.0.0.1:9847/runbooks/{ALERT}",
                    "dashboard_url": groups[-1]["rules"][0]["annotations"]["dashboard_url"],
                },
            }
        ],
    }
    link = groups[-1]["rules"][0]["annotations"]["dashboard_url"]
    assert link.startswith("http://127.0.0.1:3000/d/ml-monitoring-own-shop?viewPanel=")
    assert link.endswith("&var-region={{ $labels.region | urlquery }}")
    # And ours are what they are without it.
    committed = yaml.safe_load((files.DEFAULT_DIRECTORY / "alerts.yml").read_text())["groups"]
    assert groups[:-1] == committed


def test_recording_rules_of_ones_own_stand_behind_ours(settings: Path, tmp_path: Path) -> None:
    files.write(files.files(load(settings)), tmp_path / "out")
    text = (tmp_path / "out" / "rules.yml").read_text(encoding="utf-8")
    assert "      # Orders that are not yet sent, by region.\n      - record: region:shop_orders_waiting:sum\n" in text
    *ours, own = yaml.safe_load(text)["groups"]
    assert (own["name"], tuple(rule["record"] for rule in own["rules"])) == ("extensions.rules", RECORDS)
    assert own["rules"][0]["expr"] == "sum by (region) (shop_orders_waiting)"
    assert ours == yaml.safe_load((files.DEFAULT_DIRECTORY / "rules.yml").read_text())["groups"]
    mimir = yaml.safe_load(rules_for_mimir(load(settings)))
    assert [group["name"] for group in mimir["groups"]].count("extensions.rules") == 1


def test_a_recording_rule_may_name_the_number_of_an_alert(settings: Path) -> None:
    changed(settings, RULES, "(shop_orders_waiting)", f"(shop_orders_waiting > <{ALERT}.threshold>)")
    assert recorded_expressions(load(settings))[RECORDS[0]] == "sum by (region) (shop_orders_waiting > 100)"


def test_grafana_evaluates_it_too(settings: Path) -> None:
    (group,) = [group for group in build(load(settings), datasource="p") if group["name"].endswith("-extensions")]
    assert [rule["title"] for rule in group["rules"]] == [ALERT]


def test_alertmanager_routes_it_to_its_team(settings: Path, programs: dict[str, Path], tmp_path: Path) -> None:
    files.write(files.files(load(settings)), tmp_path / "out")
    labels = {"alertname": ALERT, **next(one for one in load_alerts(load(settings)) if one.name == ALERT).labels}
    done = subprocess.run(
        [
            *(programs["amtool"], "config", "routes", "test", f"--config.file={tmp_path / 'out' / 'alertmanager.yml'}"),
            *(f"{name}={value}" for name, value in labels.items()),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "platform-warning"


def test_a_file_of_numbers_goes_before_the_alerts_own(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with settings.open("a") as file:
        file.write(f"alerts: {{{ALERT}: {{threshold: 50, team: growth}}}}\n")
    (alert,) = [one for one in load_alerts(load(settings)) if one.name == ALERT]
    assert (alert.threshold, alert.team, alert.numbers.for_) == (50, "growth", "10m")
    assert main(["explain", ALERT, "--settings", str(settings)]) == 0
    said = capsys.readouterr().out
    assert f"{settings}:2: threshold: 50\n" in said
    assert f"{settings.parent / FILE}:6: for: 10m\n" in said
    assert "growth-warning: " in said


def test_an_alert_that_is_null_is_switched_off(settings: Path) -> None:
    with settings.open("a") as file:
        file.write(f"alerts: {{{ALERT}: null}}\n")
    assert ALERT not in {alert.name for alert in load_alerts(load(settings))}


def test_the_tables_of_the_documentation_have_it(settings: Path, tmp_path: Path) -> None:
    page = tmp_path / "alerts.md"
    page.write_text("<!-- generated:alerts -->\n<!-- /generated:alerts -->\n", encoding="utf-8")
    assert main(["document", "--settings", str(settings), str(page)]) == 0
    table = page.read_text(encoding="utf-8").partition("## Your own\n")[2]
    assert (
        f"| [{ALERT}](monitoring/runbooks/{ALERT}.md) | Orders that wait above 100. | 10m | warning | platform |"
        in table
    )


def test_an_expression_may_name_the_number_of_any_alert(settings: Path) -> None:
    changed(
        settings, FILE, "{<filter>})", f"{{<filter>}} > <{ALERT}.threshold> / 2 + <MlflowFailedRunRatioHigh.threshold>)"
    )
    (alert,) = [one for one in load_alerts(load(settings)) if one.name == ALERT]
    assert "shop_orders_waiting > 100 / 2 + 0.3" in alert.expr


def test_a_unit_of_ones_own_stands_behind_the_number_of_the_condition(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(settings, FILE, "unit: count", "unit: suffix:kg")
    assert main(["explain", ALERT, "--settings", str(settings)]) == 0
    said = capsys.readouterr().out
    assert "  Fires when   Orders that wait above 100 kg.\n" in said
    assert f"{settings.parent / FILE}:2: unit: suffix:kg\n" in said
    # PromQL has no units.
    assert ") > 100\n" in said


NAME = "the stack has an alert MlMonitoringDown; its numbers are changed in the settings, this one needs another name"
BAD = {
    "a key": (
        FILE,
        "threshold:",
        "treshold:",
        [f"{FILE}:5: treshold: unknown key; did you mean threshold?"],
    ),
    "a unit": (
        FILE,
        "unit: count",
        "unit: counts",
        [f"{FILE}:2: unit: 'counts' is no unit; did you mean count?; one of your own is written suffix:kg"],
    ),
    "a unit of one's own without one": (FILE, "unit: count", 'unit: "suffix: "', [f"{FILE}:2: unit: 'suffix: ' is no"]),
    "a threshold in another unit": (
        FILE,
        "unit: count",
        "unit: seconds",
        [f"{FILE}:5: alerts.{ALERT}.threshold: 100 has no unit"],
    ),
    "a ratio of more than one": (
        FILE,
        "unit: count",
        "unit: ratio",
        [f"{FILE}:5: alerts.{ALERT}.threshold: 100 is not a ratio in 0..1"],
    ),
    "a duration": (FILE, "for: 10m", "for: soon", [f"{FILE}:6: for: "]),
    "labels as in Prometheus's rules": (
        FILE,
        "severity: warning",
        "severity: warning\nlabels: {a: b}",
        [
            f"{FILE}:8: labels: unknown key; severity and team are keys of their own, and `alert_labels` of the "
            "settings are labels of all alerts"
        ],
    ),
    "annotations as in Prometheus's rules": (
        FILE,
        "severity: warning",
        "annotations: {a: b}\nseverity: warning",
        [f"{FILE}:7: annotations: unknown key; summary and description are keys of their own"],
    ),
    "a severity": (FILE, "severity: warning", "severity: bad", [f"{FILE}:7: severity: must be"]),
    "a team": (
        FILE,
        "team: platform",
        "team: nobody",
        ["'nobody' is not one of the teams"],
    ),
    "a page": (FILE, "page: shop", "page: shopp", [f"{FILE}:11: page: no page is called 'shopp'; did you mean shop?"]),
    "a label": (
        FILE,
        "labels.region",
        "labels.regio",
        [f"{FILE}:13: description: the series have no label regio; did you mean region? (see `by`)"],
    ),
    "a half sentence": (
        FILE,
        "to be sent.",
        "to be sent",
        [f"{FILE}:12: summary: ends without a full stop"],
    ),
    "a placeholder": (FILE, "<filter>", "<fliter>", [f"{FILE}:1: expr: no value for <fliter>; did you mean filter?"]),
    "a metric of ours": (
        FILE,
        "shop_orders_waiting{",
        "ml_monitoring_source_upp{",
        [f"{FILE}:1: expr: the exporter has no metric ml_monitoring_source_upp; did you mean ml_monitoring_source_up?"],
    ),
    "YAML": (FILE, "unit: count", "unit: [count", [f"{FILE}:3: not valid YAML"]),
    "a name that is none": (
        RULES,
        "region:shop_orders_waiting:sum\n",
        "waiting\n",
        [f"{RULES}:2: rules.0.record: 'waiting' is not"],
    ),
    "a name of ours": (
        RULES,
        "region:shop_orders_waiting:sum\n",
        "instance:up:own\n",
        [f"{RULES}:2: rules.0.record: the stack records instance:up:own; this one needs another name"],
    ),
    "a name twice": (
        RULES,
        "waiting:share\n",
        "waiting:sum\n",
        [f"{RULES}:5: rules.1.record: shop_orders.yml records region:shop_orders_waiting:sum already"],
    ),
    "a placeholder of a rule": (
        RULES,
        "(shop_orders_waiting)",
        "(shop_orders_waiting{<exportr>})",
        [f"{RULES}:4: rules.0.expr: no value for <exportr>; did you mean exporter?"],
    ),
    "a metric of ours in a rule": (
        RULES,
        "(shop_orders_waiting)",
        "(ml_monitoring_source_upp)",
        [f"{RULES}:4: rules.0.expr: the exporter has no metric ml_monitoring_source_upp; did you mean"],
    ),
    "a key of a rule": (
        RULES,
        "meaning:",
        "meening:",
        [f"{RULES}:3: rules.0.meening: unknown key; did you mean meaning?"],
    ),
    "a section of the runbook": (
        f"monitoring/runbooks/{ALERT}.md",
        "## Causes",
        "## Cause",
        [f"monitoring/runbooks/{ALERT}.md: lacks `## Causes`"],
    ),
    "the folder": (
        "ml-monitoring-alerting.yml",
        "monitoring",
        "monitor",
        ["ml-monitoring-alerting.yml:1: extensions: ", "monitor is no folder; `ml-monitoring new` makes it"],
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_meant_is_named_by_file_and_line(
    what: str, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(settings.parent)
    name, old, new, expected = BAD[what]
    changed(settings, name, old, new)
    with pytest.raises(ConfigError) as caught:
        load(Path(settings.name))
    assert [part for part in expected if part not in str(caught.value)] == [], caught.value


def test_all_problems_are_named_at_once_and_nothing_is_written(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(settings, FILE, "threshold:", "treshold:")
    other = tmp_path / "monitoring" / "alerts" / "MlMonitoringDown.yml"
    other.write_text((tmp_path / FILE).read_text().replace("treshold", "threshold"), encoding="utf-8")
    assert main(["generate", "--settings", str(settings), "--output-dir", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert f"{other}:1: {NAME}\n" in said
    assert f"{tmp_path / FILE}:5: treshold: unknown key" in said
    assert "MlMonitoringDown.md: the runbook of MlMonitoringDown cannot be read: No such file or directory; " in said
    assert not (tmp_path / "out").exists()


def test_each_file_that_nothing_reads_is_noted(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path.resolve() / "monitoring"
    command = ["generate", "--settings", str(settings), "--output-dir", str(tmp_path / "out")]
    assert main(command) == 0
    assert "nothing reads it" not in capsys.readouterr().err
    others = f"alerts belong into {folder / 'alerts'}, the others into rules, runbooks, tests, pages, panels, queries"
    unread = {
        "ShopX.yml": others,
        "foo/a.yml": others,
        "alerts/shop/ShopX.yaml": others,
        "alerts/ShopX.py": "here it would end in .yml or .yaml",
        "alerts/ShopX.txt": "here it would end in .yml or .yaml",
        "pages/shop.json": "here it would end in .yml or .yaml or .py",
        "rules/orders.YML": "here it would end in .yml or .yaml",
        "runbooks/ShopX.yml": "here it would end in .md",
        "tests/ShopX.test.yaml": "here it would end in .test.yml",
    }
    for name in (*unread, "README.md", ".git/a.yml", "alerts/_draft.yml", "sources/own/setup.py", "minutes/a.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}\n", encoding="utf-8")
    assert main(command) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "nothing reads it" in line]
    assert len(said) == len(unread)
    for name, why in unread.items():
        assert any(line.startswith(f"note: {folder / name}: nothing reads it; {why}") for line in said)


def test_a_folder_that_nothing_reads_is_named(settings: Path) -> None:
    (settings.parent / "monitoring" / "alert").mkdir()
    (settings.parent / "monitoring" / "notes").mkdir()
    with pytest.raises(ConfigError, match="alert: nothing reads this folder; did you mean alerts"):
        load(settings)


@pytest.mark.usefixtures("promtool")
def test_promtool_runs_the_unit_test(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--settings", str(settings)]) == 0
    assert capsys.readouterr().out == f"ok    shop_orders\nok    {ALERT}\n"
    # Nor where the settings tell these alerts from those of others.
    with settings.open("a") as file:
        file.write("alert_labels: {stack: ml-monitoring}\n")
    assert main(["test", "--settings", str(settings)]) == 0
    assert capsys.readouterr().out == f"ok    shop_orders\nok    {ALERT}\n"
    # Another number, and the same test says so.
    with settings.open("a") as file:
        file.write(f"alerts: {{{ALERT}: {{threshold: 200}}}}\n")
    assert main(["test", "--settings", str(settings)]) == 1
    out, err = capsys.readouterr()
    assert out == f"ok    shop_orders\nFAIL  {ALERT}\n"
    assert f"monitoring/tests/{ALERT}.test.yml: " in err
    assert "got:[]" in err.replace("\n", "").replace(" ", "")


TEST = f"monitoring/tests/{ALERT}.test.yml"
TEST_OF_RULES = "monitoring/tests/shop_orders.test.yml"
INCOMPLETE = {
    "a case that fires": (
        TEST,
        "eval_time: 15m\n        alertname: ShopOrdersWaiting",
        "eval_time: 15m\n        alertname: MlServiceDown",
        "has no case in which it fires",
    ),
    "no key that looks like another": (TEST, "tests:", "test:", ": test: unknown key; did you mean tests?"),
    "no alert that there is not": (
        TEST,
        "alertname: ShopOrdersWaiting",
        "alertname: ShopOrderWaiting",
        "alertname: there is no alert ShopOrderWaiting; did you mean ShopOrdersWaiting?",
    ),
    "a case that stays silent": (TEST, "exp_alerts: []", "exp_alerts: [{}]", "has no case in which it stays silent"),
    "samples of each series": (
        TEST_OF_RULES,
        "expr: region:shop_orders_waiting:share",
        "expr: region:shop_orders_waiting:sum",
        "has no case with samples of region:shop_orders_waiting:share",
    ),
    "the samples that there are": (TEST_OF_RULES, "value: 0.75", "value: 0.5", "FAILED"),
    "YAML": (TEST, "tests:", "tests: [", "not valid YAML"),
}


@pytest.mark.usefixtures("promtool")
@pytest.mark.parametrize("what", INCOMPLETE)
def test_a_test_that_proves_nothing_is_no_test(
    what: str,
    settings: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name, old, new, expected = INCOMPLETE[what]
    changed(settings, name, old, new)
    assert main(["test", "--settings", str(settings)]) == 1
    assert expected in capsys.readouterr().err


@pytest.mark.usefixtures("promtool")
@pytest.mark.parametrize(
    ("name", "other", "missing", "unknown"),
    [
        (TEST, "ShopOrdersLate", "it says when the alert fires, and when not", "no alert ShopOrdersLate"),
        (TEST_OF_RULES, "shop_order", "it says what is recorded", "no file of rules shop_order"),
    ],
)
def test_a_test_of_another_name_is_none_of_it(
    name: str,
    other: str,
    missing: str,
    unknown: str,
    settings: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = settings.parent / name
    path.rename(path.with_name(f"{other}.test.yml"))
    assert main(["test", "--settings", str(settings)]) == 1
    said = capsys.readouterr().err
    assert f"{name}: is missing; {missing}\n" in said
    assert f"{other}.test.yml: there is {unknown}\n" in said


BROKEN = {
    "an alert": (FILE, "max by (region) (", "max by (region (", f"{FILE}:1: expr: no PromQL: unexpected "),
    "a recording rule": (
        RULES,
        "on () group_left sum(",
        "on () group_left sum((",
        f"{RULES}:7: rules.1.expr: no PromQL: ",
    ),
    "a panel": (PANEL, "sum by (region) (", "sums by (region) (", f"{PANEL}:6: expr: no PromQL: "),
    "a query of a page": (
        PAGE,
        "age_seconds{<filter>})",
        "age_seconds{<filter>}",
        f"{PAGE}:32: rows.1.panels.0.queries.1.expr: no PromQL: ",
    ),
    "a label that is aggregated away": (
        FILE,
        "max by (region) (",
        "max by (regio) (",
        f"{FILE}:1: expr: its series have no label region, as `by` says: it is aggregated away; did you mean regio?",
    ),
    "a threshold that is a text": (
        FILE,
        "threshold: 100",
        "threshold: 90%",
        f"{FILE}:5: alerts.{ALERT}.threshold: '90%' is not a number: it is in count, of which there is no %",
    ),
    "a bracket of a template": (
        FILE,
        "{{ $labels.region }}:",
        "{{ $labels.region }:",
        f'{FILE}:13: description: no template of an alert: unexpected "}}" in operand',
    ),
    "a function of a template": (
        FILE,
        "{{ $value }}",
        "{{ $value | humanise }}",
        f"{FILE}:13: description: no function humanise; did you mean humanize?",
    ),
    "a variable of a template without its sign": (
        FILE,
        "{{ $value }}",
        "{{ value }} {{ labels.region }}",
        f"{FILE}:13: description: no function labels; did you mean $labels?",
    ),
    "a variable of a template": (
        FILE,
        "{{ $value }}",
        "{{ $label.region }}",
        f"{FILE}:13: description: no variable $label; did you mean $labels?",
    ),
    "a kind of panel": (PAGE, "kind: stat", "kind: stats", f"{PAGE}:13: rows.0.panels.0.kind: must be"),
}


@pytest.mark.usefixtures("promtool")
@pytest.mark.parametrize("command", ["generate", "grafana", "test"])
@pytest.mark.parametrize("what", BROKEN)
def test_what_prometheus_would_refuse_is_named_by_file_and_line_before_anything_is_written(
    what: str,
    command: str,
    settings: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name, old, new, expected = BROKEN[what]
    changed(settings, name, old, new)
    out = settings.parent / "out"
    written = [] if command == "test" else ["--output-dir", str(out)]
    assert main([command, "--settings", str(settings), *written]) == 1
    # Beside it, a label that is nearly another one is noted.
    (said,) = (line for line in capsys.readouterr().err.splitlines() if not line.startswith("note: "))
    assert said.startswith(f"error: {settings.parent / expected}")
    assert not out.exists()


def test_without_promtool_what_is_written_comes_with_a_note(
    settings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["generate", "--settings", str(settings), "--output-dir", str(tmp_path / "out")]) == 0
    said = (
        "promtool is not on the PATH: it comes with Prometheus; without it the PromQL of your own files is not checked"
    )
    assert capsys.readouterr().err == f"note: {said}\n"


@pytest.mark.parametrize(
    ("expr", "has_it"),
    [
        ("sum(x)", False),
        ("sum by (other) (x)", False),
        ("sum(x) by (other) / 2", False),
        ("SUM BY (other) (rate(x[5m])) > 1", False),
        ("sum by (other, region) (x)", True),
        ('sum (x{a=")"}) by (region)', True),
        ("quantile by (region) (0.9, x)", True),
        ("sum by (other) (x) * on (other) group_left (region) y", True),
        ('label_replace(sum(x), "region", "all", "", "")', True),
        ("sum(x) or x", True),
        ("sum without (other) (x)", True),
        ("x", True),
        ("histogram_quantile(0.9, sum by (le) (x))", True),
        ("topk(3, x)", True),
    ],
)
def test_only_labels_that_are_surely_gone_are_missing(expr: str, has_it: bool) -> None:
    assert (missing_labels(expr, ("region",)) == "") is has_it


def test_without_promtool_the_command_says_where_it_is_from(
    settings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["test", "--settings", str(settings)]) == 1
    assert capsys.readouterr().err == "error: promtool is not on the PATH: it comes with Prometheus\n"
