"""Why Alertmanager would not load a configuration: its routes name what there is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ml_monitoring.alerting.operate.routing import TIME_SECTIONS, TIMES, mappings, routes
from ml_monitoring.exporter.differences import Change

Json = dict[str, Any]


def problems(old: Json | None, new: Json | None) -> list[Change]:
    """Return that there is no configuration any more, or what a route names that there is not, and was not before."""
    if old is not None and new is None:
        return [Change("alertmanager.yml", "no longer written: Alertmanager has nothing to load, and notifies nobody")]
    before, after = (dict.fromkeys(_unknown(config or {})) for config in (old, new))
    return [
        Change("alertmanager.yml", f"Alertmanager will not load it: a route names the {one}, which there is not")
        for one in after
        if one not in before
    ]


def _unknown(config: Json) -> Iterator[str]:
    receivers = {str(one.get("name")) for one in mappings(config.get("receivers"))}
    times = {str(one.get("name")) for section in TIME_SECTIONS for one in mappings(config.get(section))}
    for route in routes(config):
        if "receiver" in route and str(route["receiver"]) not in receivers:
            yield f"receiver {route['receiver']}"
        named = [route.get(key) for key in TIMES]
        yield from (
            f"time {one}" for names in named if isinstance(names, list) for one in names if str(one) not in times
        )
