"""Calculations, transformations, texts and colours are those of Grafana's own code; formats/data.cjs made the table."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.dashboards.render.colours import DARK
from ml_monitoring.dashboards.render.display import Style, show
from ml_monitoring.dashboards.render.errors import UnsupportedPanelError
from ml_monitoring.dashboards.render.frames import Field, FieldKind, Frame
from ml_monitoring.dashboards.render.names import named
from ml_monitoring.dashboards.render.reduce import reduce_field
from ml_monitoring.dashboards.render.transforms import transform
from ml_monitoring.dashboards.render.variables import Variables

TABLE = json.loads(Path(__file__).with_name("formats").joinpath("data.json").read_text(encoding="utf-8"))
TRANSFORMATIONS = {case["name"]: case for case in TABLE["transformations"]}


def number(value: Any) -> Any:
    return float(value.replace("Infinity", "inf")) if value in ("NaN", "Infinity", "-Infinity") else value


def alike(ours: Any, theirs: Any) -> bool:
    ours, theirs = number(ours), number(theirs)
    if isinstance(ours, bool) or isinstance(theirs, bool) or not isinstance(ours, int | float):
        return bool(ours == theirs) or (ours is None and isinstance(theirs, float) and math.isnan(theirs))
    if isinstance(theirs, int | float):
        return math.isclose(ours, theirs, rel_tol=1e-12, abs_tol=1e-12) or (math.isnan(ours) and math.isnan(theirs))
    return theirs is None and math.isnan(ours)


# Grafana calculates these with NaN, so that NaN comes out; a value that can be read is of more use.
WITH_NAN = {"p95", "p50", "median", "stdDev", "variance"}
# What Grafana's smallest positive value is where there is none.
NO_VALUE = 1.7976931348623157e308


def test_calculations() -> None:
    wrong = []
    for values, calculation, theirs in TABLE["calculations"]:
        cells = [number(value) for value in values]
        if calculation in WITH_NAN and "NaN" in values:
            continue
        ours = reduce_field(Field("x", FieldKind.NUMBER, cells), calculation)
        nothing = theirs == NO_VALUE or (theirs is None and not values)
        if not (alike(ours, theirs) or (nothing and not ours)):
            wrong.append(f"{calculation} of {values}: {theirs!r}, not {ours!r}")
    assert wrong == []


def frames_of(case: dict[str, Any]) -> list[Frame]:
    return [
        Frame(
            [
                Field(
                    field["name"],
                    FieldKind(field["type"]),
                    [number(value) for value in field["values"]],
                    labels=field["labels"],
                    given_name=field["given"],
                )
                for field in frame["fields"]
            ],
            frame["refId"],
            frame["name"],
        )
        for frame in case["frames"]
    ]


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_transformations(name: str) -> None:
    case = TRANSFORMATIONS[name]
    result = named(transform(frames_of(case), case["transformations"], Variables()))
    ours = [[(field.display, field.kind.value, field.values) for field in frame.fields] for frame in result]
    assert [[(label, kind) for label, kind, _ in frame] for frame in ours] == [
        [(label, kind) for label, kind, _ in frame] for frame in case["result"]
    ]
    for mine, theirs in zip(ours, case["result"], strict=True):
        for (label, _, cells), (_, _, expected) in zip(mine, theirs, strict=True):
            assert len(cells) == len(expected), label
            assert all(alike(a, b) for a, b in zip(cells, expected, strict=True)), f"{label}: {expected}, not {cells}"


def test_a_transformation_that_is_not_known_is_said() -> None:
    with pytest.raises(UnsupportedPanelError, match="the transformation regression is not known"):
        transform([], [{"id": "regression"}], Variables())


def test_a_transformation_that_is_switched_off_does_nothing() -> None:
    frames = frames_of(TRANSFORMATIONS["merge"])
    assert transform(frames, [{"id": "merge", "disabled": True}], Variables()) == frames


def test_texts_and_colours() -> None:
    wrong = []
    for config, value, text, colour in TABLE["shown"]:
        settings = json.loads(json.dumps(config))
        for step in (settings.get("thresholds") or {}).get("steps", []):
            # JSON has no infinity.
            step["value"] = step.get("value")
        field = Field("Value", FieldKind.NUMBER, [0.0, 100.0], config=settings, index=2)
        cell = number(value)
        ours = show(None if cell is None else float(cell), field, Style(DARK))
        # The table is Grafana 13's, which changed the palette; test_colours has the one that is drawn.
        palette = (config.get("color") or {}).get("mode") == "palette-classic"
        theirs = rgb(DARK.palette(2) if palette else colour)
        if str(ours) != text or (not math.isnan(ours.number) and rgb(ours.colour) != theirs):
            wrong.append(f"{config} {value}: {text!r} {colour}, not {str(ours)!r} {ours.colour}")
    assert wrong == []


def rgb(colour: str) -> tuple[int, ...]:
    if colour.startswith("#"):
        return tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return tuple(int(part) for part in colour[4:-1].split(","))
