"""What all panels share: the panel that does not yet know its page, and the settings of its fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Self

from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.dashboards.lib.layout import Size
from ml_monitoring.dashboards.lib.queries import Query, Scope
from ml_monitoring.dashboards.lib.style import ABOVE_ZERO, NO_VALUE, SERIES, SMALLEST_PROBABILITY, Colour, rate_unit
from ml_monitoring.dashboards.lib.thresholds import flag_colours, steps
from ml_monitoring.dashboards.lib.upstream import Json
from ml_monitoring.exporter.catalog import Unit

# Horizontal bars of the values now.
BARS: Mapping[str, Any] = MappingProxyType(
    {
        "displayMode": "basic",
        "orientation": "horizontal",
        "valueMode": "color",
        # The unfilled part would be all that an empty panel shows beside its text.
        "showUnfilled": False,
        "minVizWidth": 8,
        "minVizHeight": 16,
    }
)
# The colour of a series that no pattern of `series_colours` knows.
OF_SERIES: Mapping[str, Any] = MappingProxyType({"mode": "fixed", "fixedColor": SERIES[0]})
# Kinds of panels that show how something went.
_OVER_TIME = frozenset({"timeseries", "state-timeline", "status-history", "heatmap"})
LAST_VALUE: Mapping[str, Any] = MappingProxyType({"calcs": ["lastNotNull"], "fields": "", "values": False})


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel that does not yet know its page.

    Attributes:
        type: Grafana's plugin id.
        title: Heading.
        size: Width and height that it would like.
        queries: What it shows; empty for text.
        render: Makes the grafanalib object for a page.
        repeat: Variable for each of whose values Grafana repeats the panel; empty for one panel.
        link: Title and address of where the details are.
    """

    type: str
    title: str
    size: Size
    queries: tuple[Query, ...]
    render: Callable[[Scope], Any]
    repeat: str = ""
    link: tuple[str, str] | None = None

    @property
    def lead(self) -> Signal | None:
        """Return the signal that the panel is about: the first; a table of several is about none."""
        if not self.queries or (self.type == "table" and len(self.queries) > 1):
            return None
        return self.queries[0].signal

    @property
    def is_over_time(self) -> bool:
        """Tell whether it has a time axis: other panels show the end of the time range."""
        return self.type in _OVER_TIME

    def repeated(self, variable: str) -> Self:
        """Return the panel as one that Grafana repeats for each value of a variable, side by side."""
        return replace(self, repeat=variable)

    def linked(self, title: str, url: str) -> Self:
        """Return the panel with a link in its heading."""
        return replace(self, link=(title, url))


def describe(queries: Sequence[Query]) -> str:
    """Return the operators' questions that a panel answers, each once."""
    return "\n\n".join(dict.fromkeys(query.signal.question for query in queries))


def field_defaults(
    query: Query, scope: Scope, *, colour_mode: str = "thresholds", states: tuple[str, str] | None = None
) -> Json:
    """Return unit, colours and, for a flag, the names of a field that shows the signal."""
    defaults: Json = {
        "unit": query.format.unit,
        "color": {"mode": colour_mode},
        "thresholds": {"mode": "absolute", "steps": steps(query.signal, query.judges(scope))},
        "mappings": [],
    }
    if query.format.decimals is not None:
        defaults["decimals"] = query.format.decimals
    if query.signal.is_rate:
        if unit := rate_unit(query.signal.title):
            del defaults["decimals"]
            defaults["unit"] = unit
        else:
            # Less than one is not nothing.
            defaults["decimals"] = 2
    if is_probability(query.signal):
        defaults["decimals"] = 3
        defaults["mappings"] = [_tiny()]
    if query.decimals is not None:
        defaults["decimals"] = query.decimals
    if states and query.signal.unit is Unit.FLAG:
        named = zip(states, flag_colours(query.signal, query.judges(scope)), strict=True)
        defaults["mappings"] = [names({str(value): pair for value, pair in enumerate(named)})]
    return defaults


def is_probability(signal: Signal) -> bool:
    """Return whether the values are p-values."""
    return signal.name.endswith("p_value")


def _tiny() -> Json:
    most = SMALLEST_PROBABILITY - ABOVE_ZERO
    return {
        "type": "range",
        "options": {"from": 0, "to": most, "result": {"text": f"<{SMALLEST_PROBABILITY}", "index": 0}},
    }


def names(values: Mapping[str, tuple[str, Colour]]) -> Json:
    """Return a value mapping: what each value is called, and its colour."""
    return {
        "type": "value",
        "options": {
            value: {"text": text, "color": str(colour), "index": index}
            for index, (value, (text, colour)) in enumerate(values.items())
        },
    }


def absent(text: str = NO_VALUE, colour: Colour = Colour.PLAIN) -> Json:
    """Return a value mapping for what is not there: of itself Grafana gives it the colour of the lowest threshold."""
    return {
        "type": "special",
        "options": {"match": "null+nan", "result": {"text": text, "color": str(colour), "index": 0}},
    }


def not_there(text: str) -> Json:
    """Return a value mapping for what is not there: the last value of a series that ended.

    Args:
        text: What it is called. On an axis of whole numbers a space, since Grafana calls marks between them so too.
    """
    return {"type": "special", "options": {"match": "null", "result": {"text": text, "index": 0}}}


def keep_fields(fields: Sequence[str]) -> Json:
    """Return the transformation that drops all other fields: the time, target labels, a recorded series' own name."""
    return {"id": "filterFieldsByName", "options": {"include": {"names": list(fields)}}}
