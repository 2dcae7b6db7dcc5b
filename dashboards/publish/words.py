"""Changes in the words of those who look at pages, in place of the keys and codes of Grafana's JSON."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from ml_monitoring.exporter.differences import Change, escaped

_SHOWN: Final = {"true": "hidden", "false": "shown", "nothing": "shown"}
_SHOWN_VARIABLES: Final = {"0": "shown", "1": "shown without its label", "2": "hidden", "nothing": "shown"}
_YES: Final = {"true": "yes", "false": "no"}
_CALCULATIONS: Final = {
    "lastNotNull": "last value",
    "last": "last value, none too",
    "max": "highest value",
    "min": "lowest value",
}
_FIELDS: Final = {"nothing": "numbers", "/.*/": "all", "/^.*$/": "all"}
_AUTO: Final = {"nothing": "auto"}
# How Grafana counts what variables are set to.
_REFRESHED: Final = {"0": "never", "1": "when the page is opened", "2": "with the time range"}
_SORTED: Final = dict(
    enumerate(
        (
            "as they come",
            "A to Z",
            "Z to A",
            "numbers upwards",
            "numbers downwards",
            "A to Z in any case",
            "Z to A in any case",
            "A to Z with numbers in order",
            "Z to A with numbers in order",
        )
    )
)
_END: Final = r"(?= (?:of (?:column|series) .+ )?(?:changed|added|removed|in another order)$)"
# Of what is changed: what it is called, and what its values are called. The first one that fits holds.
_WORDS: Final[tuple[tuple[re.Pattern[str], str, dict[str, str]], ...]] = tuple(
    (re.compile(pattern + _END), words, values)
    for pattern, words, values in (
        (r"transformations\.[^.]+\.options\.excludeByName\.(.+?)", r"column \1", _SHOWN),
        (r"transformations\.[^.]+\.options\.renameByName\.(.+?)", r"name of column \1", {}),
        (r"transformations\.[^.]+\.options\.indexByName\.(.+?)", r"place of column \1", {}),
        (r"transformations\.([^.]+)\.(?:options\.)?(.+?)", r"transformation \1, \2", _YES),
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
        (r"custom\.hideFrom\.viz", "hidden from the drawing", _YES),
        (r"custom\.hideFrom\.(\w+)", r"hidden from the \1", _YES),
        (r"custom\.hidden", "hidden", _YES),
        (r"options\.reduceOptions\.calcs", "calculation", _CALCULATIONS),
        (r"options\.reduceOptions\.fields", "fields", _FIELDS),
        (r"options\.legend\.calcs", "values in the legend", _CALCULATIONS),
        (r"options\.textMode", "text", {"value_and_name": "value and name"}),
        (r"options\.content", "text", {}),
        (r"decimals", "decimals", _AUTO),
        (r"timezone", "timezone", {"nothing": "as set in Grafana"}),
        (r"refresh", "refresh", {"nothing": "never"}),
        (r"options\.reduceOptions\.values", "all values", _YES),
        (r"options\.reduceOptions\.limit", "most rows", {}),
        (r"options\.sortBy", "order of rows", {}),
        (r"displayName", "name", {}),
        (r"filter\.ids", "panels", {"nothing": "all"}),
        (r"filter\.exclude", "all but these panels", _YES),
        (r"timepicker\.hidden", "time picker", _SHOWN),
        (r"timepicker\.refresh_intervals", "choice of refresh intervals", {}),
        (r"time\.from", "start of the time range", {}),
        (r"time\.to", "end of the time range", {}),
        (r"datasource\.uid", "data source", {}),
        (r"legendFormat", "legend", {}),
        (r"noValue", "text without values", {}),
        (r"timeFrom", "time range of its own", {}),
        (r"timeShift", "shift of the time range", {}),
        (r"maxDataPoints", "most data points", _AUTO),
        (r"interval", "shortest step", _AUTO),
        (r"enable", "enabled", _YES),
        (r"includeAll", "choice of all", _YES),
        (r"multi", "choice of several values", _YES),
        (r"instant", "instant query", _YES),
        (r"range", "range query", _YES),
        (r"hideHeader", "title", _SHOWN),
        (r"tab", "kind", {"true": "tab", "false": "row"}),
        (r"collapsed", "folded", {"nothing": "no", **_YES}),
    )
)

_OF_VARIABLES: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "refresh changed": ("renewal of its choices", _REFRESHED),
    "sort changed": ("order of its choices", {str(number): words for number, words in _SORTED.items()}),
}


def line_of(change: Change) -> str:
    """Return a change in words as an item of a Markdown list, whatever titles hold."""
    return replace(in_words(change), where=escaped(change.where)).line()


def in_words(change: Change) -> Change:
    """Return a change in words; of what there are none it stays as it is."""
    if change.what == "hide changed":
        values = _SHOWN_VARIABLES if change.where.startswith("variable ") else _SHOWN
        return _valued(replace(change, what="changed"), values)
    if change.where.startswith("variable ") and change.what in _OF_VARIABLES:
        words, values = _OF_VARIABLES[change.what]
        return _valued(replace(change, what=f"{words} changed"), values)
    if change.what == "title changed" and change.where.startswith("row "):
        return replace(change, what="renamed")
    for pattern, words, values in _WORDS:
        if found := pattern.match(change.what):
            return _valued(replace(change, what=f"{found.expand(words)}{change.what[found.end() :]}"), values)
    return change


def _valued(change: Change, values: dict[str, str]) -> Change:
    old, new = (values.get(value) or _listed(value, values) for value in (change.old, change.new))
    return replace(change, old=old, new=new)


def _listed(value: str, values: dict[str, str]) -> str:
    """Return a value, or the parts of one that is a list, in words."""
    parts = re.findall(r'"([^"]*)"', value) if re.fullmatch(r'\["[^"]*"(?:, "[^"]*")*\]', value) else []
    return ", ".join(values.get(part, part) for part in parts) or value
