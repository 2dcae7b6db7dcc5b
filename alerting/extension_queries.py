"""PromQL and templates in the files of a user's folder, with their places, and whether PromQL has the labels named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from ml_monitoring.alerting.extension_alerts import OwnAlert
from ml_monitoring.alerting.extension_files import read_each
from ml_monitoring.alerting.extension_pages import OwnPage, OwnPanel, OwnPanelFile
from ml_monitoring.alerting.extension_rules import OwnRules
from ml_monitoring.alerting.model.placeholders import fill
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.exporter.settings_file import Layers
from ml_monitoring.exporter.settings_hints import Location
from ml_monitoring.exporter.suggestions import suggestion_or_all

_AGGREGATION: Final = re.compile(
    r"(?:sum|avg|min|max|count|group|stddev|stdvar|quantile)\s*(?:by\s*\(([^()]*)\)\s*)?\(", re.IGNORECASE
)
_BY_BEHIND: Final = re.compile(r"\s*by\s*\(([^()]*)\)", re.IGNORECASE)
# What may add labels to those of an aggregation, or keeps others than are named.
_MORE_LABELS: Final = re.compile(r"\b(?:without|or|group_left|group_right|label_replace|label_join)\b", re.IGNORECASE)
QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')


class Asked(NamedTuple):
    """An expression of a user's file, or a template.

    Attributes:
        layers: The file.
        place: Where it stands there.
        expr: The expression with its placeholders filled; of a template, one that is always right.
        by: Labels that its series are said to have.
        template: The template; empty for an expression.
    """

    layers: Layers
    place: Location
    expr: str
    by: tuple[str, ...] = ()
    template: str = ""

    @property
    def rule(self) -> dict[str, Any]:
        """Return a rule of Prometheus's that has nothing but this of the user's."""
        if self.template:
            return {"alert": "Own", "expr": self.expr, "annotations": {"description": self.template}}
        return {"record": "own:query:parsed", "expr": self.expr}

    def problem(self, message: str) -> str:
        """Return the sentence about the expression."""
        return self.layers.problem(self.place, message)


def own_queries(folder: Path, thresholds: Thresholds) -> Iterator[Asked]:
    """Yield the expressions of alerts, recording rules, panels and pages in YAML."""
    values = thresholds.section_placeholders() | thresholds.scope() | {"filter": "", "place": "", "window": "5m"}
    for layers, place, expr, by in _written(folder):
        try:
            yield Asked(layers, place, fill(expr, values), by)
        except ValueError:
            # Such a placeholder is reported with what it may mean, see `Extensions.check` and the pages.
            continue


def own_templates(folder: Path) -> Iterator[Asked]:
    """Yield the descriptions of alerts, which are templates of Go's with functions of Prometheus's."""
    for _, alert, layers in read_each(folder, "alerts", OwnAlert, []):
        if alert.usable is not None and not alert.touches(("description",)):
            yield Asked(layers, ("description",), "vector(0)", template=alert.usable.description)


def missing_labels(expr: str, by: tuple[str, ...]) -> str:
    """Return the sentence about labels that an aggregation takes away; empty where it may be that it has all."""
    expr = QUOTED.sub('""', expr).strip()
    aggregation = _AGGREGATION.match(expr)
    if aggregation is None or _MORE_LABELS.search(expr):
        return ""
    behind = _BY_BEHIND.match(expr, _closing(expr, aggregation.end()))
    kept = aggregation[1] or (behind[1] if behind else "") or ""
    names = [name for name in re.split(r"[\s,]+", kept) if name]
    missing = [label for label in by if label not in names]
    if not missing:
        return ""
    near = suggestion_or_all(missing[0], names)
    return f"its series have no label {', '.join(missing)}, as `by` says: it is aggregated away{near}"


def _closing(expr: str, start: int) -> int:
    """Return where the bracket ends that is opened before a position."""
    depth = 1
    for index in range(start, len(expr)):
        depth += (expr[index] == "(") - (expr[index] == ")")
        if not depth:
            return index + 1
    return len(expr)


def _written(folder: Path) -> Iterator[tuple[Layers, Location, str, tuple[str, ...]]]:
    """Yield what stands in files, as far as it can be used; what is wrong with them is said where they are read."""
    for _, alert, layers in read_each(folder, "alerts", OwnAlert, []):
        if alert.usable is not None and not alert.touches(("expr",)):
            yield layers, ("expr",), alert.usable.expr, alert.usable.by
    for _, rules, layers in read_each(folder, "rules", OwnRules, []):
        for number, rule in enumerate(rules.usable.rules if rules.usable is not None else ()):
            if not rules.touches(at := rules.original(("rules", number))):
                yield layers, (*at, "expr"), rule.expr, ()
    yield from _drawn(folder)


def _drawn(folder: Path) -> Iterator[tuple[Layers, Location, str, tuple[str, ...]]]:
    """Yield what panels and pages draw."""
    for layers, at, panel in own_panels(folder):
        for below, expr, _ in asked_by(panel):
            yield layers, (*at, *below, "expr"), expr, panel.by


def own_panels(folder: Path) -> Iterator[tuple[Layers, Location, OwnPanel]]:
    """Yield the panels of the folder, on pages of their own too, each with its file and its place there."""
    for _, panel, layers in read_each(folder, "panels", OwnPanelFile, []):
        # Queries of which some are left out have other places.
        if panel.usable is not None and not panel.indexes:
            yield layers, (), panel.usable
    for _, page, layers in read_each(folder, "pages", OwnPage, []):
        for number, row in enumerate(page.usable.rows if page.usable is not None else ()):
            for index, shown in enumerate(row.panels):
                if not page.touches(at := page.original(("rows", number, "panels", index))):
                    yield layers, at, shown


def asked_by(panel: OwnPanel) -> Iterator[tuple[Location, str, str]]:
    """Yield the place of each query of a panel, its expression, and the legend of its series."""
    if panel.expr:
        yield (), panel.expr, panel.legend
    for number, query in enumerate(panel.queries):
        yield ("queries", number), query.expr, query.legend
