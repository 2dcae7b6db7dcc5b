"""Colours of ordinary series by their names, since Grafana's palettes hold the red and the green that judge.

Grafana has no palette of one's own, and colours by number of a series only from palettes. What all versions have is a
fixed colour for names that match a pattern. So eight patterns share out all names by their first and last characters:
one name has one colour on all panels, whatever is drawn beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ml_monitoring.dashboards.lib.style import SERIES
from ml_monitoring.dashboards.lib.upstream import Json

_COUNT = len(SERIES)
# Names that are numbered or lettered differ in their last characters; so do most endings of English words.
_LAST = tuple(
    "".join(letters[place::_COUNT] for letters in ("0123456789", "enrstlydabcghkmopuifwvxzqj/"))
    for place in range(_COUNT)
)
# Names with one ending begin differently; what is in none of these groups, such as a digit, is in a group of its own.
_FIRST = ("cprgu", "dmliv", "etwnk")
# The port of an address says nothing of its own, and neither does a slash at the beginning.
_ADDRESS, _NOT_A_PORT, _PORT, _SLASH = "{{instance}}", r"(?:(?!:\d+\D*$).)*", r"(?::\d+)?", r"\/?"
# A name ends with a blank where the series have no value of its last label.
# What stands in brackets says of which one something is, as in `read (host:9100)`.
_OF = re.compile(r"(?<=\}\}) \(.*\)$")
_LABEL = re.compile(r"\{\{.*?\}\}")


def series_colours(legends: Sequence[tuple[str, bool]], places: int = 0) -> list[Json]:
    """Return the overrides that give each series a colour.

    Args:
        legends: Legend format of each query, and whether its lines are dashed: these have the colours of the query
            before them, whose things they are about.
        places: How many words of where it is follow a name.
    """
    shift = -1
    patterns: dict[int, list[str]] = {}
    fixed: list[Json] = []
    for number, (legend, dashed) in enumerate(legends):
        shift += not dashed or not number
        name = _OF.sub("", legend)
        of = r" \(.*\)" if name != legend else ""
        if not (labels := list(_LABEL.finditer(name))):
            # Not by its name, which may be a variable of the page.
            ref_id = chr(ord("A") + number)
            fixed.append(_override({"id": "byFrameRefID", "options": ref_id}, SERIES[shift % _COUNT]))
            continue
        before, after = _literal(name[: labels[0].start()]), _literal(name[labels[-1].end() :])
        body, end = (_NOT_A_PORT, _PORT) if labels[-1][0] == _ADDRESS else (".*", "")
        for colour in range(_COUNT):
            names = "|".join(_names((colour - shift) % _COUNT, body))
            patterns.setdefault(colour, []).append(f"{before}(?:{names}){end} *{after}{of}")
    where = r"(?: \S+)" + f"{{{places}}}" if places else ""
    shared = [
        _override({"id": "byRegexp", "options": f"/^(?:{'|'.join(given)}){where}$/i"}, SERIES[colour])
        for colour, given in patterns.items()
    ]
    return [*shared, *fixed]


def _names(number: int, body: str) -> list[str]:
    """Return the patterns of the names that have a number; the body is what stands before their last character."""
    groups = [f"(?!{_SLASH}[{''.join(_FIRST)}])", *(f"(?={_SLASH}[{group}])" for group in _FIRST)]
    return [f"{group}{body}[{_LAST[(number - 2 * place) % _COUNT]}]" for place, group in enumerate(groups)]


def _literal(text: str) -> str:
    return re.sub(r"([][(){}.*+?^$|\\/])", r"\\\1", text)


def _override(matcher: Json, colour: str) -> Json:
    properties = [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}]
    return {"matcher": matcher, "properties": properties}
