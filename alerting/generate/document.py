"""Tables of metrics and alerts for the documentation, kept between markers in Markdown files.

A block begins with `<!-- generated:metrics -->` and ends with `<!-- /generated:metrics -->`, each on its own line.
To add a kind of block, add its function to `BLOCKS`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from ml_monitoring.alerting.domains import EXTENSIONS, load_alerts
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.exporter.catalog import METRICS
from ml_monitoring.exporter.errors import MonitorError

_ALERTING = Path(__file__).resolve().parents[1]
_MARKER = re.compile(r"^<!-- (?P<end>/?)generated:(?P<name>\S+) -->$")

# Headings of `Metric.origin`; others are named after the source.
_ORIGINS = {
    "exporter": "The exporter itself",
    "service": "Instrumented services",
    "alertlog": "The alert log",
}

# Folders of domains that have alerts, in the order in which they are documented.
DOMAIN_TITLES: Mapping[str, str] = MappingProxyType(
    {
        "mlflow": "MLflow",
        "variants": "Content variants",
        "experiments": "A/B tests and experiments",
        "services": "ML services",
        "llm": "Language models",
        "fleet": "Server fleets",
        "host": "Hosts",
        "gpus": "GPUs",
        "containers": "Containers",
        "database": "PostgreSQL",
        "exporter": "Exporter",
        "monitoring": "Prometheus and Alertmanager",
        "logs": "Log collection",
    }
)


class DocumentError(MonitorError):
    """Report a Markdown file whose markers cannot be understood."""


def metrics_table(_folder: Path, _thresholds: Thresholds) -> str:
    """Return every metric of the catalog, a section with a table for each origin."""
    parts = []
    for origin in dict.fromkeys(metric.origin for metric in METRICS):
        rows = [
            (
                f"`{metric.name}`",
                metric.kind.value,
                ", ".join(f"`{label}`" for label in (*metric.labels, *metric.optional_labels)),
                metric.help,
            )
            for metric in METRICS
            if metric.origin == origin
        ]
        parts.append(f"## {_ORIGINS.get(origin, f'Source `{origin}`')}\n")
        parts.append(_table(("Metric", "Type", "Labels", "Meaning"), rows))
    return "\n".join(parts)


def alerts_table(folder: Path, thresholds: Thresholds) -> str:
    """Return every enabled alert with the numbers in force, a section with a table for each domain.

    Args:
        folder: Of the document, which links to runbooks are relative to.
        thresholds: The numbers in force.
    """
    runbooks = {path.stem: path for path in _ALERTING.glob("*/runbooks/*.md")}
    domains = {name: path.parts[-3] for name, path in runbooks.items()}
    for alert in thresholds.own_alerts:
        runbooks[alert.name] = Path(thresholds.extensions or "", "runbooks", f"{alert.name}.md")
        domains[alert.name] = EXTENSIONS
    parts = []
    for domain, title in (*DOMAIN_TITLES.items(), (EXTENSIONS, "Your own")):
        rows = [
            (
                f"[{alert.name}]({_relative(runbooks[alert.name], folder)})",
                " ".join((alert.condition, *alert.evidence)),
                alert.numbers.for_,
                alert.severity,
                alert.team,
                alert.absent,
            )
            for alert in load_alerts(thresholds)
            if domains[alert.name] == domain
        ]
        if rows:
            parts.append(f"## {title}\n")
            parts.append(
                _table(("Alert", "Fires when", "For", "Severity", "Team", "When its series are missing"), rows)
            )
    return "\n".join(parts)


BLOCKS: Mapping[str, Callable[[Path, Thresholds], str]] = MappingProxyType(
    {"metrics": metrics_table, "alerts": alerts_table}
)


def filled(text: str, folder: Path, thresholds: Thresholds) -> str:
    """Return a Markdown text with every block between markers regenerated.

    Args:
        text: The document.
        folder: The document's, which links are relative to.
        thresholds: The settings in force.

    Raises:
        DocumentError: There is no marker, or one names no block, or is without its other half; the message begins
            with the line.
    """
    if not any(map(_MARKER.match, text.splitlines())):
        raise DocumentError(f"1: has no <!-- generated:NAME --> marker; known: {', '.join(BLOCKS)}")
    lines: list[str] = []
    open_block, opened_at = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        marker = _MARKER.match(line)
        if marker is None:
            # What stands in a block is old, and replaced.
            lines += [] if open_block else [line]
            continue
        name = marker["name"]
        if name not in BLOCKS:
            raise DocumentError(f"{number}: nothing is generated under the name {name}; known: {', '.join(BLOCKS)}")
        if marker["end"]:
            if name != open_block:
                raise DocumentError(f"{number}: a block {name} ends that did not begin")
            lines += ["", *BLOCKS[name](folder, thresholds).splitlines(), "", line]
            open_block = ""
        elif open_block:
            raise DocumentError(f"{number}: the block {open_block} of line {opened_at} has not ended")
        else:
            lines.append(line)
            open_block, opened_at = name, number
    if open_block:
        raise DocumentError(f"{opened_at}: the block {open_block} does not end; write <!-- /generated:{open_block} -->")
    return "\n".join(lines) + "\n"


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
