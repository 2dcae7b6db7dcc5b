"""The ends, marks and labels of value axes are those of Grafana's own code; formats/axes.cjs made the table."""

from __future__ import annotations

import json
import math
from pathlib import Path

from ml_monitoring.dashboards.render.colours import LIGHT
from ml_monitoring.dashboards.render.display import Style
from ml_monitoring.dashboards.render.draw.axes import value_scale
from ml_monitoring.dashboards.render.frames import Field, FieldKind

TABLE = json.loads(Path(__file__).with_name("formats").joinpath("axes.json").read_text(encoding="utf-8"))


def test_axes() -> None:
    wrong = []
    for values, config, height, low, high, marks, labels in TABLE:
        ours = value_scale(values, Field("x", FieldKind.NUMBER, values, config=config), height, Style(LIGHT))
        same = math.isclose(ours.low, low) and math.isclose(ours.high, high)
        same = same and len(ours.marks) == len(marks) and all(map(math.isclose, ours.marks, marks))
        if not same or list(ours.labels) != labels:
            wrong.append(f"{values} {config} {height}: {low} {high} {labels}, not {ours.low} {ours.high} {ours.labels}")
    assert wrong == []
