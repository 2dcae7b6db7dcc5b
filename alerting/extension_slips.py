"""What a user's files nearly name: metrics and labels that differ little from those that there are.

They are notes: a metric of somebody else's may look like one of ours, and Prometheus may add labels of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from ml_monitoring.alerting.domains import ALERTS
from ml_monitoring.alerting.extension_alerts import OwnAlert
from ml_monitoring.alerting.extension_files import queries, read_each
from ml_monitoring.alerting.extension_pages import OwnPage
from ml_monitoring.alerting.extension_queries import QUOTED, asked_by, own_panels, own_queries
from ml_monitoring.alerting.model.foreign import FOREIGN, TARGET_LABELS
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.exporter.catalog import CATALOG
from ml_monitoring.exporter.settings_file import Layers
from ml_monitoring.exporter.settings_hints import Location

# A name without colons, which only recorded series have.
_NAME: Final = re.compile(r"(?<![\w:])[a-zA-Z_]\w*(?![\w:])")
# So much alike, from 0 to 1, are a name and what it is a slip of.
_METRIC: Final = 0.9
_LABEL: Final = 0.8
_GROUPED: Final = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)", re.IGNORECASE)
_MATCHED: Final = re.compile(r'([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*""')
_IN_LEGEND: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_RENAMED: Final = re.compile(r"\blabel_(?:replace|join)\b")
_OURS: Final = frozenset(name for metric in CATALOG.values() for name in metric.sample_names)
_Slip = tuple[Layers, Location, str]


def slips(folder: Path, thresholds: Thresholds) -> Iterator[str]:
    """Yield a sentence about each metric and label that differs little from one that there is."""
    known = _labels(folder)
    of_texts = (*_of_queries(folder, thresholds, known), *_of_legends(folder, thresholds, known))
    for layers, place, said in (*of_texts, *_of_choices(folder, known)):
        yield layers.problem(place, said)


def _labels(folder: Path) -> dict[str, frozenset[str]]:
    """Return the labels of each metric of ours, of others that we use, and of the folder's queries."""
    own: dict[str, frozenset[str]] = {}
    for query in queries(folder).values():
        metrics = query.get("metrics")
        for name, given in metrics.items() if isinstance(metrics, dict) else ():
            labels = given.get("labels") if isinstance(given, dict) else None
            own[str(name)] = frozenset(map(str, labels)) if isinstance(labels, list) else frozenset()
    ours = {name: metric.sample_labels(name) for metric in CATALOG.values() for name in metric.sample_names}
    return {**FOREIGN, **ours, **own}


def _of_queries(folder: Path, thresholds: Thresholds, known: Mapping[str, frozenset[str]]) -> Iterator[_Slip]:
    for one in own_queries(folder, thresholds):
        expr = QUOTED.sub('""', one.expr)
        for name in dict.fromkeys(_NAME.findall(expr)):
            if said := _near_metric(name, known):
                yield one.layers, one.place, said
        for label in _labels_in(expr):
            if said := _near_label(label, expr, known):
                yield one.layers, one.place, said


def _of_legends(folder: Path, thresholds: Thresholds, known: Mapping[str, frozenset[str]]) -> Iterator[_Slip]:
    """Find labels in legends, and those of `by` that no aggregation names."""
    of_alerts = {alert.name: alert.signal for alert in (*ALERTS, *thresholds.own_alerts)}
    shown: list[tuple[Layers, Location, str, str, tuple[str, ...]]] = []
    for _, alert, layers in read_each(folder, "alerts", OwnAlert, []):
        if (own := alert.usable) is not None:
            shown.append((layers, (), own.expr, own.legend, own.by))
    for layers, at, panel in own_panels(folder):
        shown += [(layers, (*at, *below), expr, legend, panel.by) for below, expr, legend in asked_by(panel)]
        if signal := of_alerts.get(panel.alert):
            shown.append((layers, at, signal.expr, panel.legend, signal.by))
    for layers, at, expr, legend, by in shown:
        for label in dict.fromkeys(_IN_LEGEND.findall(legend)):
            if near := _near(label, by, _LABEL) if label not in {*by, *TARGET_LABELS} else "":
                yield layers, (*at, "legend"), f"`by` has no label {label}; did you mean {near}?"
        for label in by:
            if label not in _labels_in(expr) and (said := _near_label(label, expr, known)):
                yield layers, (*at, "by"), said


def _of_choices(folder: Path, known: Mapping[str, frozenset[str]]) -> Iterator[_Slip]:
    for _, page, layers in read_each(folder, "pages", OwnPage, []):
        for number, choice in enumerate(page.usable.variables if page.usable is not None else ()):
            at = page.original(("variables", number))
            if said := _near_metric(choice.metric, known):
                yield layers, (*at, "metric"), said
            elif said := _near_label(choice.label, choice.metric, known):
                yield layers, (*at, "label"), said


def _labels_in(expr: str) -> list[str]:
    """Return the labels that an expression without texts names; none where it makes some."""
    if _RENAMED.search(expr):
        return []
    grouped = (name for names in _GROUPED.findall(expr) for name in re.split(r"[\s,]+", names) if name)
    return list(dict.fromkeys([*grouped, *_MATCHED.findall(expr)]))


def _near_metric(name: str, known: Mapping[str, frozenset[str]]) -> str:
    """Return the sentence about a metric that may be another one; empty where it is known, or none is near."""
    if name in known:
        return ""
    domain = f"{name.partition('_')[0]}_"
    if near := _near(name, (metric for metric in _OURS if metric.startswith(domain)), _METRIC):
        return f"no metric of ours is called {name}; did you mean {near}?"
    if near := _near(name, (metric for metric in known if metric not in _OURS and metric not in FOREIGN), _METRIC):
        return f"no query of the folder has a metric {name}; did you mean {near}?"
    return ""


def _near_label(label: str, expr: str, known: Mapping[str, frozenset[str]]) -> str:
    """Return the sentence about a label that the metrics of an expression lack, and have one that is near."""
    metrics = [name for name in dict.fromkeys(_NAME.findall(QUOTED.sub('""', expr))) if name in known]
    labels = {label for name in metrics for label in known[name]} | TARGET_LABELS
    if label in labels or not metrics or _RENAMED.search(expr):
        return ""
    near = _near(label, sorted(labels), _LABEL)
    return f"{' or '.join(metrics)} has no label {label}; did you mean {near}?" if near else ""


def _near(name: str, known: Iterable[str], cutoff: float) -> str:
    return next(iter(get_close_matches(name, list(known), 1, cutoff)), "")
