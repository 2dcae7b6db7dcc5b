"""Pages on a Prometheus that watches two clusters: a chosen one looks as if it were alone, and none adds to another.

Every series that a query of a page selects is there in both clusters, with other numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import combinations
from pathlib import Path
from typing import Any

import promql_parser
import pytest

from ml_monitoring.alerting.domains import load_alerts
from ml_monitoring.alerting.overview.signals import HEALTH
from ml_monitoring.alerting.overview.signals import PAGE as OVERVIEW
from ml_monitoring.dashboards.lint import expressions, filled
from ml_monitoring.dashboards.render.colours import LIGHT
from ml_monitoring.dashboards.render.display import Style
from ml_monitoring.dashboards.render.draw.canvas import ELLIPSIS, settings
from ml_monitoring.dashboards.render.engine import load
from ml_monitoring.dashboards.render.intervals import Steps, TimeRange
from ml_monitoring.dashboards.render.model import Dashboard, find_dashboards
from ml_monitoring.dashboards.render.page import draw_dashboard
from ml_monitoring.dashboards.render.prometheus import Answer, Prometheus
from ml_monitoring.dashboards.render.units import Clock
from tests.support.promql import LABELS
from tools.backfilled_prometheus import backfilled_prometheus

Json = dict[str, Any]
Samples = dict[tuple[tuple[str, str], ...], str]

END = 1_768_478_400
SCRAPE = 60
SAMPLES = 61
SPAN = TimeRange(END - SCRAPE * (SAMPLES - 1), END)
PAGES = find_dashboards([], Path("dashboards/generated"))
# Cluster: the namespace of ours in it, and how fast its numbers grow.
CLUSTERS = {"a": ("ml", 1), "b": ("ml-of-others", 3)}
# What has begun by the last sample only, and what is compared with 1 or with a bound; all else grows, as counters must.
BEGUN = {
    "ALERTS": 1.0,
    "fleet_incident_phase": 1.0,
    "variant_sequential_p_value": 0.01,
    "persona_variant_pattern:variant_standing:code": 3.0,
    "ml_monitoring_experiment_decided": 1.0,
    "ml_monitoring_experiment_running": 1.0,
}
STEADY = {
    "fleet_server_state": 1.0,
    "variant_optimization_opportunity": 1.0,
    "variant_optimization_opportunity_subject_info": 1.0,
    "model_alias_metric:mlflow_candidate_margin:ratio": 0.5,
    # What codes are called, and what is shown less or as a difference of shares.
    "model_origin:ml_gen_ai_first_token_burn_rate:period": 0.5,
    "metric_origin:ab_test_improvement:code": 1.0,
    "metric_origin:ab_test_improvement:ratio": 0.02,
    "model_version_variant_origin:ml_model_verdict:code": 1.0,
}
# What is meant to be one answer for all that is chosen: an overview, the rows of a heatmap, and the watchdog.
LIGHTS = {f"{signal.title} {letter}" for signal in HEALTH.values() for letter in "AB"}
OVERALL = {
    *(f"Firing alerts by severity {letter}" for letter in "ABC"),
    *("State A", "Log collection A", "Active since A", "Alert timeline A", "Targets down A"),
    *("Latency distribution A", "Confidence A", "Absolute error distribution A"),
    *("Alert rules evaluated A", "Alert rules A"),
}
WATCHDOG = "MlMonitoringWatchdog"


def values(pattern: str) -> Iterator[str]:
    """Yield texts of which one surely meets a pattern."""
    yield "x"
    yield from pattern.split("|")
    # Without what may be left out.
    yield re.sub(r"\([^)]*\)\?", "", pattern)
    yield from (alert.name for alert in load_alerts())


def series(pages: list[Json]) -> set[tuple[tuple[str, str], ...]]:
    """Return a series for each selector of each query, without its cluster."""
    found = {tuple(sorted({"__name__": "instance:up:own", "job": "node", "instance": "x"}.items()))}

    def visit(node: Any) -> None:
        if not isinstance(node, promql_parser.VectorSelector):
            return
        name = str(node.name)
        labels = dict.fromkeys(LABELS[name], "x") | {"job": "ml-monitoring"}
        # Most rules aggregate the instance away.
        if ":" not in name or name.startswith("instance"):
            labels["instance"] = "x"
        for matcher in node.matchers.matchers:
            if matcher.op == promql_parser.MatchOp.Equal:
                labels[matcher.name] = matcher.value
            elif matcher.op == promql_parser.MatchOp.Re:
                wanted = re.compile(matcher.value)
                if not wanted.fullmatch(labels.get(matcher.name, "x")):
                    labels[matcher.name] = next(one for one in values(matcher.value) if wanted.fullmatch(one))
        for bound in ("0.1", "1.0", "+Inf") if "le" in labels else ("",):
            more = {"__name__": name} | ({"le": bound} if bound else {})
            found.add(tuple(sorted((labels | more).items())))

    for _, expr in expressions(pages):
        promql_parser.walk(promql_parser.parse(filled(expr)), visit)
    return found


def lines(clusters: tuple[str, ...]) -> Iterator[str]:
    """Yield the samples of some clusters as OpenMetrics."""
    for labels in sorted(series([page.raw for page in PAGES]), key=lambda labels: dict(labels)["__name__"]):
        given = dict(labels)
        name = given.pop("__name__")
        # The watchdog is of no series, hence of no cluster.
        places = [("", "", 1)] if WATCHDOG in given.values() else [(one, *CLUSTERS[one]) for one in clusters]
        for cluster, namespace, pace in places:
            placed = given | ({"cluster": cluster, "namespace": namespace} if cluster else {})
            braces = ",".join(f'{label}="{value}"' for label, value in placed.items())
            for number in range(SAMPLES - 1 if name in BEGUN else 0, SAMPLES):
                value = (BEGUN | STEADY).get(name, pace * (number + 1))
                yield f"{name}{{{braces}}} {value} {END - SCRAPE * (SAMPLES - 1 - number)}"


@pytest.fixture(scope="module")
def servers(
    programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Prometheus, Prometheus]]:
    """Give one with both clusters, and one with the first alone."""
    with ExitStack() as stack:
        both, alone = (
            Prometheus(
                stack.enter_context(backfilled_prometheus(programs, tmp_path_factory.mktemp("store"), lines(clusters)))
            )
            for clusters in (("a", "b"), ("a",))
        )
        with both, alone:
            yield both, alone


def answers(prometheus: Prometheus, page: Dashboard, **chosen: list[str]) -> dict[str, Samples]:
    """Return what each query of a page answers at the end of the range."""
    data = load(page, prometheus, SPAN, selected=chosen, scrape=SCRAPE)
    variables = data.variables.of_query(Steps(SCRAPE, 4 * SCRAPE), SPAN)
    queries = {f"{panel.title} {letter}": query for panel in data.panels for letter, query in panel.queries.items()}
    queries |= {f"mark {one['name']}": variables.query(one["expr"]) for one in page.annotations}
    asked = {name: prometheus.instant(query, END) for name, query in queries.items()}
    return {name: samples(answer.result()) for name, answer in asked.items()}


def samples(answer: Answer) -> Samples:
    """Return the values by labels, without the name; NaN, which equals nothing, as a text."""
    found = {}
    for one in answer.series:
        labels = tuple(sorted((label, value) for label, value in one.labels.items() if label != "__name__"))
        found[labels] = repr(one.points[0][1])
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.uid)
def test_a_chosen_cluster_looks_as_if_it_were_alone(page: Dashboard, servers: tuple[Prometheus, Prometheus]) -> None:
    both, alone = servers
    chosen = answers(both, page, cluster=["a"])
    assert chosen == answers(alone, page)
    # A query that finds nothing would prove nothing.
    assert [name for name, found in chosen.items() if not found] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.uid)
def test_by_default_every_cluster_is_there_and_nothing_adds_up(
    page: Dashboard, servers: tuple[Prometheus, Prometheus]
) -> None:
    both, _ = servers
    overall = OVERALL | (LIGHTS if page.uid == OVERVIEW else set())
    every = {name: found for name, found in answers(both, page).items() if name not in overall}
    of_each = [answers(both, page, cluster=[cluster]) for cluster in CLUSTERS]
    for name, found in every.items():
        # Nothing is in both, so that nothing is lost.
        assert found == of_each[0][name] | of_each[1][name], name
        assert len(found) == len(of_each[0][name]) + len(of_each[1][name]), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.uid)
def test_no_text_of_a_page_is_cut_or_lies_on_another(page: Dashboard, servers: tuple[Prometheus, Prometheus]) -> None:
    data = load(page, servers[1], SPAN, scrape=SCRAPE)
    canvas = draw_dashboard(data, Style(LIGHT, Clock(now=END)))
    with settings():
        boxes = [
            # A pixel of leading on each side may touch.
            (text.get_text(), text.get_window_extent().padded(-1.5))
            for axes in canvas.figure.axes
            for text in axes.texts
        ]
    assert [text for text, _ in boxes if text.endswith(ELLIPSIS)] == []
    assert [f"{one!r} and {other!r}" for (one, a), (other, b) in combinations(boxes, 2) if a.overlaps(b)] == []
