"""Rules for the LogQL of finished dashboards: Grafana's own grammar parses it, and it names labels that lines have."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ml_monitoring.dashboards.lint import data_panels
from tests.support import typescript

Json = dict[str, Any]

CONFIG = Path(__file__).resolve().parents[2] / "docker" / "logs" / "config.alloy"
# Grafana fills these in by itself.
BUILT_IN = {"__interval", "__range"}
_VARIABLE = re.compile(r"\$(\w+)")


def labels() -> set[str]:
    """Return the labels that collected lines have."""
    (kept,) = re.findall(r"stage\.label_keep \{\s*values = \[(.*?)\]", CONFIG.read_text(encoding="utf-8"))
    return set(re.findall(r'"(\w+)"', kept))


def expressions(pages: Sequence[Json]) -> Iterator[tuple[str, str]]:
    """Yield every LogQL expression of panels, with its name."""
    for name, panel in data_panels(list(pages)):
        for target in panel.get("targets", []):
            if target["datasource"]["type"] == "loki":
                yield f"{name} {target['refId']}", target["expr"]


def filled(expr: str) -> str:
    """Return the query as Loki gets it: ranges and variables replaced."""
    for name in BUILT_IN:
        expr = expr.replace(f"${name}", "5m")
    return _VARIABLE.sub(".+", expr)


def variables(expr: str) -> set[str]:
    """Return the variables of the page that a query names."""
    return set(_VARIABLE.findall(expr)) - BUILT_IN


def parsed(exprs: Sequence[str]) -> list[Json]:
    """Return what the grammar makes of each expression: `errors` and `labels`."""
    typescript.install()
    script = typescript.HERE / "logql.mjs"
    done = subprocess.run(
        [typescript.node(), script], input=json.dumps(exprs), capture_output=True, text=True, check=True
    )
    judged: list[Json] = json.loads(done.stdout)
    return judged


def d6_logql(pages: list[Json]) -> Iterator[str]:
    """Every expression for Loki is LogQL, and matches labels that lines have."""
    found = list(expressions(pages))
    for (name, expr), judged in zip(found, parsed([filled(expr) for _, expr in found]), strict=True):
        yield from (f"{name}: no LogQL {where} in {expr}" for where in judged["errors"])
        yield from (f"{name}: lines have no label {label}" for label in sorted(set(judged["labels"]) - labels()))


def d6_logql_variables(pages: list[Json]) -> Iterator[str]:
    """Every variable in an expression for Loki is declared."""
    for page in pages:
        declared = {variable["name"] for variable in page["templating"]["list"]}
        for name, expr in expressions([page]):
            yield from (f"{name}: variable {one} is not declared" for one in sorted(variables(expr) - declared))
