"""Field settings: defaults, overrides by matcher, names, and the number by which a palette colours."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from typing import Any

from ml_monitoring.dashboards.render.frames import Field, FieldKind, Frame
from ml_monitoring.dashboards.render.names import matcher, named
from ml_monitoring.dashboards.render.variables import Variables

Json = dict[str, Any]


def configured(frames: Sequence[Frame], config: Json, variables: Variables) -> list[Frame]:
    """Return the frames with the settings and the name of every field.

    Args:
        frames: The panel's frames.
        config: The panel's `fieldConfig`.
        variables: Replaced in display names.
    """
    defaults = config.get("defaults") or {}
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
            fields.append(
                field.copy(config=settings, index=next(index) if field.kind is FieldKind.NUMBER else field.index)
            )
        result.append(frame.with_fields(fields))
    return named(result)


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
