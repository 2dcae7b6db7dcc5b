"""Changes in the words of those who look at pages, in place of the keys and codes of Grafana's JSON."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from ml_monitoring.exporter.differences import Change

_SHOWN: Final = {"true": "hidden", "false": "shown", "nothing": "shown"}
_SHOWN_VARIABLES: Final = {"0": "shown", "1": "shown without its label", "2": "hidden", "nothing": "shown"}
_YES: Final = {"true": "yes", "false": "no"}
_CALCULATIONS: Final = {
    '["lastNotNull"]': "last value",
    '["last"]': "last value, none too",
    '["max"]': "highest value",
    '["min"]': "lowest value",
    '["mean"]': "mean",
    '["sum"]': "sum",
}
_END: Final = r"(?= (?:of (?:column|series) .+ )?changed$)"
# Of what is changed: what it is called, and what its values are called. The first one that fits holds.
_WORDS: Final[tuple[tuple[re.Pattern[str], str, dict[str, str]], ...]] = tuple(
    (re.compile(pattern + _END), words, values)
    for pattern, words, values in (
        (r"transformations\.\w+\.options\.excludeByName\.(.+?)", r"column \1", _SHOWN),
        (r"transformations\.\w+\.options\.renameByName\.(.+?)", r"name of column \1", {}),
        (r"transformations\.\w+\.options\.indexByName\.(.+?)", r"place of column \1", {}),
        (r"transformations\.(\w+)\.(?:options\.)?(.+?)", r"transformation \1, \2", _YES),
        (r"links\.(.+)\.url", r"address of link \1", {}),
        (r"links\.(.+)\.title", r"title of link \1", {}),
        (r"links\.(.+)\.(\w+)", r"\2 of link \1", _YES),
        (r"custom\.scaleDistribution\.log", "base of the logarithmic scale", {}),
        (r"custom\.scaleDistribution\.type", "scale", {"log": "logarithmic"}),
        (r"custom\.stacking\.mode", "stacking", {}),
        (r"custom\.spanNulls", "line across gaps", _YES),
        (r"custom\.axisSoftMin", "lower end of the axis", {}),
        (r"custom\.axisSoftMax", "upper end of the axis", {}),
        (r"custom\.axisLabel", "label of the axis", {}),
        (r"options\.reduceOptions\.calcs", "calculation", _CALCULATIONS),
        (r"options\.reduceOptions\.values", "all values", _YES),
        (r"options\.sortBy", "order of rows", {}),
        (r"time\.from", "start of the time range", {}),
        (r"time\.to", "end of the time range", {}),
        (r"datasource\.uid", "data source", {}),
        (r"legendFormat", "legend", {}),
        (r"noValue", "text without values", {}),
        (r"timeFrom", "time range of its own", {}),
        (r"includeAll", "choice of all", _YES),
        (r"multi", "choice of several values", _YES),
        (r"instant", "instant query", _YES),
        (r"range", "range query", _YES),
        (r"in a folded row", "in a folded row", {"nothing": "no", **_YES}),
        (r"collapsed", "folded", {"nothing": "no", **_YES}),
    )
)


def in_words(change: Change) -> Change:
    """Return a change in words; of what there are none it stays as it is."""
    if change.what == "hide changed":
        values = _SHOWN_VARIABLES if change.where.startswith("variable ") else _SHOWN
        return _valued(replace(change, what="changed"), values)
    if change.what == "title changed" and change.where.startswith("row "):
        return replace(change, what="renamed")
    for pattern, words, values in _WORDS:
        if found := pattern.match(change.what):
            return _valued(replace(change, what=f"{found.expand(words)}{change.what[found.end() :]}"), values)
    return change


def _valued(change: Change, values: dict[str, str]) -> Change:
    return replace(change, old=values.get(change.old, change.old), new=values.get(change.new, change.new))
