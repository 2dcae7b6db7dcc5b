"""What the parts say about each other is true: metrics, rules, alerts, panels, runbooks and tests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ml_monitoring.alerting.domains import ALERTS, RECORDS, SIGNALS, load_alerts, load_thresholds
from ml_monitoring.alerting.model.alert import BoundAlert
from ml_monitoring.alerting.model.foreign import FOREIGN, TARGET_LABELS, UNUSED, UNUSED_ORIGINS
from ml_monitoring.alerting.model.recording import Record
from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.dashboards.lint import filled
from ml_monitoring.exporter.catalog import CATALOG, METRICS, MetricKind
from tests.support.promql import LABELS, made_labels, named_labels, selectors, surviving_labels
from tools import service_catalog

ROOT = Path(__file__).resolve().parent.parent
GENERATED = ROOT / "alerting" / "generated"
RUNBOOKS = {path.stem: path for path in sorted((ROOT / "alerting").glob("*/runbooks/*.md"))}
PROMTOOL_TESTS = {
    path.name.removesuffix(".test.yml"): path for path in sorted((ROOT / "tests" / "alerting").glob("*/*.test.yml"))
}

BOUND = load_alerts()
SCOPE = load_thresholds().scope()
_LABEL_IN_TEMPLATE = re.compile(r"\$labels\.(\w+)")
_LABEL_VALUES = re.compile(r"label_values\((?:(?P<series>.+),\s*)?(?P<label>\w+)\)")
RUNBOOK_HEADINGS = ["Meaning", "Impact", "Diagnosis", "Causes", "Mitigation", "Silence", "Configuration"]


def rule_expressions() -> list[tuple[str, str]]:
    """Return name and expression of every generated rule."""
    found = []
    for name in ("rules.yml", "alerts.yml"):
        for group in yaml.safe_load((GENERATED / name).read_text(encoding="utf-8"))["groups"]:
            found += [(rule.get("record") or rule["alert"], rule["expr"]) for rule in group["rules"]]
    return found


def panel_expressions() -> list[tuple[str, str]]:
    """Return the place and PromQL of every query in a generated dashboard: panels, annotations and variables."""
    found = []
    for path in sorted((ROOT / "dashboards" / "generated").rglob("*.json")):
        found += [(f"{path.stem}: {where}", expr) for where, expr in _queries(json.loads(path.read_text("utf-8")), "")]
    return found


def _queries(node: Any, title: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, list):
        for item in node:
            yield from _queries(item, title)
    elif isinstance(node, dict):
        title = str(node.get("title") or node.get("name") or title)
        source = node.get("datasource")
        # What Loki is asked is no PromQL: tests/support/logql.py judges it.
        if isinstance(node.get("expr"), str) and not (isinstance(source, dict) and source.get("type") == "loki"):
            yield title, filled(node["expr"])
        if isinstance(node.get("query"), str) and (asked := _LABEL_VALUES.fullmatch(node["query"])):
            series = asked["series"]
            # The label that is listed must exist as if it were matched.
            yield title, f"count by ({asked['label']}) ({filled(series)})" if series else "vector(0)"
        for value in node.values():
            yield from _queries(value, title)


RULES = rule_expressions()
PANELS = panel_expressions()
EXPRESSIONS = [*RULES, *PANELS]


def by_name(items: Any) -> dict[str, Any]:
    return {"argvalues": items, "ids": [item.name for item in items]}


def test_no_list_that_is_checked_below_is_empty() -> None:
    assert len(RULES) == len(RECORDS) + len(BOUND)
    assert min(map(len, (METRICS, SIGNALS, RECORDS, BOUND, RULES, PANELS, ALERTS))) > 0


@pytest.mark.parametrize(
    ("where", "expr"), EXPRESSIONS, ids=[f"{where} {i}" for i, (where, _) in enumerate(EXPRESSIONS)]
)
def test_every_series_and_label_in_an_expression_exists(where: str, expr: str) -> None:
    used = selectors(expr)
    unknown = sorted({selector.name for selector in used} - LABELS.keys())
    assert not unknown, f"{where}: no exporter, rule or entry of alerting/model/foreign.py gives {unknown}"
    for selector in used:
        wrong = selector.matched - LABELS[selector.name] - TARGET_LABELS
        assert not wrong, f"{where}: {selector.name} has no label {sorted(wrong)}"
    known = TARGET_LABELS.union(*(LABELS[selector.name] for selector in used))
    unheard = named_labels(expr) - known - made_labels(expr)
    assert not unheard, f"{where}: nothing in it has the label {sorted(unheard)}"


def test_every_exported_metric_is_used_or_its_reason_is_given() -> None:
    used = {selector.name for _, expr in EXPRESSIONS for selector in selectors(expr)}
    unused = {metric.name for metric in METRICS if not used.intersection(metric.sample_names)}
    excused = UNUSED.keys() | {metric.name for metric in METRICS if metric.origin in UNUSED_ORIGINS}
    missing = sorted(unused - excused)
    assert not missing, f"shown nowhere; use them, or say in alerting/model/foreign.py why they exist: {missing}"
    assert not sorted(UNUSED.keys() - unused), "used after all, or no longer exported: take out of UNUSED"
    begun = sorted({CATALOG[name].origin for name in CATALOG.keys() - unused} & UNUSED_ORIGINS.keys())
    assert not begun, f"take out of UNUSED_ORIGINS, something is shown now: {begun}"


def test_the_stack_knows_the_metrics_of_the_library() -> None:
    assert service_catalog.TARGET.read_text("utf-8") == service_catalog.text(), "run make generate"


def test_every_foreign_metric_is_used_and_is_not_our_own() -> None:
    used = {selector.name for _, expr in EXPRESSIONS for selector in selectors(expr)}
    assert sorted(FOREIGN.keys() - used) == []
    assert sorted(FOREIGN.keys() & CATALOG.keys()) == []


def test_a_counter_is_never_used_without_a_rate() -> None:
    counters = {metric.name for metric in METRICS if metric.kind is MetricKind.COUNTER}
    bare = re.compile(r"(?<!rate\()(?<!increase\()\b(" + "|".join(sorted(counters)) + r")\b")
    assert counters
    # What a counter gained since one moment needs no rate: it is less itself, then.
    gained = re.compile(r"\((\w+)(\{[^}]*\}) - \1\2 offset \w+\)")
    # Whether there was one is no question of its value.
    known = re.compile(r"unless sum without \([^)]*\) \(\w+ offset \w+\)")
    used = [(where, known.sub("", gained.sub("", expr))) for where, expr in EXPRESSIONS if "count by" not in expr]
    assert [(where, expr) for where, expr in used if bare.search(expr)] == []


@pytest.mark.parametrize("record", **by_name(RECORDS))
def test_a_recorded_series_has_the_labels_that_its_name_and_declaration_say(record: Record) -> None:
    (expr,) = (expr for name, expr in RULES if name == record.name)
    # A label that settings may add survives where the rule does not know of it.
    added = {label for metric in METRICS if metric.extensible for label in metric.optional_labels}
    assert surviving_labels(expr) - (TARGET_LABELS - {"instance"}) - (added - set(record.by)) == set(record.by)
    level, metric, operations = record.name.split(":")
    # A level may shorten a label to its last word: `variant` for `model_variant`.
    assert level == "_".join(label.removeprefix("model_") for label in record.by)
    assert metric
    assert operations


@pytest.mark.parametrize("record", **by_name(RECORDS))
def test_every_recorded_series_is_used(record: Record) -> None:
    assert [where for where, expr in EXPRESSIONS if record.name in expr and where != record.name]


@pytest.mark.parametrize("signal", **by_name(SIGNALS))
def test_a_signal_has_the_labels_that_it_declares(signal: Signal) -> None:
    survive = surviving_labels(signal.promql(SCOPE))
    assert set(signal.by) <= survive
    matched = {
        label
        for selector in selectors(signal.promql(SCOPE, matchers=signal.variable_matchers))
        for label in selector.matched
    }
    assert set(signal.filters) <= matched


@pytest.mark.parametrize("alert", **by_name(BOUND))
def test_an_alert_mentions_only_labels_that_it_has(alert: BoundAlert) -> None:
    texts = " ".join([*alert.annotations.values()])
    mentioned = set(_LABEL_IN_TEMPLATE.findall(texts))
    assert mentioned <= surviving_labels(alert.expr) | alert.labels.keys()


@pytest.mark.parametrize("alert", **by_name(BOUND))
def test_an_alert_is_complete(alert: BoundAlert) -> None:
    assert "{{" not in alert.annotations["summary"]
    assert alert.annotations["summary"].endswith(".")
    assert alert.annotations["description"].endswith(".")
    assert alert.condition.endswith(".")
    # A literal label would take the place of the series' own of that name without a word.
    assert not surviving_labels(alert.expr) & alert.labels.keys()


@pytest.mark.parametrize("alert", **by_name(ALERTS))
def test_an_alert_has_a_runbook_that_answers_everything(alert: Any) -> None:
    assert alert.name in RUNBOOKS, f"write alerting/<domain>/runbooks/{alert.name}.md"
    path = RUNBOOKS[alert.name]
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# {alert.name}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == RUNBOOK_HEADINGS
    assert re.search(r"^```promql$", text, re.MULTILINE)


def runbook_queries() -> list[tuple[str, str]]:
    fenced = re.compile(r"^```promql\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return [(name, query) for name, path in RUNBOOKS.items() for query in fenced.findall(path.read_text())]


@pytest.mark.parametrize(("runbook", "query"), runbook_queries())
def test_a_query_in_a_runbook_names_what_exists(runbook: str, query: str) -> None:
    test_every_series_and_label_in_an_expression_exists(runbook, query)


def test_a_runbook_is_about_an_alert() -> None:
    assert set(RUNBOOKS) == {alert.name for alert in ALERTS}


@pytest.mark.parametrize("alert", **by_name(ALERTS))
def test_an_alert_has_a_test_that_fires_and_one_that_stays_silent(alert: Any) -> None:
    assert alert.name in PROMTOOL_TESTS, f"write tests/alerting/<domain>/{alert.name}.test.yml"
    path = PROMTOOL_TESTS[alert.name]
    cases = [
        case
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
        for case in test.get("alert_rule_test", [])
        if case["alertname"] == alert.name
    ]
    fires = [case for case in cases if case["exp_alerts"]]
    assert fires
    assert all(expected.get("exp_annotations") for case in fires for expected in case["exp_alerts"])
    if alert.comparison is not None:
        assert [case for case in cases if not case["exp_alerts"]]


def test_a_promtool_test_is_about_an_alert() -> None:
    assert set(PROMTOOL_TESTS) == {alert.name for alert in ALERTS}


@pytest.mark.parametrize("alert", **by_name(ALERTS))
def test_runbook_and_test_of_an_alert_are_in_its_domain(alert: Any) -> None:
    domains = {path.parts[-3] for path in RUNBOOKS.values() if path.stem == alert.name}
    assert domains == {PROMTOOL_TESTS[alert.name].parent.name}
