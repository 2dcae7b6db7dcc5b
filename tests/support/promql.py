"""What a PromQL expression reads, and which labels its result has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import promql_parser as promql

from ml_monitoring.alerting.domains import RECORDS
from ml_monitoring.alerting.model.foreign import FOREIGN, TARGET_LABELS
from ml_monitoring.exporter.catalog import METRICS

# Every series name that an expression may use, with the labels beside those of the target.
LABELS: Mapping[str, frozenset[str]] = {
    **{name: metric.sample_labels(name) for metric in METRICS for name in metric.sample_names},
    **{record.name: frozenset(record.by) for record in RECORDS},
    **FOREIGN,
}

_SET_OPERATORS_OF_THE_LEFT = {"and", "unless"}
_WITHOUT_LABELS = {"vector", "time", "scalar", "pi"}


@dataclass(frozen=True, slots=True)
class Selector:
    """One use of a series name.

    Attributes:
        name: The series.
        matched: Labels that the selector matches.
    """

    name: str
    matched: frozenset[str]


def selectors(expr: str) -> list[Selector]:
    """Return every use of a series in the expression.

    Raises:
        ValueError: The expression is not PromQL, or selects without naming a metric.
    """
    found: list[Selector] = []

    def visit(node: Any) -> None:
        if isinstance(node, promql.VectorSelector):
            if not node.name or node.matchers.or_matchers:
                raise ValueError(f"{node}: name the metric before the braces")
            found.append(Selector(node.name, frozenset(matcher.name for matcher in node.matchers.matchers)))

    promql.walk(promql.parse(expr), visit)
    return found


def named_labels(expr: str) -> set[str]:
    """Return the labels that the expression's aggregations and joins name."""
    found: set[str] = set()

    def visit(node: Any) -> None:
        if isinstance(node, promql.AggregateExpr) and node.modifier:
            found.update(node.modifier.labels)
        if isinstance(node, promql.BinaryExpr) and node.modifier:
            found.update(node.modifier.matching.labels if node.modifier.matching else ())
            found.update(node.modifier.group_labels or ())

    promql.walk(promql.parse(expr), visit)
    return found


def made_labels(expr: str) -> set[str]:
    """Return the labels that the expression itself makes."""
    found: set[str] = set()

    def visit(node: Any) -> None:
        if isinstance(node, promql.AggregateExpr) and str(node.op) == "count_values" and node.param is not None:
            found.add(str(node.param.val))
        if isinstance(node, promql.Call) and node.func.name in {"label_replace", "label_join"}:
            found.add(str(node.args[1].val))

    promql.walk(promql.parse(expr), visit)
    return found


def surviving_labels(expr: str) -> frozenset[str]:
    """Return every label that the expression's result may have."""
    return _surviving(promql.parse(expr)) or frozenset()


def _surviving(node: Any) -> frozenset[str] | None:
    """Return the labels, or None for a number, which takes those of the other side of an operator."""
    match node:
        case promql.NumberLiteral() | promql.StringLiteral():
            return None
        case promql.VectorSelector():
            name = str(node.name)
            # What a rule aggregates away does not come back; a scraped series has all of them.
            return LABELS[name] | (TARGET_LABELS - {"instance"} if ":" in name else TARGET_LABELS)
        case promql.MatrixSelector():
            return _surviving(node.vector_selector)
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return _surviving(node.expr)
        case promql.AggregateExpr():
            return _aggregated(node)
        case promql.Call():
            return _called(node)
        case promql.BinaryExpr():
            return _combined(node)
    raise TypeError(f"{type(node).__name__} is new here")


def _aggregated(node: Any) -> frozenset[str]:
    inner = _surviving(node.expr) or frozenset()
    if str(node.op) in {"topk", "bottomk"}:
        return inner
    # `count_values` turns values into those of a label that it names.
    made = frozenset({str(node.param.val)}) if str(node.op) == "count_values" else frozenset()
    if node.modifier is None:
        return made
    named = frozenset(node.modifier.labels)
    return (inner & named if node.modifier.type == promql.AggModifierType.By else inner - named) | made


def _called(node: Any) -> frozenset[str] | None:
    name = node.func.name
    if name in _WITHOUT_LABELS:
        return frozenset() if name == "vector" else None
    if name == "absent":
        (selector,) = node.args
        return frozenset(matcher.name for matcher in selector.matchers.matchers)
    inner = next((labels for labels in map(_surviving, node.args) if labels is not None), frozenset())
    if name == "histogram_quantile":
        return inner - {"le"}
    if name in {"label_replace", "label_join"}:
        return inner | {node.args[1].val}
    return inner


def _combined(node: Any) -> frozenset[str] | None:
    left, right = _surviving(node.lhs), _surviving(node.rhs)
    if left is None or right is None:
        return right if left is None else left
    operator = str(node.op)
    if operator == "or":
        return left | right
    modifier = node.modifier
    if operator in _SET_OPERATORS_OF_THE_LEFT or modifier is None or modifier.matching is None:
        return left
    if modifier.card == promql.VectorMatchCardinality.ManyToOne:
        return left | frozenset(modifier.group_labels or ())
    if modifier.card == promql.VectorMatchCardinality.OneToMany:
        return right | frozenset(modifier.group_labels or ())
    named = frozenset(modifier.matching.labels)
    return left & named if modifier.matching.type == promql.LabelModifierType.Include else left - named
