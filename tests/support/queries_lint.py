"""Rules for the queries of finished dashboards: they parse, name what exists, and use the page's variables."""

from __future__ import annotations

import itertools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import yaml

from ml_monitoring.alerting.model.foreign import PLACE_LABELS, TARGET_LABELS
from ml_monitoring.dashboards.lint import d6_declared, expressions, filled, panels, variables_in
from tests.support import logql
from tests.support.promql import LABELS
from tools.packages import ensure_programs

Json = dict[str, Any]

# How rates may look back: at least four scrapes, or the whole time range that the page shows.
RATE_WINDOWS = {"$__rate_interval", "$__range"}
RATES = {"rate", "irate", "increase"}

# How selectors begin that a page need not narrow, and by what.
PLACELESS = {
    # The watchdog is of no series, hence of no cluster.
    'ALERTS{alertname="MlMonitoringWatchdog"': PLACE_LABELS,
    # Comes after `on (cluster, namespace, ...)`.
    "variant_optimization_opportunity_info": PLACE_LABELS,
    # Each cluster has figures of its own.
    ":business_": ("namespace",),
    "role:business_": ("namespace",),
    "part_bound:business_": ("namespace",),
    "part:business_": ("namespace",),
    "bound:business_": ("namespace",),
}

_RATE = re.compile(r"\b(?:rate|irate|increase)\([^\[\]]*\[([^\]]+)]")


def d6_parses(pages: list[Json]) -> Iterator[str]:
    """Every expression is PromQL."""
    for name, expr in expressions(pages):
        try:
            promql_parser.parse(filled(expr))
        except ValueError as error:
            yield f"{name}: {error}"


def d6_promtool(pages: list[Json], directory: Path) -> Iterator[str]:
    """Prometheus itself accepts every expression, types included, as a recording rule would be."""
    rules = [
        {"record": f"panel:number:{index}", "expr": filled(expr)} for index, (_, expr) in enumerate(expressions(pages))
    ]
    path = directory / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    promtool = ensure_programs(["promtool"])["promtool"]
    # No lint: two panels may well ask the same.
    done = subprocess.run(
        [str(promtool), "check", "rules", "--lint=none", str(path)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        yield done.stdout + done.stderr


def d6_names(pages: list[Json]) -> Iterator[str]:
    """Every metric is exported or recorded, with the labels that the query matches; counters are under a rate."""
    for name, expr in expressions(pages):
        try:
            tree = promql_parser.parse(filled(expr))
        except ValueError:
            continue
        under_rate = {id_ for call in _nodes(tree, promql_parser.Call) for id_ in _selected_by_rate(call)}
        # How many series there are does not grow.
        under_rate |= {str(node.expr) for node in _nodes(tree, promql_parser.AggregateExpr) if str(node.op) == "count"}
        # A counter less itself of before is an increase too.
        under_rate |= {
            str(side)
            for minus in _nodes(tree, promql_parser.BinaryExpr)
            if str(minus.op) == "-" and " offset " in str(minus.rhs) and str(minus.rhs).startswith(str(minus.lhs))
            for side in (minus.lhs, minus.rhs)
        }
        for selector in _nodes(tree, promql_parser.VectorSelector):
            metric = str(selector.name)
            if metric not in LABELS:
                yield f"{name}: no exporter or rule gives {metric}"
                continue
            matched = {matcher.name for matcher in selector.matchers.matchers}
            for label in sorted(matched - LABELS[metric] - TARGET_LABELS):
                yield f"{name}: {metric} has no label {label}"
            if metric.endswith("_total") and str(selector) not in under_rate:
                yield f"{name}: {metric} only grows, show its rate or increase"
        for window in _RATE.findall(expr):
            if window not in RATE_WINDOWS:
                yield f"{name}: a rate looks back {window}, which may hold fewer than two scrapes"


def d6_variables(pages: list[Json]) -> Iterator[str]:
    """Every variable in a query is declared, and every declared one is used."""
    yield from d6_declared(pages)
    for page in pages:
        declared = {variable["name"] for variable in page["templating"]["list"]}
        used = {one for _, expr in expressions([page]) for one in variables_in(expr)}
        used |= {one for _, expr in logql.expressions([page]) for one in logql.variables(expr)}
        for variable in page["templating"]["list"]:
            if isinstance(variable["query"], dict):
                used |= variables_in(variable["query"].get("query", "")) - {variable["name"]}
        used |= {match for panel in panels(page) for match in variables_in(str(panel.get("datasource")))}
        # Links and addresses carry these also to a page that has nothing to narrow.
        unused = declared - used - set(PLACE_LABELS)
        yield from (f"{page['uid']}: variable {one} is never used" for one in sorted(unused))


def d6_places(pages: list[Json]) -> Iterator[str]:
    """Every page has the choices of where targets run, and every series in a query is narrowed by them."""
    for page in pages:
        declared = [variable["name"] for variable in page["templating"]["list"]]
        yield from (f"{page['uid']}: has no variable {one}" for one in PLACE_LABELS if one not in declared)
        for variable in page["templating"]["list"]:
            if variable["type"] == "query" and variable["datasource"]["type"] == "prometheus":
                missing = [
                    one
                    for one in _places_before(variable["name"])
                    if f'{one}=~"${one}"' not in variable["query"]["query"]
                ]
                yield from (f"{page['uid']}: variable {variable['name']} is not narrowed by {one}" for one in missing)
    for name, expr in expressions(pages):
        try:
            tree = promql_parser.parse(filled(expr))
        except ValueError:
            continue
        for selector in _nodes(tree, promql_parser.VectorSelector):
            matched = {matcher.name for matcher in selector.matchers.matchers if matcher.value == ".+"}
            lacking = next((lacks for start, lacks in PLACELESS.items() if str(selector).startswith(start)), ())
            for label in PLACE_LABELS:
                if label not in matched and label not in lacking:
                    yield f"{name}: {selector} is not narrowed by {label}"


def _places_before(variable: str) -> Iterator[str]:
    """Yield the places that narrow a variable: of the places themselves the wider ones."""
    yield from itertools.takewhile(lambda one: one != variable, PLACE_LABELS)


def _nodes(tree: Any, kind: type) -> Iterator[Any]:
    found: list[Any] = []

    def visit(node: Any) -> None:
        if isinstance(node, kind):
            found.append(node)

    promql_parser.walk(tree, visit)
    yield from found


def _selected_by_rate(call: Any) -> Iterator[str]:
    if call.func.name in RATES:
        for argument in call.args:
            yield from (str(selector) for selector in _nodes(argument, promql_parser.VectorSelector))
