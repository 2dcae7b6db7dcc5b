"""The table of `docs/model-servers.md`: which panels have data of which server, found in adapters, rules and pages.

`python -m tools.server_pages` writes it, as part of `make generate`; `--check` compares.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import promql_parser

from ml_monitoring.alerting.domains import load_thresholds
from ml_monitoring.alerting.generate.rules import build_recording_rules
from ml_monitoring.alerting.model.services import AdapterUse
from ml_monitoring.alerting.services.adapter import UNKNOWN
from ml_monitoring.alerting.services.adapters import ADAPTERS
from ml_monitoring.exporter.catalog import METRICS

_ROOT: Final = Path(__file__).resolve().parent.parent
DOCUMENT: Final = _ROOT / "docs" / "model-servers.md"
_BEGIN, _END = "<!-- generated:servers -->\n", "<!-- /generated:servers -->\n"
_PAGES: Final = ("ml-api", "model-quality", "ab-testing", "llm-serving")
# There while something is wrong: a page says that all is well without it.
_OFTEN_ABSENT: Final = frozenset({"ALERTS"})
# Selectors of these count requests by how they ended: nothing of a server that does not say so.
_BY_OUTCOME: Final = {
    "ml_http_requests_total": ("status", "ml_http_requests_total, of known status"),
    "ab_test_requests_total": ("outcome", "ab_test_requests_total, of known outcome"),
}
_KNOWN: Final = frozenset(known for _label, known in _BY_OUTCOME.values())
_UNCOUNTED: Final = f'status="{UNKNOWN}"'
_VARIABLE: Final = re.compile(r"\$\{?\w+(?::\w+)?}?")
# How names of the layer begin that some server does not fill: what that server lacks. The first that fits is said.
_WHY: Final = {
    "ml_predictions_total": "counts no predictions",
    "ab_test_model_accuracy": "knows no outcomes",
    "ab_test_errors_total": "does not count failures",
    "ab_test_requests_total, of known outcome": "does not count failures",
    "ab_test_response_time_seconds_bucket": "has no buckets of times",
    "ab_test_": "counts no requests by variant",
    "ml_cache_": "knows no caches",
    "ml_gen_ai_kv_cache_": "does not expose its cache",
    "ml_gen_ai_requests_waiting": "does not expose its queue",
    "ml_gen_ai_time_to_first_token_": "does not time first tokens",
    "ml_gen_ai_": "counts no tokens",
    "ml_http_request_duration_seconds_bucket": "has no buckets of times",
    "ml_http_request_duration_seconds_": "times no requests",
    "ml_http_requests_in_progress": "does not count requests under way",
    "ml_http_requests_total, of known status": "does not count failures",
    "ml_http_requests_total": "counts no requests",
    "ml_instrument_": "is about the library itself",
    "ml_last_prediction_": "does not say when it predicted last",
    "ml_model_load": "does not say when a model was loaded",
    "ml_model_r2_ratio": "knows no outcomes",
    "ml_prediction_absolute_error": "knows no outcomes",
    "ml_prediction_confidence_": "knows no confidence",
    "ml_prediction_duration_seconds_bucket": "has no buckets of times by model",
    "ml_prediction_duration_seconds_": "times no predictions",
    "ml_prediction_errors_total": "does not count failures by model",
    "ml_prediction_scores_": "knows no scores",
    "ml_prediction_squared_error": "knows no outcomes",
    "ml_prediction_truths_total": "knows no outcomes",
    "ml_process_": "says nothing of its process",
    "ml_websocket_": "knows no WebSockets",
}


@dataclass(frozen=True, slots=True)
class _Panel:
    """What a panel shows, and of which series.

    Attributes:
        page: Title of its page.
        title: Its own.
        exprs: Its queries.
    """

    page: str
    title: str
    exprs: tuple[str, ...]


@cache
def _rules() -> Mapping[str, str]:
    """Return what is recorded, by name."""
    groups = build_recording_rules(load_thresholds())["groups"]
    return {rule["record"]: rule["expr"] for group in groups for rule in group["rules"]}


@cache
def _layer() -> frozenset[str]:
    """Return the names of the series that services have."""
    return frozenset(name for metric in METRICS if metric.origin == "service" for name in metric.sample_names)


@cache
def filled(server: str) -> frozenset[str]:
    """Return the series of the layer that an adapter fills."""
    adapter = ADAPTERS[server]
    recorded = frozenset(adapter.records(AdapterUse(server=server, job="job", variant="variant")))
    known = {known for name, (_label, known) in _BY_OUTCOME.items() if name in recorded and adapter.counts_failures}
    return recorded | known


def _panels() -> Iterator[_Panel]:
    for name in _PAGES:
        (path,) = (_ROOT / "dashboards" / "generated").glob(f"*/ml-monitoring-{name}.json")
        page = json.loads(path.read_text(encoding="utf-8"))
        for panel in (one for row in page["panels"] for one in (row, *row.get("panels", []))):
            exprs = tuple(target["expr"] for target in panel.get("targets", []) if "expr" in target)
            # What only says that something is not counted is no data.
            exprs = tuple(expr for expr in exprs if _UNCOUNTED not in expr or " or " in expr)
            if any(_series(_parsed(expr)) & _layer() for expr in exprs):
                yield _Panel(page["title"], panel["title"], exprs)


@cache
def _parsed(expr: str) -> Any:
    for built_in in ("__rate_interval", "__range", "__interval"):
        expr = expr.replace(f"${built_in}", "5m")
    return promql_parser.parse(_VARIABLE.sub(".+", expr))


def _series(node: Any) -> frozenset[str]:
    """Return what an expression is made of in the end, through what is recorded."""
    if isinstance(node, promql_parser.VectorSelector):
        name = str(node.name)
        return _series(_parsed(_rules()[name])) if name in _rules() else frozenset({name})
    return frozenset().union(*(_series(part) for part in _parts(node)))


def _parts(node: Any) -> Iterator[Any]:
    if isinstance(node, promql_parser.BinaryExpr):
        yield from (node.lhs, node.rhs)
    elif isinstance(node, promql_parser.Call):
        yield from node.args
    elif isinstance(node, promql_parser.MatrixSelector):
        yield node.vector_selector
    elif not isinstance(node, promql_parser.NumberLiteral | promql_parser.StringLiteral):
        yield node.expr


def missing(expr: str, there: frozenset[str]) -> frozenset[str]:
    """Return the series of the layer without which an expression has no data.

    Args:
        expr: PromQL, as a panel has it.
        there: The series of the layer that there are; all others than the layer's are taken to be there.
    """
    return _missing(_parsed(expr), there)


def _missing(node: Any, there: frozenset[str]) -> frozenset[str]:
    if isinstance(node, promql_parser.VectorSelector):
        name = str(node.name)
        narrowed = {matcher.name for matcher in node.matchers.matchers}
        known = {known for of, (label, known) in _BY_OUTCOME.items() if label in narrowed and of in _series(node)}
        if name in _rules():
            return _missing(_parsed(_rules()[name]), there) or frozenset(known - there)
        wanted = known if known and name in there else {name}
        return frozenset(wanted & (_OFTEN_ABSENT | _KNOWN | _layer()) - there)
    parts = [_missing(part, there) for part in _parts(node)]
    if isinstance(node, promql_parser.BinaryExpr):
        if str(node.op) == "or":
            return min(parts, key=lambda part: (bool(part & _OFTEN_ABSENT), len(part))) if all(parts) else frozenset()
        if str(node.op) == "unless":
            return parts[0]
    return frozenset().union(*parts)


def _why(missing: frozenset[str]) -> str:
    return next(reason for begin, reason in _WHY.items() if any(name.startswith(begin) for name in missing))


def _servers(names: Sequence[str]) -> str:
    others = [server for server in ADAPTERS if server not in names]
    if not others:
        return "all"
    if len(others) < len(names):
        return f"all but {', '.join(ADAPTERS[server].title for server in others)}"
    return ", ".join(ADAPTERS[server].title for server in names) or "none"


def table() -> str:
    """Return the rows: panels that have data of the same servers, and why the others have none."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for panel in _panels():
        having, part = [], []
        lacking: dict[str, list[str]] = {}
        for server in ADAPTERS:
            lacks = [missing(expr, filled(server)) for expr in panel.exprs]
            if not any(lacks):
                having.append(server)
            elif all(lacks):
                lacking.setdefault(_why(min(lacks, key=len)), []).append(server)
            else:
                part.append(server)
        shown = _servers(having) + (f"; in part {_servers(part)}" if part else "")
        why = "; ".join(f"{_servers(servers)}: {reason}" for reason, servers in lacking.items())
        why = next(iter(lacking)) if len(lacking) == 1 else why
        titles = rows.setdefault((panel.page, shown, why), [])
        titles += [panel.title] if panel.title not in titles else []
    lines = ["| Page | Panels | Have data of | Others: the server |", "|---|---|---|---|"]
    lines += [f"| {page} | {', '.join(titles)} | {shown} | {why} |" for (page, shown, why), titles in rows.items()]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table, or compare it."""
    parser = argparse.ArgumentParser(prog="python -m tools.server_pages", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the document is not up to date")
    options = parser.parse_args(arguments)
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    made = f"{before}{_BEGIN}\n{table()}\n{_END}{rest.partition(_END)[2]}"
    if options.check and made != text:
        print(f"{DOCUMENT.name} is not up to date: make generate", file=sys.stderr)
        return 1
    if not options.check:
        DOCUMENT.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
