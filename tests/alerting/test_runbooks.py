"""The queries of the runbooks, asked of a real Prometheus that has every series they name."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import promql_parser as promql
import pytest

from ml_monitoring.alerting.commands import maintenance
from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.operate.labels import label_names
from tests.support.files import ROOT
from tests.test_contract import runbook_queries
from tools.backfilled_prometheus import backfilled_prometheus

QUERIES = runbook_queries()
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_SOURCE_FILE = re.compile(
    r"(?<![\w/.])(?:(?:alerting|dashboards|demo|exporter|instrument|ml_monitoring|tools)/[\w./-]+|[\w-]+\.py\b|thresholds\.yml|notifications\.yml)"
)
_SPAN, _STEP = 3 * 3600, 60
# These find trouble: without any they rightly give nothing.
_MAY_BE_EMPTY = ("==", "< bool", " > ", " < ", "absent(")


def series() -> set[str]:
    """Return a series for each selector of the queries, such that it matches."""
    found: set[str] = set()

    def visit(node: object) -> None:
        if isinstance(node, promql.VectorSelector):
            labels = {"job": "x", "instance": "x"}
            for matcher in node.matchers.matchers:
                operator = str(matcher.op)
                if "Not" not in operator:
                    labels[matcher.name] = str(matcher.value).split("|")[0].replace(".*", "x").replace(".+", "x")
            if str(node.name).endswith("_bucket"):
                labels |= {"le": "+Inf"}
            text = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
            found.add(f"{node.name}{{{text}}}")

    for _, query in QUERIES:
        promql.walk(promql.parse(query), visit)
    return found


@pytest.fixture(scope="module")
def prometheus(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("runbooks")
    lines = []
    for one in sorted(series()):
        # Growing, so that rates are not 0.
        lines += [f"{one} {1 + moment / 1000} {moment}" for moment in range(0, _SPAN, _STEP)]
    with backfilled_prometheus(programs, folder, lines) as url:
        yield url


def _runbooks() -> dict[str, str]:
    """Return the runbooks by their alerts, and what `new alert` begins one with."""
    paths = {path.stem: path for path in sorted((ROOT / "alerting").glob("*/runbooks/*.md"))}
    paths["@NAME@"] = ROOT / "dashboards" / "extensions" / "templates" / "runbook.md.txt"
    return {alert: path.read_text(encoding="utf-8") for alert, path in paths.items()}


def test_there_are_queries() -> None:
    assert len(QUERIES) > 60


def test_no_runbook_sends_its_reader_into_a_file_of_the_source() -> None:
    found = []
    for alert, text in _runbooks().items():
        found += [f"{alert}: {name}" for name in _SOURCE_FILE.findall(text)]
        # What was installed by pip knows it all the same.
        if f"`ml-monitoring alerts explain {alert}`" not in text:
            found.append(f"{alert}: no `alerts explain`")
    assert found == []


def test_each_runbook_silences_its_alert_by_labels_that_alerts_have() -> None:
    known = label_names(load_thresholds())
    parser = argparse.ArgumentParser()
    maintenance.add_arguments(parser)
    found = {}
    for alert, text in _runbooks().items():
        section = text.partition("\n## Silence\n")[2].partition("\n## ")[0]
        for command in re.findall(r"`ml-monitoring alerts maintenance ([^`]*)`", section):
            labels = dict(parser.parse_args(shlex.split(command)).labels)
            found[alert] = labels
            assert labels["alertname"] == alert
            assert labels.keys() <= set(known), alert
        assert "amtool silence add" not in section, alert
    assert len(found) > 80
    assert "@NAME@" in found


@pytest.mark.parametrize(("runbook", "query"), QUERIES)
def test_prometheus_answers_the_query(runbook: str, query: str, prometheus: str) -> None:
    parameters = urllib.parse.urlencode({"query": query, "time": _SPAN - _STEP})
    try:
        with _OPENER.open(f"{prometheus}/api/v1/query?{parameters}", timeout=10) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        pytest.fail(f"{runbook}: {error.read().decode()}")
    assert answer["status"] == "success"
    if not any(operator in query for operator in _MAY_BE_EMPTY):
        assert answer["data"]["result"], f"{runbook}: gives nothing although every series is there"
