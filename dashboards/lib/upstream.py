"""The one import of grafanalib, and a panel for the types that it lacks or emits in a dead shape.

grafanalib 0.7.1 has no type hints and is frozen, so its objects are `Any` here and nowhere else: the rest of the
library hands them around and never looks inside.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from grafanalib import _gen
from grafanalib import core as grafana

__all__ = ["Json", "as_json", "grafana", "plugin_panel"]

Json = dict[str, Any]


class _PluginPanel(grafana.Panel):  # type: ignore[misc]  # grafanalib is untyped, so its base class is Any
    """A panel whose whole body is its `extraJson`."""

    def to_json_data(self) -> Any:
        return self.panel_json({})


def plugin_panel(
    plugin: str,
    *,
    title: str,
    description: str,
    targets: Sequence[Any] = (),
    defaults: Json | None = None,
    overrides: Sequence[Json] = (),
    options: Json | None = None,
    transformations: Sequence[Json] = (),
) -> Any:
    """Return a panel of any plugin in the shape that Grafana 9.4 and later save.

    Used for gauge, bar gauge, heatmap and table, whose grafanalib classes emit shapes of Grafana 6 to 8 (a gauge
    without `options` is a TypeError in the browser), and for types that grafanalib does not have.
    """
    return _PluginPanel(
        title=title,
        description=description,
        targets=list(targets),
        transformations=list(transformations),
        extraJson={
            "type": plugin,
            "fieldConfig": {"defaults": defaults or {}, "overrides": list(overrides)},
            "options": options or {},
        },
    )


def as_json(thing: Any) -> Json:
    """Return grafanalib's own JSON for `thing`, defects included; see `finalise`."""
    data: Json = json.loads(json.dumps(thing.to_json_data(), cls=_gen.DashboardEncoder))
    return data
