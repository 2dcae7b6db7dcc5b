"""A story of log lines for pictures of the page `Logs`, as Loki would tell it.

Neither Loki nor who could draw its answers is at hand; so the lines are counted in a Prometheus of their own, and the
page's LogQL becomes the PromQL that gives the same numbers of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tools.backfilled_prometheus import backfilled_prometheus
from tools.packages import ensure_programs

Json = dict[str, Any]

_STEP = 5
_STEPS = 420
# Of the newest steps, for the panel of lines.
_SHOWN = 12
_LOKI = 'job="loki",instance="loki:3100"'
_ALLOY = 'job="alloy",instance="alloy:12345"'


@dataclass(frozen=True, slots=True)
class _Voice:
    """What a service logs again and again.

    Attributes:
        level: The lines' level.
        lines: How many in each step.
        text: One of them.
        begins: In which step the first one comes.
    """

    level: str
    lines: int
    text: str
    begins: int = 0


_USUAL: Mapping[str, tuple[_Voice, ...]] = {
    "inference": (_Voice("info", 10, 'level=info msg="POST /predict" status=200 duration=0.048'),),
    "exporter": (_Voice("info", 1, 'level=info msg="source read" source=mlflow'),),
    "mlflow": (_Voice("info", 2, 'level=info msg="GET /api/2.0/mlflow/runs/search" status=200'),),
    "prometheus": (_Voice("info", 1, 'level=info component=tsdb msg="write block"'),),
}
# A third of its answers, for six minutes.
_FAILURE = _Voice("error", 5, 'level=error msg="POST /predict" status=503 error="the feature store is away"', 348)
FAILING = "inference"


@contextmanager
def served(*, now: float, failing: bool) -> Iterator[str]:
    """Run a Prometheus that knows the lines of the last half hour, and give its address.

    Args:
        now: When it ends, in seconds since the epoch.
        failing: Whether a service logs errors of late.
    """
    with TemporaryDirectory() as folder:
        programs = ensure_programs(["prometheus", "promtool"])
        with backfilled_prometheus(programs, Path(folder), _samples(now, failing=failing)) as url:
            yield url


def answered(raw: Json) -> Json:
    """Return the JSON of a page with its questions to Loki put to that Prometheus."""
    panels = [_panel(panel) if _asks_loki(panel) else panel for panel in raw["panels"]]
    return {
        **raw,
        "panels": [{**one, "panels": answered(one)["panels"]} if one.get("panels") else one for one in panels],
    }


def in_promql(logql: str) -> str:
    """Return what gives the same numbers of the counted lines, or the lines themselves."""
    unfiltered = re.sub(r" \|(~| line_format) `[^`]*`", "", logql)
    if unfiltered.startswith("{"):
        # Each line is one sample; a window of one step holds it once.
        return f"max_over_time(log_line{unfiltered}[{_STEP}s])"
    for function, counted in (("count_over_time", "increase"), ("rate", "rate")):
        unfiltered = re.sub(rf"\b{function}\((\{{[^}}]*\}}) \[", rf"{counted}(log_lines_total\1[", unfiltered)
    return unfiltered


def _asks_loki(panel: Json) -> bool:
    return any((target.get("datasource") or {}).get("type") == "loki" for target in panel.get("targets") or [])


def _panel(panel: Json) -> Json:
    (target,) = panel["targets"]
    source = {"type": "prometheus", "uid": "${datasource}"}
    lines = {"format": "table", "interval": f"{_STEP}s"} if panel["type"] == "logs" else {"format": "time_series"}
    asked = {**target, **lines, "expr": in_promql(target["expr"]), "datasource": source}
    asked["instant"] = target.get("queryType") == "instant"
    if asked["instant"] and (group := re.match(r"topk\(\d+, sum by \((\w+)\)", target["expr"])):
        # Loki answers with one table, whose rows are called what they are grouped by.
        asked["legendFormat"] = f"{{{{{group[1]}}}}}"
    return {**panel, "datasource": source, "targets": [{**asked, "range": not asked["instant"]}]}


def _samples(now: float, *, failing: bool) -> Iterator[str]:
    end = now // _STEP * _STEP
    voices = [(service, voice) for service, all_of in _USUAL.items() for voice in all_of]
    if failing:
        voices.append((FAILING, _FAILURE))
    received = [0] * _STEPS
    for service, voice in voices:
        labels = f'service="{service}",level="{voice.level}"'
        count = 0
        for step in range(_STEPS):
            count += voice.lines if step >= voice.begins else 0
            received[step] += count
            yield f"log_lines_total{{{labels}}} {count} {end - (_STEPS - 1 - step) * _STEP:.0f}"
        text = f"{service}: {voice.text}".replace('"', '\\"')
        for step in range(_SHOWN):
            yield f'log_line{{{labels},line="{text}"}} 1 {end - (_SHOWN - 1 - step) * _STEP:.0f}'
    for step in range(_STEPS):
        moment = f"{end - (_STEPS - 1 - step) * _STEP:.0f}"
        yield f"loki_distributor_lines_received_total{{{_LOKI}}} {received[step]} {moment}"
        yield from (f"up{{{target}}} 1 {moment}" for target in (_LOKI, _ALLOY))
        yield f'alloy_component_controller_running_components{{{_ALLOY},health_type="healthy"}} 14 {moment}'
