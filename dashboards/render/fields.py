"""Field settings: defaults, overrides by matcher, names, and the number by which a palette colours."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from typing import Any

from ml_monitoring.dashboards.render.frames import Field, FieldKind, Frame
from ml_monitoring.dashboards.render.names import matcher, named
from ml_monitoring.dashboards.render.reduce import reduce_field
from ml_monitoring.dashboards.render.variables import Variables

Json = dict[str, Any]


# The colour mode of a panel that sets none, by its type; "thresholds" for all others.
_COLOUR_MODES = {
    "timeseries": "palette-classic",
    "barchart": "palette-classic",
    "histogram": "palette-classic",
    "piechart": "palette-classic",
    "trend": "palette-classic",
    "xychart": "palette-classic",
    "state-timeline": "continuous-GrYlRd",
}


_CHARTS = frozenset({"timeseries", "barchart", "histogram", "trend", "xychart", "heatmap"})


def configured(frames: Sequence[Frame], config: Json, variables: Variables, panel_type: str = "") -> list[Frame]:
    """Return the frames with the settings, the name and the scale of every field.

    Args:
        frames: The panel's frames.
        config: The panel's `fieldConfig`.
        variables: Replaced in display names.
        panel_type: The panel's type, which decides on colours where no mode is set.
    """
    defaults = config.get("defaults") or {}
    if panel_type in _COLOUR_MODES and not (defaults.get("color") or {}).get("mode"):
        defaults = {**defaults, "color": {**(defaults.get("color") or {}), "mode": _COLOUR_MODES[panel_type]}}
    overrides = [
        (matcher(one.get("matcher") or {}), one.get("properties") or []) for one in config.get("overrides") or []
    ]
    index = itertools.count()
    result = []
    for frame in named(frames):
        fields = []
        for field in frame.fields:
            settings = copy.deepcopy({**defaults, **field.config})
            if field.kind is FieldKind.TIME:
                # A time column keeps its date; the panel's unit is for its values.
                settings.pop("unit", None)
            for matches, properties in overrides:
                if matches(field, frame):
                    for one in properties:
                        _set(settings, str(one.get("id")), copy.deepcopy(one.get("value")))
            if settings.get("displayName"):
                settings["displayName"] = variables.title(_own_names(str(settings["displayName"]), field))
            # Charts count their numbers; elsewhere texts take a place in the palette too.
            counted = field.kind is FieldKind.NUMBER or (field.kind is not FieldKind.TIME and panel_type not in _CHARTS)
            place = next(index) if counted else field.index
            fields.append(field.copy(config=settings, index=place))
        result.append(frame.with_fields(fields))
    return _scaled(named(result))


def _scaled(frames: list[Frame]) -> list[Frame]:
    """Return the frames with the ends of each field's scale.

    Where an end is not set, it is that of all numbers of the panel: colours and bars of several series are to be
    compared. `fieldMinMax` (since Grafana 10.4) takes the field's own.
    """
    numbers = [field for frame in frames for field in frame.fields if field.kind is FieldKind.NUMBER]
    if not numbers:
        return frames
    lows = [low for field in numbers if (low := reduce_field(field, "min")) is not None]
    highs = [high for field in numbers if (high := reduce_field(field, "max")) is not None]
    if not lows or not highs:
        return frames

    def scaled(field: Field) -> Field:
        if field.kind is not FieldKind.NUMBER or field.config.get("fieldMinMax"):
            return field
        low, high = field.config.get("min"), field.config.get("max")
        return field.copy(scale=(float(min(lows) if low is None else low), float(max(highs) if high is None else high)))

    return [frame.with_fields([scaled(field) for field in frame.fields]) for frame in frames]


def _set(config: Json, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        config = config.setdefault(parent, {})
    config[last] = value


def _own_names(text: str, field: Field) -> str:
    """Replace `${__field.name}` and `${__field.labels.x}` in a display name."""
    text = text.replace("${__field.name}", field.name).replace("${__field.displayName}", field.display)
    text = text.replace("${__series.name}", field.given_name or field.display)
    for name, value in field.labels.items():
        text = text.replace("${__field.labels." + name + "}", value).replace("${__field.labels['" + name + "']}", value)
    return text
