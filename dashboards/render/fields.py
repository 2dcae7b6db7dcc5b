"""Field settings: defaults, overrides by matcher, names, and the number by which a palette colours."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from ml_monitoring.dashboards.render.frames import Field, Frame, Kind
from ml_monitoring.dashboards.render.names import matcher, name_fields
from ml_monitoring.dashboards.render.variables import Variables

Json = dict[str, Any]


def apply(frames: Sequence[Frame], config: Json, variables: Variables) -> None:
    """Give every field its settings and name.

    Args:
        frames: The panel's frames, changed in place.
        config: The panel's `fieldConfig`.
        variables: Replaced in display names.
    """
    defaults = config.get("defaults") or {}
    name_fields(frames)
    overrides = [
        (matcher(one.get("matcher") or {}), one.get("properties") or []) for one in config.get("overrides") or []
    ]
    index = 0
    for frame in frames:
        for field in frame.fields:
            own = field.config
            field.config = copy.deepcopy(defaults) | own
            if field.kind is Kind.TIME:
                # A time column keeps its date; the panel's unit is for its values.
                field.config.pop("unit", None)
            for matches, properties in overrides:
                if matches(field, frame):
                    for one in properties:
                        _set(field.config, str(one.get("id")), one.get("value"))
            if field.kind is Kind.NUMBER:
                field.index = index
                index += 1
    for frame in frames:
        for field in frame.fields:
            if field.config.get("displayName"):
                field.config["displayName"] = variables.title(_own_names(str(field.config["displayName"]), field))
    name_fields(frames)


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
